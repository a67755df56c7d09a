//! Recv: data, FIN, reset, and what is behind a short read.

use super::*;

#[test]
fn bytes_that_are_there_cost_no_registration() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    client.write_all(b"request").expect("a write");
    assert_eq!(bytes(rig.recv(&mut connection)), b"request");
    assert_eq!(done(rig.send(&mut connection, &[b"answer"])), Ok(6));
    assert_eq!(connection.io.flags & flags::READ_WATCHED, 0);
}

#[test]
fn bytes_after_eagain_come_by_ready_each_time() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    for round in 0..5_u8 {
        assert_pending(rig.recv(&mut connection));
        client.write_all(&[round; 10]).expect("a write");
        assert_eq!(rig.wait_ready(&mut connection), (true, false));
        assert_eq!(bytes(rig.recv(&mut connection)), [round; 10]);
    }
}

#[test]
fn bytes_that_came_before_the_registration_are_told() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    client.write_all(b"first").expect("a write");
    assert_eq!(bytes(rig.recv(&mut connection)), b"first");
    client.write_all(b"second").expect("a write");
    // The short read said that there is nothing more; the registration finds what has come since.
    assert_pending(rig.recv(&mut connection));
    assert_eq!(rig.wait_ready(&mut connection), (true, false));
    assert_eq!(bytes(rig.recv(&mut connection)), b"second");
}

#[test]
fn a_full_read_is_followed_by_another_and_a_short_one_is_not() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(8);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    client.write_all(b"0123456789").expect("a write");
    rig.wait_ready(&mut connection);
    assert_eq!(bytes(rig.recv(&mut connection)), b"01234567");
    assert_ne!(connection.io.flags & flags::READABLE, 0);
    assert_eq!(bytes(rig.recv(&mut connection)), b"89");
    if cfg!(any(target_os = "linux", target_os = "android")) {
        assert_eq!(connection.io.flags & flags::READABLE, 0, "one recv more than needed");
    }
    assert_pending(rig.recv(&mut connection));
}

#[test]
fn a_fin_is_an_empty_buffer_and_stays() {
    let (server, client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    client.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(rig.wait_ready(&mut connection), (true, true));
    for _ in 0..3 {
        assert_eq!(bytes(rig.recv(&mut connection)), b"");
    }
    assert_eq!(done(rig.send(&mut connection, &[b"still open"])), Ok(10));
}

#[test]
fn a_fin_with_the_last_bytes_needs_no_event_of_its_own() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    client.write_all(b"last words").expect("a write");
    client.shutdown(Shutdown::Write).expect("a half-close");
    // Both are there before the one event is taken.
    while rig.wait_ready(&mut connection) != (true, true) {}
    assert!(rig.poll().is_empty());
    assert_eq!(bytes(rig.recv(&mut connection)), b"last words");
    assert_eq!(bytes(rig.recv(&mut connection)), b"");
}

#[test]
fn a_fin_between_event_and_read_is_found() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    client.write_all(b"last words").expect("a write");
    assert_eq!(rig.wait_ready(&mut connection), (true, false));
    client.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(rig.recv_now(&mut connection), Ok(b"last words".to_vec()));
    assert_eq!(rig.recv_now(&mut connection), Ok(Vec::new()));
}

#[test]
fn a_reset_ends_a_pending_recv() {
    let (server, client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    reset(client);
    assert_eq!(rig.wait_ready(&mut connection), (true, true));
    assert_eq!(done(rig.recv(&mut connection)).map(|_| ()), Err(Failure::Os(libc::ECONNRESET)));
}

#[test]
fn a_reset_before_the_first_recv_is_its_error() {
    let (server, client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    reset(client);
    assert_eq!(rig.recv_now(&mut connection), Err(Failure::Os(libc::ECONNRESET)));
}

#[test]
fn a_reset_behind_bytes_is_found_after_them() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    client.write_all(b"last words").expect("a write");
    reset(client);
    while rig.wait_ready(&mut connection) != (true, true) {}
    assert!(rig.poll().is_empty());
    assert_eq!(bytes(rig.recv(&mut connection)), b"last words");
    assert_eq!(done(rig.recv(&mut connection)).map(|_| ()), Err(Failure::Os(libc::ECONNRESET)));
}

#[test]
fn bytes_behind_urgent_data_are_found() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    client.write_all(b"before").expect("a write");
    SockRef::from(&client).send_out_of_band(b"!").expect("urgent data");
    client.write_all(b"behind").expect("a write");
    rig.wait_ready(&mut connection);
    let (mut received, expected) = (Vec::new(), b"beforebehind");
    while received.len() < expected.len() {
        received.extend(rig.recv_now(&mut connection).expect("bytes"));
    }
    assert_eq!(received, expected);
    assert_pending(rig.recv(&mut connection));
    assert_eq!(connection.io.flags & flags::IN_DOUBT, 0, "EAGAIN has ended the doubt");
}

