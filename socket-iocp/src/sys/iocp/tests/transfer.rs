//! Recvs and sends: at once, later, cancelled, failed.

use super::*;

#[test]
fn bytes_come_and_go() {
    both_ways(|options| {
        let mut rig = Rig::new(options);
        let (mut connection, mut client) = rig.pair();
        for round in 0..3u8 {
            client.write_all(&[round; 10]).expect("a connection");
            assert_eq!(rig.recv_now(&mut connection), Ok(vec![round; 10]));
            assert_eq!(rig.send_now(&mut connection, &[&[round; 3], &[round; 4]]), Ok(7));
            let mut read = [0; 7];
            client.read_exact(&mut read).expect("seven bytes");
            assert_eq!(read, [round; 7]);
        }
        client.shutdown(Shutdown::Write).expect("a connection");
        assert_eq!(rig.recv_now(&mut connection), Ok(vec![]));
        assert!(rig.poll().is_empty(), "a completion too many");
    });
}

#[test]
fn what_succeeds_at_once_is_told_once() {
    let mut rig = Rig::new(options().skip_on_success(true));
    let (mut connection, _client) = rig.pair();
    // A send into an empty buffer is done at once by every provider.
    assert!(matches!(rig.send(&mut connection, &[b"abc"]), Submitted::Done(Ok(3))));
    assert!(rig.poll().is_empty());

    let mut rig = Rig::new(options().skip_on_success(false));
    let (mut connection, _client) = rig.pair();
    assert_pending(rig.send(&mut connection, &[b"abc"]));
    assert!(matches!(rig.wait(), Completion::Send { result: Ok(3), .. }));
    assert!(rig.poll().is_empty());
}

#[test]
fn a_recv_waits_for_bytes() {
    both_ways(|options| {
        let mut rig = Rig::new(options);
        let (mut connection, mut client) = rig.pair();
        assert_pending(rig.recv(&mut connection));
        assert!(rig.poll().is_empty());
        client.write_all(b"late").expect("a connection");
        let Completion::Recv { key, result } = rig.wait() else { panic!("no recv") };
        assert_eq!((key, result.as_deref()), (connection.key, Ok(&b"late"[..])));
    });
}

#[test]
fn an_idle_read_takes_no_buffer_before_there_are_bytes() {
    both_ways(|options| {
        let mut rig = Rig::new(options.idle_reads(true));
        let (mut connection, mut client) = rig.pair();
        assert_pending(rig.recv(&mut connection));
        assert!(connection.memory.take_block().is_none(), "a buffer is with the kernel");
        client.write_all(b"late").expect("a connection");
        let Completion::Ready { readable: true, writable: false, .. } = rig.wait() else { panic!("no event") };
        connection.io.note_ready(true, false);
        // There are bytes: the next recv takes them, and the one after it waits without a buffer again.
        assert_eq!(rig.recv_now(&mut connection), Ok(b"late".to_vec()));
        assert_pending(rig.recv(&mut connection));
        assert!(connection.memory.take_block().is_none(), "a buffer is with the kernel");
        client.shutdown(Shutdown::Write).expect("a connection");
        assert!(matches!(rig.wait(), Completion::Ready { readable: true, .. }));
        connection.io.note_ready(true, false);
        assert_eq!(rig.recv_now(&mut connection), Ok(vec![]));
    });
}

#[test]
fn an_idle_read_is_cancelled_like_any_other() {
    let mut rig = Rig::new(options().idle_reads(true));
    let (mut connection, _client) = rig.pair();
    assert_pending(rig.recv(&mut connection));
    rig.cancel(&mut connection, Direction::Recv);
    assert!(matches!(rig.wait(), Completion::Recv { result: Err(Failure::Cancelled), .. }));
}

#[test]
fn a_cancelled_recv_gives_its_buffer_back() {
    let mut rig = Rig::new(options());
    let (mut connection, _client) = rig.pair();
    assert_pending(rig.recv(&mut connection));
    rig.cancel(&mut connection, Direction::Recv);
    assert!(matches!(rig.wait(), Completion::Recv { result: Err(Failure::Cancelled), .. }));
    assert!(connection.memory.take_block().is_none());
    assert!(rig.poll().is_empty());
}

