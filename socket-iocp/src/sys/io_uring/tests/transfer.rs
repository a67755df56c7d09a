//! Data, ends and cancels of one socket; accepts; wake-ups.

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

#[test]
fn a_recv_brings_data_then_the_fin() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    rig.assert_quiet();
    peer.write_all(b"hello").expect("written");
    assert_eq!(&rig.received(key(1)).expect("data")[..], b"hello");
    drop(peer);
    for _ in 0..3 {
        rig.recv(key(1), &socket);
        assert!(rig.received(key(1)).expect("FIN").is_empty());
    }
    rig.assert_quiet();
}

#[test]
fn a_recv_brings_one_buffer_at_most() {
    let mut rig = Rig::with(16, false);
    let (mut peer, socket) = UnixStream::pair().expect("a pair");
    peer.write_all(&[7; 40]).expect("written");
    for expected in [16, 16, 8] {
        rig.recv(key(1), &socket);
        assert_eq!(rig.received(key(1)).expect("data").len(), expected);
    }
}

#[test]
fn a_reset_is_an_error_of_the_recv() {
    let mut rig = Rig::new();
    let (peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    rig.assert_quiet();
    reset(peer);
    assert_eq!(rig.received(key(1)).map(|_| ()), Err(Failure::Os(libc::ECONNRESET)));
}

#[test]
fn a_send_to_a_reset_peer_is_an_error() {
    let mut rig = Rig::new();
    let (peer, socket) = tcp_pair();
    reset(peer);
    rig.recv(key(1), &socket);
    assert_eq!(rig.received(key(1)).map(|_| ()), Err(Failure::Os(libc::ECONNRESET)));
    rig.send(key(1), &socket, &[b"a"]);
    assert_eq!(rig.sent(key(1)), Err(Failure::Os(libc::EPIPE)));
    rig.send(key(1), &socket, &[b"a", b"b"]);
    assert_eq!(rig.sent(key(1)), Err(Failure::Os(libc::EPIPE)));
}

#[test]
fn sixty_four_slices_arrive_in_order() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let parts: Vec<Vec<u8>> = (0..64_u8).map(|part| vec![part; 100 + usize::from(part)]).collect();
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let whole = parts.concat();
    rig.send(key(1), &socket, &slices);
    assert_eq!(rig.sent(key(1)), Ok(whole.len()));
    let mut arrived = vec![0; whole.len()];
    peer.read_exact(&mut arrived).expect("read");
    assert_eq!(arrived, whole);
}

#[test]
fn a_send_larger_than_every_buffer_waits_for_its_slow_reader() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let whole: Vec<u8> = (0..24_000_000_u32).map(|byte| (byte % 251) as u8).collect();
    rig.send(key(1), &socket, &[&whole]);
    // The reader starts when the socket takes no more.
    rig.assert_quiet();
    let expected = whole.clone();
    let reader = thread::spawn(move || {
        let mut arrived = Vec::new();
        peer.read_to_end(&mut arrived).expect("read");
        assert!(arrived == expected, "every byte, in order");
    });
    let mut done = 0;
    loop {
        done += rig.sent(key(1)).expect("sent");
        if done == whole.len() {
            break;
        }
        rig.send(key(1), &socket, &[&whole[done..]]);
    }
    drop(socket);
    reader.join().expect("the reader found all as it should be");
}

#[test]
fn a_cancelled_send_reports_what_it_has_sent_and_can_go_on() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let whole: Vec<u8> = (0..24_000_000_u32).map(|byte| (byte % 241) as u8).collect();
    let halves: [&[u8]; 2] = [&whole[..5_000_000], &whole[5_000_000..]];
    rig.send(key(1), &socket, &halves);
    rig.assert_quiet();
    rig.cancel(key(1), &socket, Direction::Send);
    let first = rig.sent(key(1)).expect("a part was sent");
    assert!((1..whole.len()).contains(&first), "{first}");
    let reader = thread::spawn(move || {
        let mut arrived = Vec::new();
        peer.read_to_end(&mut arrived).expect("read");
        arrived
    });
    rig.send(key(1), &socket, &[&whole[first..]]);
    assert_eq!(rig.sent(key(1)), Ok(whole.len() - first));
    drop(socket);
    assert!(reader.join().expect("read") == whole, "every byte, in order");
}

#[test]
fn a_pending_recv_is_cancelled_and_takes_no_later_data() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    rig.assert_quiet();
    rig.cancel(key(1), &socket, Direction::Recv);
    assert_eq!(rig.received(key(1)).map(|_| ()), Err(Failure::Cancelled));
    peer.write_all(b"later").expect("written");
    rig.assert_quiet();
    rig.recv(key(1), &socket);
    assert_eq!(&rig.received(key(1)).expect("data")[..], b"later");
}

#[test]
fn a_recv_cancelled_before_it_was_submitted_still_ends_once() {
    let mut rig = Rig::new();
    let (_peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    rig.cancel(key(1), &socket, Direction::Recv);
    assert_eq!(rig.received(key(1)).map(|_| ()), Err(Failure::Cancelled));
    rig.assert_quiet();
}

#[test]
fn a_cancel_hits_its_own_generation_only() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let old = Key { index: 1, generation: 1 };
    let new = Key { index: 1, generation: 2 };
    rig.recv(new, &socket);
    rig.cancel(old, &socket, Direction::Recv);
    rig.cancel(new, &socket, Direction::Send);
    rig.assert_quiet();
    peer.write_all(b"x").expect("written");
    assert_eq!(rig.received(new).expect("data").len(), 1);
}

