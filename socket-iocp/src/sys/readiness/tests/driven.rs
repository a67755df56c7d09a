//! A port that its caller drives: the descriptor for a foreign event loop.

use super::*;
use std::thread;
use std::time::Instant;

/// A foreign event loop: an edge-triggered poll over the descriptor, and poll(2), which is level-triggered.
struct Foreign {
    descriptor: RawSocket,
    edges: Poll,
}

impl Foreign {
    fn new(rig: &Rig) -> Foreign {
        let descriptor = rig.backend.pollable().expect("a descriptor");
        let edges = Poll::new().expect("a poll");
        edges.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).expect("a registration");
        Foreign { descriptor, edges }
    }

    fn is_readable(&self, timeout: Duration) -> bool {
        let mut query = libc::pollfd { fd: self.descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: one `pollfd`, borrowed for the call.
        let found = unsafe { libc::poll(&mut query, 1, timeout.as_millis() as i32) };
        assert!(found >= 0);
        found == 1 && query.revents & libc::POLLIN != 0
    }

    fn is_readable_now(&self) -> bool {
        self.is_readable(Duration::ZERO)
    }

    fn wait(&mut self) {
        let mut events = Events::with_capacity(4);
        self.edges.poll(&mut events, Some(LONG)).expect("a poll");
        assert!(!events.is_empty(), "no edge in {LONG:?}");
        assert!(self.is_readable_now());
    }
}

#[test]
fn only_a_driven_backend_has_a_descriptor() {
    assert_eq!(Rig::new(64).backend.pollable(), None);
}

#[test]
fn a_completion_shows_until_it_is_taken() {
    let mut rig = Rig::with(64, true);
    let mut foreign = Foreign::new(&rig);
    let (server, mut client) = tcp();
    let mut connection = rig.add(server);
    for _ in 0..3 {
        assert_pending(rig.recv(&mut connection));
        assert!(!foreign.is_readable_now());
        client.write_all(b"x").expect("a write");
        foreign.wait();
        assert!(foreign.is_readable_now());
        assert_eq!(rig.recv_now(&mut connection), Ok(b"x".to_vec()));
        assert!(!foreign.is_readable_now());
    }
}

#[test]
fn a_wake_up_shows_until_it_is_taken() {
    let mut rig = Rig::with(64, true);
    let mut foreign = Foreign::new(&rig);
    for _ in 0..3 {
        assert!(!foreign.is_readable_now());
        let waker = rig.backend.waker();
        thread::spawn(move || waker.wake()).join().expect("no panic");
        foreign.wait();
        assert!(matches!(rig.poll().as_slice(), [Completion::Woken]));
    }
    assert!(!foreign.is_readable_now());
}

#[test]
fn a_deadline_shows_when_it_has_passed() {
    let mut rig = Rig::with(64, true);
    let mut foreign = Foreign::new(&rig);
    for _ in 0..3 {
        let (start, after) = (Instant::now(), Duration::from_millis(20));
        rig.backend.set_deadline(Some(after));
        foreign.wait();
        assert!(start.elapsed() >= after);
        assert!(rig.poll().is_empty());
        assert!(!foreign.is_readable_now());
    }
}

#[test]
fn a_deadline_can_be_replaced_and_taken_away() {
    let mut rig = Rig::with(64, true);
    let foreign = Foreign::new(&rig);
    rig.backend.set_deadline(Some(Duration::ZERO));
    assert!(foreign.is_readable(LONG));
    rig.backend.set_deadline(Some(LONG));
    assert!(!foreign.is_readable_now(), "the one before has been taken back");
    rig.backend.set_deadline(Some(Duration::from_micros(1)));
    assert!(foreign.is_readable(LONG));
    rig.backend.set_deadline(None);
    assert!(!foreign.is_readable_now());
    rig.backend.set_deadline(Some(Duration::MAX));
    assert!(!foreign.is_readable_now());
}

#[test]
fn a_deadline_ends_a_wait() {
    let mut rig = Rig::with(64, true);
    rig.backend.set_deadline(Some(Duration::from_millis(1)));
    rig.backend.wait(None, &mut rig.pool).expect("a wait");
    assert!(rig.next().is_none());
}

#[test]
fn events_not_given_out_show() {
    let mut rig = Rig::with(64, true);
    let foreign = Foreign::new(&rig);
    rig.backend.waker().wake();
    rig.wait(LONG);
    rig.backend.set_deadline(None);
    assert!(foreign.is_readable(LONG));
    assert!(matches!(rig.next(), Some(Completion::Woken)));
    rig.backend.set_deadline(None);
    assert!(!foreign.is_readable_now());
}
