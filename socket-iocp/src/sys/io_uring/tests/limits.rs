//! What runs out: buffers, submission entries, completion entries, the arena; and a kernel that does not let wait.

use super::super::tag::{Kind, Tag};
use super::*;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Receives one byte from each socket, submitting again whatever found no buffer; gives the number of refusals.
fn receive_from_all(rig: &mut Rig, sockets: &[(UnixStream, UnixStream)], kept: &mut Vec<ReadBuffer>) -> usize {
    let mut refusals = 0;
    let mut waiting: HashSet<u32> = (0..sockets.len() as u32).collect();
    for index in 0..sockets.len() as u32 {
        rig.recv(key(index), &sockets[index as usize].1);
    }
    while !waiting.is_empty() {
        match rig.next() {
            Completion::Recv { key: Key { index, .. }, result: Ok(buffer) } => {
                assert_eq!(&buffer[..], [index as u8]);
                assert!(waiting.remove(&index), "each recv completes once");
                kept.push(buffer);
            }
            Completion::Recv { key, result: Err(Failure::NoBuffer) } => {
                refusals += 1;
                rig.recv(key, &sockets[key.index as usize].1);
            }
            other => panic!("{other:?}"),
        }
    }
    rig.assert_quiet();
    refusals
}

fn ready_pairs(count: u32) -> Vec<(UnixStream, UnixStream)> {
    let pairs: Vec<_> = (0..count).map(|_| UnixStream::pair().expect("a pair")).collect();
    make_ready(&pairs);
    pairs
}

fn make_ready(pairs: &[(UnixStream, UnixStream)]) {
    for (index, (peer, _)) in pairs.iter().enumerate() {
        (&*peer).write_all(&[index as u8]).expect("written");
    }
}

#[test]
fn more_ready_sockets_than_buffers_are_served_and_the_ring_grows() {
    let mut rig = Rig::new();
    let pairs = ready_pairs(200);
    let mut kept = Vec::new();
    assert!(receive_from_all(&mut rig, &pairs, &mut kept) > 0, "32 buffers do not do for 200 sockets");
    let grown = rig.backend.memory.buffers.target();
    assert!((64..=256).contains(&grown), "{grown}");
    // What the program keeps is its own; the ring is filled again, and large enough the next time but one.
    make_ready(&pairs);
    receive_from_all(&mut rig, &pairs, &mut kept);
    make_ready(&pairs);
    assert_eq!(receive_from_all(&mut rig, &pairs, &mut kept), 0);
    assert_eq!(kept.iter().map(|buffer| buffer.len()).sum::<usize>(), 600);
}

#[test]
fn a_ring_of_one_huge_buffer_serves_one_socket_at_a_time() {
    let mut rig = Rig::with(16 << 20, false);
    let pairs = ready_pairs(5);
    assert!(receive_from_all(&mut rig, &pairs, &mut Vec::new()) > 0);
    assert_eq!(rig.backend.memory.buffers.provided(), 1);
}

#[test]
fn waiting_recvs_hold_no_buffer() {
    let mut rig = Rig::new();
    let pairs: Vec<_> = (0..100).map(|_| UnixStream::pair().expect("a pair")).collect();
    for (index, (_, socket)) in (0..).zip(&pairs) {
        rig.recv(key(index), socket);
    }
    rig.assert_quiet();
    // 100 wait, 32 buffers: none of them is taken, so 32 can be served with no refusal.
    make_ready(&pairs[..32]);
    for _ in 0..32 {
        match rig.next() {
            Completion::Recv { result: Ok(buffer), .. } => assert_eq!(buffer.len(), 1),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.backend.memory.buffers.target(), 32);
}

#[test]
fn a_fin_leaves_the_buffers_where_they_are() {
    let mut rig = Rig::new();
    let (peer, socket) = UnixStream::pair().expect("a pair");
    drop(peer);
    for _ in 0..1000 {
        rig.recv(key(1), &socket);
        assert!(rig.received(key(1)).expect("FIN").is_empty());
    }
    assert_eq!(rig.backend.memory.buffers.provided(), 32);
}

#[test]
fn more_operations_than_both_queues_hold_all_complete() {
    // Twenty thousand accepts and their cancels: 20 submission queues full, and more completions than 16,384.
    const ACCEPTS: usize = 20_000;
    const CLIENTS: usize = 10;
    let mut rig = Rig::new();
    let listener = listener();
    for _ in 0..ACCEPTS {
        rig.accept(LISTENER, &listener);
    }
    let address = listener.local_addr().expect("bound");
    let _clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(address).expect("connected")).collect();
    let mut sockets = Vec::new();
    while sockets.len() < CLIENTS {
        sockets.push(rig.accepted(LISTENER).expect("accepted"));
    }
    rig.backend.cancel_accepts(LISTENER, listener.as_raw_fd());
    for _ in 0..ACCEPTS - CLIENTS {
        assert_eq!(rig.accepted(LISTENER).map(|_| ()), Err(Failure::Cancelled));
    }
    rig.assert_quiet();
    assert_eq!(rig.backend.pending, 1, "the wake-up's read alone");
}