#[test]
fn data_that_races_a_cancel_is_reported_or_left_in_the_socket() {
    let mut rig = Rig::new();
    let (mut peer, socket) = UnixStream::pair().expect("a pair");
    let mut writer = peer.try_clone().expect("a clone");
    let (go, start) = std::sync::mpsc::channel();
    let racer = thread::spawn(move || {
        for turn in start {
            writer.write_all(&[turn]).expect("written");
        }
    });
    for turn in 0..200 {
        rig.recv(key(1), &socket);
        rig.wait(Duration::ZERO);
        go.send(turn).expect("the racer lives");
        rig.cancel(key(1), &socket, Direction::Recv);
        let result = match rig.received(key(1)) {
            Err(Failure::Cancelled) => {
                rig.recv(key(1), &socket);
                rig.received(key(1))
            }
            result => result,
        };
        assert_eq!(&result.expect("data")[..], [turn]);
        rig.assert_quiet();
    }
    drop(go);
    racer.join().expect("no panic");
    peer.write_all(b"end").expect("written");
}

#[test]
fn recv_and_send_of_one_socket_are_under_way_together() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    rig.send(key(1), &socket, &[b"ping"]);
    assert_eq!(rig.sent(key(1)), Ok(4));
    let mut ping = [0; 4];
    peer.read_exact(&mut ping).expect("read");
    peer.write_all(&ping).expect("written");
    assert_eq!(&rig.received(key(1)).expect("data")[..], b"ping");
}

#[test]
fn an_accept_brings_the_peers_address_and_a_descriptor_closed_on_exec() {
    let mut rig = Rig::new();
    let listener = listener();
    let address = listener.local_addr().expect("bound");
    for _ in 0..3 {
        rig.accept(LISTENER, &listener);
        rig.assert_quiet();
        let client = TcpStream::connect(address).expect("connected");
        let (socket, accepted) = rig.accepted(LISTENER).expect("accepted");
        let remote = accepted.remote.expect("an address").as_socket();
        assert_eq!(remote, Some(client.local_addr().expect("bound")));
        // SAFETY: asks for a flag.
        let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }
}

#[test]
fn the_accepts_of_one_listener_are_cancelled_and_no_others() {
    let mut rig = Rig::new();
    let (one, other) = (listener(), listener());
    let untouched = ListenerKey(6);
    for _ in 0..70 {
        rig.accept(LISTENER, &one);
        rig.accept(untouched, &other);
    }
    rig.assert_quiet();
    assert_eq!(rig.backend.cancel_accepts(LISTENER, one.as_raw_fd()), CancelOutcome::Requested);
    for _ in 0..70 {
        assert_eq!(rig.accepted(LISTENER).map(|_| ()), Err(Failure::Cancelled));
    }
    rig.assert_quiet();
    let _client = TcpStream::connect(other.local_addr().expect("bound")).expect("connected");
    rig.accepted(untouched).expect("accepted");
}

#[test]
fn a_listener_that_was_closed_for_good_fails_its_accepts() {
    let mut rig = Rig::new();
    let listener = listener();
    rig.accept(LISTENER, &listener);
    rig.assert_quiet();
    // SAFETY: ends the listening.
    assert_eq!(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RD) }, 0);
    assert_eq!(rig.accepted(LISTENER).map(|_| ()), Err(Failure::Os(libc::EINVAL)));
}

#[test]
fn another_thread_wakes_the_waiting_worker() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        let waker = rig.backend.waker();
        let thread = thread::spawn(move || waker.wake());
        assert!(matches!(rig.next(), Completion::Woken));
        thread.join().expect("no panic");
    }
    rig.assert_quiet();
}

#[test]
fn several_wakes_before_the_wait_are_one() {
    let mut rig = Rig::new();
    for _ in 0..10 {
        rig.backend.waker().wake();
    }
    assert!(matches!(rig.next(), Completion::Woken));
    rig.assert_quiet();
}

#[test]
fn a_wait_ends_at_its_timeout_and_not_before() {
    let mut rig = Rig::new();
    let timeout = Duration::from_millis(30);
    let start = Instant::now();
    rig.wait(timeout);
    assert!(start.elapsed() >= timeout);
    assert!(rig.poll().is_none());
}

#[test]
fn a_wait_does_not_block_while_completions_are_untaken() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    peer.write_all(b"x").expect("written");
    rig.recv(key(1), &socket);
    rig.backend.waker().wake();
    rig.wait(LONG);
    assert!(rig.poll().is_some());
    // One of the two is left, or was not seen by the first wait; a blocked wait would never end.
    rig.backend.wait(None, &mut rig.pool).expect("the ring is sound");
    assert!(rig.poll().is_some());
}

#[test]
fn nonblocking_sockets_wait_inside_the_ring_all_the_same() {
    let mut rig = Rig::new();
    let listener = listener();
    listener.set_nonblocking(true).expect("O_NONBLOCK");
    rig.accept(LISTENER, &listener);
    rig.assert_quiet();
    let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (socket, _) = rig.accepted(LISTENER).expect("accepted");
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true).expect("O_NONBLOCK");
    rig.recv(key(1), &socket);
    rig.assert_quiet();
    let whole = vec![3; 24_000_000];
    rig.send(key(1), &socket, &[&whole]);
    rig.assert_quiet();
    peer.write_all(b"x").expect("written");
    assert_eq!(rig.received(key(1)).expect("data").len(), 1);
    let reader = thread::spawn(move || {
        let mut arrived = Vec::new();
        peer.read_to_end(&mut arrived).expect("read");
        arrived.len()
    });
    assert_eq!(rig.sent(key(1)), Ok(whole.len()));
    drop(socket);
    assert_eq!(reader.join().expect("read"), whole.len());
}
