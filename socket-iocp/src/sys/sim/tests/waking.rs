//! Wake-ups from other threads, doubled and stray ones.

use super::*;
use crate::sys::errno;

fn woken(completions: &[Completion]) -> usize {
    completions.iter().filter(|completion| matches!(completion, Completion::Woken)).count()
}

#[test]
fn a_wake_before_the_wait_is_kept_and_reported_once() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let waker = rig.backend.waker();
    waker.wake();
    waker.wake();
    assert_eq!(woken(&rig.wait()), 1);
    assert!(rig.poll().is_empty());
}

#[test]
fn a_wake_ends_a_wait_of_another_thread() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let waker = rig.backend.waker();
    let waiter = std::thread::spawn(move || woken(&rig.wait()));
    waker.wake();
    assert_eq!(waiter.join().expect("no panic"), 1);
}

#[test]
fn a_wake_reaches_its_own_backend_only() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let mut other = Rig::on(&rig.network);
    other.backend.waker().wake();
    assert!(rig.poll().is_empty());
    assert_eq!(woken(&other.poll()), 1);
}

#[test]
fn wakes_may_be_doubled() {
    let mut rig = Rig::new(1, Behaviour { duplicate_wake_probability: 1.0, ..Behaviour::calm() });
    rig.backend.waker().wake();
    assert_eq!(woken(&rig.wait()), 2);
}

#[test]
fn a_stray_wake_may_come() {
    let mut rig = Rig::new(1, Behaviour { spurious_wake_probability: 1.0, ..Behaviour::calm() });
    assert_eq!(woken(&rig.wait()), 1);
}

#[test]
fn a_fault_of_the_wait_is_reported_once() {
    let mut rig = Rig::new(1, Behaviour::calm());
    rig.network.fail_next(Operation::Wait, errno::ENOMEM);
    let error = rig.backend.wait(None, &mut rig.pool).expect_err("the fault");
    assert_eq!(error.os_error(), Some(errno::ENOMEM));
    assert!(rig.poll().is_empty());
}

#[test]
fn a_wake_comes_anywhere_among_the_completions() {
    let mut places = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut rig = Rig::new(seed, Behaviour::calm());
        let (socket, peer) = rig.pair();
        assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
        peer.write_all(b"x").expect("room");
        rig.backend.waker().wake();
        places.insert(rig.wait().iter().position(|completion| matches!(completion, Completion::Woken)));
        rig.close(socket);
    }
    assert_eq!(Vec::from_iter(places), [Some(0), Some(1)]);
}