#[test]
fn bytes_behind_a_passed_descriptor_are_found() {
    let (server, mut client) = UnixStream::pair().expect("a pair");
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    send_with_descriptor(&client, b"with a descriptor");
    client.write_all(b"behind").expect("a write");
    rig.wait_ready(&mut connection);
    let mut received = bytes(rig.recv(&mut connection));
    if received.len() < 23 {
        received.extend(bytes(rig.recv(&mut connection)));
    }
    assert_eq!(received, b"with a descriptorbehind");
}

/// sendmsg(2) with SCM_RIGHTS: the kernel ends a read at such bytes.
fn send_with_descriptor(stream: &UnixStream, bytes: &[u8]) {
    let mut control = [0_u64; 8];
    let mut slice = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: zeros are an empty header; it then names one slice and `control`, both alive and big enough, aligned for
    // the control header that CMSG_FIRSTHDR finds in it.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&mut slice, 1);
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size_of::<RawSocket>() as u32) as _;
        let first = libc::CMSG_FIRSTHDR(&header);
        ((*first).cmsg_level, (*first).cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        (*first).cmsg_len = libc::CMSG_LEN(size_of::<RawSocket>() as u32) as _;
        libc::CMSG_DATA(first).cast::<RawSocket>().write_unaligned(stream.as_raw_fd());
        assert_eq!(libc::sendmsg(stream.as_raw_fd(), &header, 0), bytes.len() as isize);
    }
}

#[test]
fn a_socketpair_is_served() {
    let (server, mut client) = UnixStream::pair().expect("a pair");
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    client.write_all(b"hello").expect("a write");
    assert_eq!(rig.recv_now(&mut connection), Ok(b"hello".to_vec()));
    assert_pending(rig.recv(&mut connection));
    drop(client);
    assert_eq!(rig.recv_now(&mut connection), Ok(Vec::new()));
}

#[test]
fn a_cancelled_recv_loses_nothing() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    let socket = connection.socket.as_raw_fd();
    let outcome = rig.backend.cancel(&mut connection.io, connection.key, socket, Direction::Recv);
    assert_eq!(outcome, CancelOutcome::Done);
    client.write_all(b"kept").expect("a write");
    rig.wait_ready(&mut connection);
    assert_eq!(bytes(rig.recv(&mut connection)), b"kept");
}

#[test]
fn a_forgotten_socket_brings_no_event_and_can_come_back() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    rig.backend.forget(&mut connection.io, connection.socket.as_raw_fd());
    assert_eq!(connection.io.flags, 0);
    client.write_all(b"unseen").expect("a write");
    assert!(rig.poll().is_empty());

    let mut again = rig.add(connection.socket);
    assert_eq!(bytes(rig.recv(&mut again)), b"unseen");
    assert_pending(rig.recv(&mut again));
    client.write_all(b"seen").expect("a write");
    assert_eq!(rig.recv_now(&mut again), Ok(b"seen".to_vec()));
}

#[test]
fn a_number_that_is_registered_already_is_taken_over() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let duplicate = server.try_clone().expect("a duplicate");
    let mut first = rig.add(server);
    assert_pending(rig.recv(&mut first));
    let number = first.socket.as_raw_fd();
    // SAFETY: the duplicate is put in the place of a descriptor of the same socket, which is thereby closed.
    assert_eq!(unsafe { libc::dup2(duplicate.as_raw_fd(), number) }, number);
    let mut second = rig.add(first.socket);
    assert_pending(rig.recv(&mut second));
    client.write_all(b"for the second").expect("a write");
    assert_eq!(rig.recv_now(&mut second), Ok(b"for the second".to_vec()));
}

#[test]
fn a_closed_number_is_an_error() {
    let mut rig = Rig::new(64);
    let (mut io, key) = (SocketIo::default(), Key { index: 1, generation: 1 });
    // Above every limit on descriptors, hence never open.
    let result = rig.backend.recv(&mut io, key, i32::MAX, &mut rig.pool);
    assert_eq!(done(result).map(|_| ()), Err(Failure::Os(libc::EBADF)));
}

#[test]
fn no_buffer_is_told_and_nothing_is_read() {
    in_child(module_path!(), "no_buffer_is_told_and_nothing_is_read", || {
        let (server, mut client) = tcp();
        let mut rig = Rig::new(crate::options::MAX_READ_BUFFER_SIZE);
        let mut connection = rig.add(server);
        client.write_all(b"patience").expect("a write");
        set_limit(libc::RLIMIT_AS, 512 << 20);
        assert_eq!(done(rig.recv(&mut connection)).map(|_| ()), Err(Failure::NoBuffer));
        rig.pool = BufferPool::new(64);
        assert_eq!(bytes(rig.recv(&mut connection)), b"patience");
    });
}
