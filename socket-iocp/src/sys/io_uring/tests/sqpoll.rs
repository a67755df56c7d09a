//! A ring whose submissions a thread of the kernel takes.

use super::*;
use std::io::{Read, Write};
use std::thread;

fn rig(idle: Duration) -> Rig {
    let mut rig = Rig::of(&Options::new(BUFFER_SIZE).threads(1).sqpoll(idle));
    assert!(rig.backend.ring.is_polled(), "this kernel gives no thread");
    rig.backend.start().expect("the ring is enabled");
    rig
}

/// Echoes back and forth, so slowly that the thread sleeps in between if it may.
fn exchange(rig: &mut Rig, rounds: usize, pause: Duration) {
    let (mut peer, socket) = tcp_pair();
    for round in 0..rounds {
        rig.recv(key(1), &socket);
        rig.wait(Duration::ZERO);
        thread::sleep(pause);
        peer.write_all(&[round as u8; 100]).expect("written");
        assert_eq!(&rig.received(key(1)).expect("data")[..], [round as u8; 100]);
        rig.send(key(1), &socket, &[&[1; 50], &[2; 50]]);
        assert_eq!(rig.sent(key(1)), Ok(100));
        let mut arrived = [0; 100];
        peer.read_exact(&mut arrived).expect("read");
        assert_eq!((arrived[0], arrived[99]), (1, 2));
    }
}

#[test]
fn it_serves_while_the_thread_is_awake_and_when_it_has_slept() {
    exchange(&mut rig(Duration::from_secs(10)), 100, Duration::ZERO);
    exchange(&mut rig(Duration::from_millis(1)), 10, Duration::from_millis(5));
}

#[test]
fn more_messages_than_arena_and_queue_hold_are_sent_whole() {
    const SENDS: usize = 5000;
    // Until the completions: they are the kernel's from the push on.
    let whole: Vec<u8> = (0..SENDS).flat_map(|count| [count as u8, (count >> 8) as u8]).collect();
    let mut rig = rig(Duration::from_millis(1));
    let (mut peer, socket) = tcp_pair();
    for (count, pair) in whole.chunks_exact(2).enumerate() {
        // Each on its own key: the ring does not know that they are of one socket.
        rig.send(key(count as u32), &socket, &[&pair[..1], &pair[1..]]);
        if count % 1000 == 999 {
            rig.backend.submit_all().expect("a sound ring");
            assert_eq!(rig.backend.ring.queued(), 0);
        }
    }
    let mut ended = 0;
    while ended < SENDS {
        match rig.next() {
            Completion::Send { result: Ok(2), .. } => ended += 1,
            other => panic!("a send of two bytes was to come, not {other:?}"),
        }
    }
    let mut arrived = vec![0; 2 * SENDS];
    peer.read_exact(&mut arrived).expect("read");
    let sorted = |bytes: &[u8]| {
        let mut pairs: Vec<[u8; 2]> = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        pairs.sort();
        pairs
    };
    assert!(sorted(&arrived) == sorted(&whole), "other pairs than were sent");
}

#[test]
fn a_drop_ends_what_is_queued_before_it_frees_the_memory() {
    for _ in 0..20 {
        let mut rig = rig(Duration::from_millis(1));
        let (_peer, socket) = tcp_pair();
        let listener = listener();
        rig.wait(Duration::ZERO);
        for number in 0..50 {
            rig.recv(key(number), &socket);
            rig.accept(LISTENER, &listener);
        }
        assert!(rig.backend.in_kernel() >= 101, "all may be with the kernel");
        assert!(rig.backend.quiesce());
        assert_eq!(rig.backend.in_kernel(), 0);
    }
}

#[test]
fn a_wake_ends_a_wait_and_a_driven_ring_has_no_thread() {
    let mut rig = rig(Duration::from_millis(1));
    let waker = rig.backend.waker();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        waker.wake();
    });
    assert!(matches!(rig.next(), Completion::Woken));
    other.join().expect("no panic");
    let driven = Rig::of(&Options::new(BUFFER_SIZE).threads(0).sqpoll(Duration::from_millis(1)));
    assert!(!driven.backend.ring.is_polled());
}