/// What the state of the connection is after a cancelled send, no documentation of Windows says; this is what we build on.
#[test]
fn a_cancelled_send_tells_what_has_gone() {
    let mut rig = Rig::new(options());
    let (mut connection, mut client) = rig.pair();
    let bytes: Vec<u8> = (0..32 << 20).map(|at: u32| (at >> 3) as u8).collect();
    let mut sent = 0;
    // Until the client's buffers are full.
    loop {
        match rig.send(&mut connection, &[&bytes[sent..]]) {
            Submitted::Done(result) => sent += result.expect("a connection"),
            Submitted::Pending => match rig.poll().pop() {
                None => break,
                Some(Completion::Send { result, .. }) => sent += result.expect("a connection"),
                Some(other) => panic!("unexpected {other:?}"),
            },
        }
        assert!(sent < bytes.len(), "the buffers have no end");
    }
    rig.cancel(&mut connection, Direction::Send);
    match rig.wait() {
        Completion::Send { result: Ok(part), .. } => sent += part,
        Completion::Send { result: Err(Failure::Cancelled), .. } => {}
        other => panic!("unexpected {other:?}"),
    }
    SockRef::from(&connection.socket).shutdown(Shutdown::Write).expect("a connection");
    let mut read = Vec::new();
    client.read_to_end(&mut read).expect("a connection");
    assert_eq!(read.len(), sent);
    assert!(read == bytes[..sent], "other bytes than were sent");
}

#[test]
fn a_reset_ends_a_recv_that_waits() {
    let mut rig = Rig::new(options());
    let (mut connection, client) = rig.pair();
    assert_pending(rig.recv(&mut connection));
    reset(client);
    let Completion::Recv { result: Err(Failure::Os(os)), .. } = rig.wait() else { panic!("no failure") };
    assert_eq!(Error::from_os(os).code(), ErrorCode::Reset, "{os}");
}

#[test]
fn a_send_after_a_reset_fails() {
    let mut rig = Rig::new(options());
    let (mut connection, client) = rig.pair();
    assert_pending(rig.recv(&mut connection));
    reset(client);
    assert!(matches!(rig.wait(), Completion::Recv { result: Err(_), .. }));
    let Err(Failure::Os(os)) = rig.send_now(&mut connection, &[b"x"]) else { panic!("no failure") };
    let code = Error::from_os(os).code();
    let expected = [ErrorCode::Reset, ErrorCode::ConnectionAborted, ErrorCode::BrokenPipe, ErrorCode::Shutdown];
    assert!(expected.contains(&code), "{os}");
}

#[test]
fn a_send_of_many_slices_keeps_their_order() {
    both_ways(|options| {
        let mut rig = Rig::new(options);
        let (mut connection, mut client) = rig.pair();
        let slices: Vec<Vec<u8>> = (1..=100).map(|len: u8| vec![len; len.into()]).collect();
        let mut all: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
        let sent = rig.send_now(&mut connection, &all).expect("a connection");
        all.truncate(super::super::super::MAX_GATHER);
        assert_eq!(sent, all.concat().len());
        let mut read = vec![0; sent];
        client.read_exact(&mut read).expect("all of it");
        assert!(read == all.concat());
    });
}

#[test]
fn a_closed_number_is_an_error_of_the_call() {
    let mut rig = Rig::new(options());
    let (connection, _client) = rig.pair();
    let (raw, key, memory) = (connection.raw(), connection.key, connection.memory);
    let mut io = connection.io;
    drop(connection);
    for result in [
        rig.backend.recv(&mut io, memory, key, raw, &mut rig.pool),
        rig.backend.recv(&mut io, memory, key, raw, &mut rig.pool),
    ] {
        let Submitted::Done(Err(Failure::Os(os))) = result else { panic!("{result:?}") };
        assert!(crate::sys::hints_at_close(os), "{os}");
    }
    assert!(rig.poll().is_empty());
}

#[test]
fn a_socket_closed_behind_the_library_ends_its_recv() {
    let mut rig = Rig::new(options());
    let (mut connection, _client) = rig.pair();
    assert_pending(rig.recv(&mut connection));
    drop(connection.socket);
    match rig.wait() {
        Completion::Recv { result: Err(Failure::Os(os)), .. } => assert!(crate::sys::hints_at_close(os), "{os}"),
        other => panic!("unexpected {other:?}"),
    }
}
