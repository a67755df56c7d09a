//! Waiting: time, wake-ups, signals, and events that are not taken at once.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

#[test]
fn a_wait_ends_with_its_time() {
    let mut rig = Rig::new(64);
    let (start, timeout) = (Instant::now(), Duration::from_millis(30));
    rig.wait(timeout);
    assert!(start.elapsed() >= timeout);
    assert!(rig.next().is_none());
}

#[test]
fn another_thread_wakes_an_endless_wait() {
    let mut rig = Rig::new(64);
    for _ in 0..3 {
        let waker = rig.backend.waker();
        let other = thread::spawn(move || waker.wake());
        rig.backend.wait(None, &mut rig.pool).expect("a wait");
        assert!(matches!(rig.next(), Some(Completion::Woken)));
        assert!(rig.next().is_none());
        other.join().expect("no panic");
    }
}

#[test]
fn a_wake_up_before_the_wait_is_not_lost_and_many_may_be_one() {
    let mut rig = Rig::new(64);
    let waker = rig.backend.waker();
    (0..10).for_each(|_| waker.wake());
    rig.wait(LONG);
    assert!(matches!(rig.next(), Some(Completion::Woken)));
    assert!(rig.poll().is_empty());
    waker.wake();
    rig.wait(LONG);
    assert!(matches!(rig.next(), Some(Completion::Woken)));
}

#[test]
fn events_not_taken_survive_the_next_wait() {
    let mut rig = Rig::new(64);
    let (server, client) = tcp();
    let mut first = rig.add(server);
    assert_pending(rig.recv(&mut first));
    rig.backend.waker().wake();
    drop(client);
    let (mut woken, mut ready) = (0, 0);
    while woken + ready < 2 {
        // A wait before each event that is taken.
        rig.wait(LONG);
        match rig.next().expect("an event") {
            Completion::Woken => woken += 1,
            Completion::Ready { key, .. } if key == first.key => ready += 1,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!((woken, ready), (1, 1));
    assert!(rig.poll().is_empty());
}

#[test]
fn many_events_come_without_allocating() {
    let mut rig = Rig::new(64);
    let room = rig.backend.found.capacity();
    let mut peers = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..200 {
        let (server, client) = UnixStream::pair().expect("a pair");
        let mut connection = rig.add(server);
        assert_pending(rig.recv(&mut connection));
        connections.push(connection);
        peers.push(client);
    }
    for peer in &mut peers {
        peer.write_all(b"x").expect("a write");
    }
    for connection in &mut connections {
        assert_eq!(rig.recv_now(connection), Ok(b"x".to_vec()));
    }
    assert_eq!(rig.backend.found.capacity(), room, "events are taken without allocating");
}

extern "C" fn nothing(_: libc::c_int) {}

#[test]
fn a_signal_is_no_error() {
    in_child(module_path!(), "a_signal_is_no_error", || {
        // SAFETY: this process runs this one test, and the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR1, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        let mut rig = Rig::new(64);
        let over = AtomicBool::new(false);
        // SAFETY: the call takes no memory.
        let waiter = unsafe { libc::pthread_self() };
        thread::scope(|scope| {
            scope.spawn(|| {
                // One that comes before the wait interrupts nothing: hence again and again.
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: the waiting thread lives: it joins this one.
                    assert_eq!(unsafe { libc::pthread_kill(waiter, libc::SIGUSR1) }, 0);
                    thread::yield_now();
                }
            });
            let result = rig.backend.wait(None, &mut rig.pool);
            over.store(true, Ordering::Relaxed);
            result.expect("an interrupted wait is no error");
        });
        assert!(rig.next().is_none());
    });
}