#[test]
fn an_accept_that_its_cancel_has_missed_is_cancelled_again() {
    let mut rig = Rig::new();
    let listener = listener();
    rig.accept(LISTENER, &listener);
    let missed = Tag::of_cancel(rig.backend.memory.accepts.pending(0, LISTENER).expect("the first"));
    // What the kernel says of an accept that it is about to let wait again.
    rig.backend.pending += 1;
    assert!(rig.backend.answer(missed, -libc::ENOENT, 0, &mut rig.pool).is_none());
    assert_eq!(rig.accepted(LISTENER).map(|_| ()), Err(Failure::Cancelled));
    // Of one that has ended, there is nothing left to do.
    rig.backend.pending += 1;
    assert!(rig.backend.answer(missed, -libc::ENOENT, 0, &mut rig.pool).is_none());
    rig.assert_quiet();
    assert_eq!(rig.backend.pending, 1, "the wake-up's read alone");
}

/// Queues many messages at once, of slices of one byte, and checks that each arrives whole. They go to one socket,
/// which has room for all of them, so none waits and is overtaken.
fn send_messages<const SLICES: usize>(count: u32) {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let messages: Vec<[u8; SLICES]> =
        (0..count).map(|index| std::array::from_fn(|slice| (index.wrapping_mul(7) + slice as u32) as u8)).collect();
    for (index, message) in (0..).zip(&messages) {
        let slices: Vec<&[u8]> = message.chunks(1).collect();
        rig.send(key(index), &socket, &slices);
    }
    for _ in &messages {
        match rig.next() {
            Completion::Send { result, .. } => assert_eq!(result, Ok(SLICES)),
            other => panic!("{other:?}"),
        }
    }
    for message in &messages {
        let mut arrived = [0; SLICES];
        peer.read_exact(&mut arrived).expect("read");
        assert_eq!(arrived, *message);
    }
}

#[test]
fn more_slices_than_the_arena_holds_are_sent_whole() {
    send_messages::<64>(300);
}

#[test]
fn more_messages_than_the_arena_holds_are_sent_whole() {
    send_messages::<2>(1500);
}

#[test]
fn more_sends_than_the_submission_queue_holds_are_sent_whole() {
    send_messages::<1>(2500);
}

#[test]
fn a_message_pushed_onto_a_full_submission_queue_is_not_overwritten() {
    let mut rig = Rig::new();
    let listener = listener();
    let (mut peer, socket) = tcp_pair();
    let bytes: [u8; 4] = std::array::from_fn(|byte| byte as u8);
    // Messages right at the edge of the queue, after the submission that the full queue forces.
    for edge in 0..4 {
        while !rig.backend.ring.is_full() {
            rig.accept(LISTENER, &listener);
        }
        for index in 0..3 {
            let [first, second] = [edge, index].map(|byte| std::slice::from_ref(&bytes[byte]));
            rig.send(key((edge * 3 + index) as u32), &socket, &[first, second]);
        }
    }
    rig.wait(LONG);
    let mut sent = 0;
    while sent < 12 {
        match rig.next() {
            Completion::Send { result: Ok(2), .. } => sent += 1,
            other => panic!("{other:?}"),
        }
    }
    let mut arrived = [0; 24];
    peer.read_exact(&mut arrived).expect("read");
    let expected: Vec<u8> = (0..4).flat_map(|edge| (0..3).flat_map(move |index| [edge, index])).collect();
    assert_eq!(arrived[..], expected[..]);
}

