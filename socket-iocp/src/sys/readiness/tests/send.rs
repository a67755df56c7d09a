//! Send: whole, in part, gathered, and to a peer that has gone.

use super::*;
use std::io::Read;

/// Bytes that differ from their neighbours at every distance a wrong order could bring.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8).collect()
}

/// Fills the peer's and the kernel's buffers.
fn fill(rig: &mut Rig, connection: &mut Connection) -> usize {
    let (block, mut sent) = (vec![0; 1 << 20], 0);
    while let Submitted::Done(result) = rig.send(connection, &[&block]) {
        sent += result.expect("a send");
    }
    sent
}

#[test]
fn a_gather_of_the_most_slices_leaves_in_order() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    let bytes = pattern(MAX_GATHER * 10);
    let slices: Vec<&[u8]> = bytes.chunks(10).collect();
    assert_eq!(done(rig.send(&mut connection, &slices)), Ok(bytes.len()));
    let mut received = vec![0; bytes.len()];
    client.read_exact(&mut received).expect("a read");
    assert_eq!(received, bytes);
}

#[test]
fn slices_above_the_most_wait_for_the_next_send() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    let bytes = pattern((MAX_GATHER + 1) * 10);
    let slices: Vec<&[u8]> = bytes.chunks(10).collect();
    assert_eq!(done(rig.send(&mut connection, &slices)), Ok(MAX_GATHER * 10));
    assert_ne!(connection.io.flags & flags::WRITABLE, 0, "the socket took all that it was given");
    assert_eq!(done(rig.send(&mut connection, &slices[MAX_GATHER..])), Ok(10));
    let mut received = vec![0; bytes.len()];
    client.read_exact(&mut received).expect("a read");
    assert_eq!(received, bytes);
}

#[test]
fn a_send_is_cut_where_systems_refuse_it() {
    let zeros = vec![0; (1 << 30) + 1];
    assert_eq!(Gather::new([zeros.as_slice()].into_iter()).bytes(), 1 << 30);
    let (first, second) = zeros.split_at(100);
    let gather = Gather::new([first, second, first].into_iter());
    assert_eq!(gather.bytes(), 1 << 30);
}

/// The peer reads only when the sender can send no more, so that every send but the last is in part or waits.
fn send_to_a_slow_reader(server: OwnedFd, mut client: impl Read + AsRawFd) {
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    let bytes = pattern(16 << 20);
    let (mut sent, mut received, mut waits) = (0, Vec::with_capacity(bytes.len()), 0);
    let mut block = vec![0; 1 << 20];
    while sent < bytes.len() {
        let (first, second) = bytes[sent..].split_at((bytes.len() - sent) / 2);
        match rig.send(&mut connection, &[first, second]) {
            Submitted::Done(result) => sent += result.expect("a send"),
            Submitted::Pending => {
                waits += 1;
                while received.len() < sent {
                    let count = client.read(&mut block).expect("a read");
                    received.extend_from_slice(&block[..count]);
                }
                while !rig.wait_ready(&mut connection).1 {}
            }
        }
    }
    drop(connection);
    client.read_to_end(&mut received).expect("the rest");
    assert!(waits > 0, "the reader was not slow");
    assert!(received == bytes, "the bytes differ");
}

#[test]
fn a_slow_reader_gets_all_over_tcp() {
    let (server, client) = tcp();
    send_to_a_slow_reader(server.into(), client);
}

#[test]
fn a_slow_reader_gets_all_over_a_socketpair() {
    let (server, client) = UnixStream::pair().expect("a pair");
    send_to_a_slow_reader(server.into(), client);
}

#[test]
fn recv_and_send_wait_on_one_socket() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    let sent = fill(&mut rig, &mut connection);
    client.write_all(b"while you wait").expect("a write");
    assert_eq!(rig.recv_now(&mut connection), Ok(b"while you wait".to_vec()));
    assert_eq!(connection.io.flags & flags::WRITABLE, 0, "the reader has taken nothing");
    client.write_all(b"again").expect("a write");
    client.read_exact(&mut vec![0; sent]).expect("a read");
    // The kernel tells of both at once; nothing has ended, and it must not look so.
    assert_eq!(rig.wait_ready(&mut connection), (true, false));
    assert_eq!(rig.wait_ready(&mut connection), (false, true));
    assert_eq!(connection.io.flags & flags::IN_DOUBT, 0);
    assert_eq!(done(rig.send(&mut connection, &[b"more"])), Ok(4));
    assert_eq!(bytes(rig.recv(&mut connection)), b"again");
}

#[test]
fn a_reset_ends_a_pending_send() {
    let (server, client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    fill(&mut rig, &mut connection);
    reset(client);
    assert_eq!(rig.wait_ready(&mut connection), (true, true));
    assert_eq!(done(rig.send(&mut connection, &[b"lost"])), Err(Failure::Os(libc::ECONNRESET)));
}

#[test]
fn a_cancelled_send_leaves_the_socket_usable() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    let sent = fill(&mut rig, &mut connection);
    let socket = connection.socket.as_raw_fd();
    let outcome = rig.backend.cancel(&mut connection.io, connection.key, socket, Direction::Send);
    assert_eq!(outcome, CancelOutcome::Done);
    client.read_exact(&mut vec![0; sent]).expect("a read");
    while !rig.wait_ready(&mut connection).1 {}
    assert_eq!(done(rig.send(&mut connection, &[b"x"])), Ok(1));
}

#[test]
fn a_number_that_became_a_strangers_is_no_longer_watched() {
    let ((server, _client), (stranger, _peer)) = (tcp(), tcp());
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    assert_pending(rig.recv(&mut connection));
    let number = connection.socket.as_raw_fd();
    // SAFETY: the number stays open, now as the stranger's socket, and the connection owns it.
    assert_eq!(unsafe { libc::dup2(stranger.as_raw_fd(), number) }, number);
    let block = vec![0; 1 << 20];
    let end = loop {
        match rig.send(&mut connection, &[&block]) {
            Submitted::Done(Ok(_)) => {}
            Submitted::Done(Err(failure)) => break failure,
            Submitted::Pending => panic!("the stranger is waited for"),
        }
    };
    assert_eq!(end, Failure::Os(libc::EBADF));
}

#[test]
fn a_peer_that_has_gone_raises_no_signal() {
    in_child(module_path!(), "a_peer_that_has_gone_raises_no_signal", || {
        // SAFETY: this process runs this one test; std has set the signal to be ignored, which would prove nothing.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let (server, client) = UnixStream::pair().expect("a pair");
        let mut rig = Rig::new(64);
        let mut connection = rig.add(server);
        drop(client);
        assert_eq!(done(rig.send(&mut connection, &[b"one"])), Err(Failure::Os(libc::EPIPE)));
        assert_eq!(done(rig.send(&mut connection, &[b"one", b"two"])), Err(Failure::Os(libc::EPIPE)));
    });
}
