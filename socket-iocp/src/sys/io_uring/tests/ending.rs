//! Threads, and the drop of a backend with operations under way.

use super::*;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

#[test]
fn a_backend_made_here_works_there() {
    let mut rig = Rig::unstarted(BUFFER_SIZE, false);
    let (mut peer, socket) = tcp_pair();
    peer.write_all(b"x").expect("written");
    thread::spawn(move || {
        rig.backend.start().expect("the ring is enabled");
        rig.recv(key(1), &socket);
        assert_eq!(rig.received(key(1)).expect("data").len(), 1);
    })
    .join()
    .expect("no panic");
}

#[test]
fn a_backend_that_was_never_started_is_dropped() {
    let mut rig = Rig::unstarted(BUFFER_SIZE, false);
    let (mut peer, mut socket) = UnixStream::pair().expect("a pair");
    rig.recv(key(1), &socket);
    thread::spawn(move || drop(rig)).join().expect("no panic");
    peer.write_all(b"x").expect("written");
    assert_eq!(socket.read(&mut [0; 8]).expect("nobody else has taken it"), 1);
}

/// After the drop no operation may be left to take the data: it stays in the socket.
#[test]
fn a_drop_ends_recvs_before_it_frees_their_buffers() {
    for driven in [false, true] {
        let mut rig = Rig::with(BUFFER_SIZE, driven);
        let pairs: Vec<_> = (0..100).map(|_| UnixStream::pair().expect("a pair")).collect();
        for (index, (_, socket)) in (0..).zip(&pairs) {
            rig.recv(key(index), socket);
        }
        rig.assert_quiet();
        assert!(rig.backend.in_kernel() > 100);
        assert!(rig.backend.quiesce());
        assert_eq!(rig.backend.in_kernel(), 0, "the kernel has told of the end of each");
        drop(rig);
        for (mut peer, mut socket) in pairs {
            peer.write_all(b"mine").expect("written");
            let mut data = [0; 4];
            socket.set_nonblocking(true).expect("O_NONBLOCK");
            socket.read_exact(&mut data).expect("nobody else has taken it");
            assert_eq!(&data, b"mine");
        }
    }
}

#[test]
fn a_drop_ends_a_send_before_its_bytes_go() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let whole = vec![7; 24_000_000];
    rig.send(key(1), &socket, &[&whole]);
    rig.assert_quiet();
    drop(rig);
    drop(whole);
    drop(socket);
    let mut arrived = Vec::new();
    peer.read_to_end(&mut arrived).expect("read");
    assert!(arrived.len() < 24_000_000 && arrived.iter().all(|byte| *byte == 7));
}

#[test]
fn a_drop_submits_nothing_that_was_only_queued() {
    let mut rig = Rig::new();
    let (mut peer, mut socket) = UnixStream::pair().expect("a pair");
    rig.assert_quiet();
    peer.write_all(b"x").expect("written");
    rig.recv(key(1), &socket);
    rig.send(key(1), &socket, &[b"never"]);
    drop(rig);
    assert_eq!(socket.read(&mut [0; 8]).expect("read"), 1);
    drop(socket);
    assert_eq!(peer.read(&mut [0; 8]).expect("FIN"), 0);
}

#[test]
fn a_drop_closes_connections_that_nobody_was_told_of() {
    let mut rig = Rig::new();
    let listener = listener();
    for _ in 0..10 {
        rig.accept(LISTENER, &listener);
    }
    rig.assert_quiet();
    let address = listener.local_addr().expect("bound");
    let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).expect("connected")).collect();
    rig.wait(LONG);
    drop(rig);
    drop(listener);
    for mut client in clients {
        client.set_read_timeout(Some(LONG)).expect("a timeout");
        match client.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The kernel refuses the wrong thread, so the memory has to stay; that thread's own ring, at the same place of its
/// table of registered rings, must not be taken for the other.
#[test]
fn a_drop_on_the_wrong_thread_harms_nobody() {
    let mut foreign = Rig::new();
    let (mut peer, socket) = UnixStream::pair().expect("a pair");
    foreign.recv(key(1), &socket);
    foreign.assert_quiet();
    thread::spawn(move || {
        let mut rig = Rig::new();
        let (mut peer, socket) = UnixStream::pair().expect("a pair");
        rig.recv(key(2), &socket);
        rig.assert_quiet();
        foreign.backend.ring.unregister();
        assert!(!foreign.backend.quiesce() && foreign.backend.in_kernel() > 0, "the memory stays");
        drop(foreign);
        peer.write_all(b"y").expect("written");
        assert_eq!(rig.received(key(2)).expect("data").len(), 1);
    })
    .join()
    .expect("no panic");
    peer.write_all(b"x").expect("written");
    let mut rig = Rig::new();
    rig.backend.waker().wake();
    assert!(matches!(rig.next(), Completion::Woken));
}

#[test]
fn rings_come_and_go_on_one_thread() {
    // The thread's table of registered rings has 16 places: each ring gives its place back.
    for _ in 0..40 {
        let mut rig = Rig::new();
        assert!(rig.backend.ring.is_registered());
        rig.backend.waker().wake();
        assert!(matches!(rig.next(), Completion::Woken));
    }
    // More at once than places: the others do without.
    let mut rigs: Vec<Rig> = (0..20).map(|_| Rig::new()).collect();
    for rig in &mut rigs {
        rig.backend.waker().wake();
        assert!(matches!(rig.next(), Completion::Woken));
    }
    assert!(rigs.iter().any(|rig| !rig.backend.ring.is_registered()));
}