/// Answers a pending operation with EAGAIN, as a kernel would that does not let it wait: the real one is cancelled.
fn refuse(rig: &mut Rig, tag: Tag) -> Completion {
    rig.backend.push_cancel(tag);
    while rig.backend.ring.queued() > 0 {
        rig.backend.submit_all().expect("the ring is sound");
    }
    loop {
        match rig.backend.ring.take_completion() {
            Some(entry) if entry.user_data() == tag.user_data() => {
                assert_eq!(entry.result(), -libc::ECANCELED);
                let completion = rig.backend.answer(tag, -libc::EAGAIN, 0, &mut rig.pool);
                return completion.expect("the operation's own");
            }
            Some(entry) => assert!(rig.backend.complete(&entry, &mut rig.pool).is_none(), "the cancel's own"),
            None => {
                rig.backend.ring.enter(0, true, Some(LONG)).expect("the ring is sound");
            }
        }
    }
}

#[test]
fn a_refused_recv_is_polled_for() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    let completion = refuse(&mut rig, Tag::of_socket(Kind::Recv, key(1)));
    assert!(matches!(completion, Completion::Recv { result: Err(Failure::Again), .. }), "{completion:?}");
    rig.recv(key(1), &socket);
    assert_eq!(rig.backend.polls, 1);
    rig.assert_quiet();
    peer.write_all(b"x").expect("written");
    assert_eq!(rig.received(key(1)).map(|_| ()), Err(Failure::Again));
    assert_eq!(rig.backend.polls, 0);
    rig.recv(key(1), &socket);
    assert_eq!(&rig.received(key(1)).expect("data")[..], b"x");
}

#[test]
fn a_poll_for_a_refused_operation_is_cancelled_like_the_operation() {
    let mut rig = Rig::new();
    let (_peer, socket) = tcp_pair();
    let listener = listener();
    rig.recv(key(1), &socket);
    refuse(&mut rig, Tag::of_socket(Kind::Recv, key(1)));
    rig.recv(key(1), &socket);
    rig.assert_quiet();
    rig.cancel(key(1), &socket, Direction::Recv);
    assert_eq!(rig.received(key(1)).map(|_| ()), Err(Failure::Cancelled));
    rig.accept(LISTENER, &listener);
    let tag = find_accept(&rig).expect("pending");
    refuse(&mut rig, tag);
    rig.accept(LISTENER, &listener);
    rig.assert_quiet();
    rig.backend.cancel_accepts(LISTENER, listener.as_raw_fd());
    assert_eq!(rig.accepted(LISTENER).map(|_| ()), Err(Failure::Cancelled));
    assert_eq!(rig.backend.polls, 0);
    rig.assert_quiet();
}

fn find_accept(rig: &Rig) -> Option<Tag> {
    let accepts = &rig.backend.memory.accepts;
    (0..accepts.len()).find_map(|index| accepts.pending(index, LISTENER))
}

#[test]
fn a_refused_accept_is_polled_for() {
    let mut rig = Rig::new();
    let listener = listener();
    rig.accept(LISTENER, &listener);
    let tag = find_accept(&rig).expect("pending");
    refuse(&mut rig, tag);
    rig.accept(LISTENER, &listener);
    rig.assert_quiet();
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    assert_eq!(rig.accepted(LISTENER).map(|_| ()), Err(Failure::Again));
    rig.accept(LISTENER, &listener);
    let (_, accepted) = rig.accepted(LISTENER).expect("accepted");
    assert_eq!(accepted.remote.and_then(|address| address.as_socket()), client.local_addr().ok());
}
