//! A backend without a thread of its own: its descriptor, its deadline, callers that come and go.

use super::*;
use std::io::Write;
use std::thread;
use std::time::Instant;

/// Whether the pollable descriptor is readable, within the time.
fn readable(rig: &Rig, timeout: Duration) -> bool {
    let fd = rig.backend.pollable().expect("driven");
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, written during the call.
    let ready = unsafe { libc::poll(&mut poll, 1, timeout.as_millis() as i32) };
    assert!(ready >= 0, "{}", std::io::Error::last_os_error());
    ready == 1
}

fn driven() -> Rig {
    Rig::with(BUFFER_SIZE, true)
}

#[test]
fn only_a_driven_backend_is_pollable() {
    assert_eq!(Rig::new().backend.pollable(), None);
    assert!(driven().backend.pollable().is_some());
}

#[test]
fn a_completion_makes_the_descriptor_readable_until_it_is_taken() {
    let mut rig = driven();
    let (mut peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    rig.backend.set_deadline(None);
    assert!(!readable(&rig, Duration::ZERO));
    peer.write_all(b"x").expect("written");
    assert!(readable(&rig, LONG));
    assert_eq!(rig.received(key(1)).expect("data").len(), 1);
    assert!(rig.poll().is_none());
    rig.backend.set_deadline(None);
    assert!(!readable(&rig, Duration::ZERO));
}

#[test]
fn completions_put_aside_show_in_the_descriptor() {
    let mut rig = driven();
    let (mut peer, socket) = tcp_pair();
    rig.recv(key(1), &socket);
    rig.backend.set_deadline(None);
    peer.write_all(b"x").expect("written");
    rig.backend.waker().wake();
    assert!(readable(&rig, LONG));
    // As a submission does for which the kernel has no memory. The wake-up's is among them.
    rig.backend.ring.enter(0, false, None).expect("the ring is sound");
    rig.backend.ring.spill_completions();
    assert!(!readable(&rig, Duration::ZERO));
    rig.backend.set_deadline(None);
    assert!(readable(&rig, LONG));
    let mut found = [rig.next(), rig.next()].map(|completion| match completion {
        Completion::Woken => 0,
        Completion::Recv { result, .. } => result.expect("data").len(),
        other => panic!("{other:?}"),
    });
    found.sort();
    assert_eq!(found, [0, 1]);
    rig.assert_quiet();
    rig.backend.set_deadline(None);
    assert!(!readable(&rig, Duration::ZERO));
}

#[test]
fn a_wake_makes_the_descriptor_readable_from_the_start_and_again() {
    let mut rig = driven();
    assert!(!readable(&rig, Duration::ZERO));
    for _ in 0..3 {
        let waker = rig.backend.waker();
        thread::spawn(move || waker.wake()).join().expect("no panic");
        assert!(readable(&rig, LONG));
        assert!(matches!(rig.next(), Completion::Woken));
        assert!(rig.poll().is_none());
        rig.backend.set_deadline(None);
        assert!(!readable(&rig, Duration::ZERO));
    }
}

#[test]
fn a_deadline_makes_the_descriptor_readable_when_it_has_passed() {
    let mut rig = driven();
    for _ in 0..3 {
        let (start, after) = (Instant::now(), Duration::from_millis(30));
        rig.backend.set_deadline(Some(after));
        assert!(readable(&rig, LONG));
        assert!(start.elapsed() >= after);
        rig.assert_quiet();
        assert!(!readable(&rig, Duration::ZERO));
    }
}

#[test]
fn a_deadline_replaces_the_one_before() {
    let mut rig = driven();
    let start = Instant::now();
    rig.backend.set_deadline(Some(LONG));
    rig.backend.set_deadline(Some(Duration::from_millis(10)));
    rig.backend.set_deadline(Some(Duration::from_millis(60)));
    assert!(readable(&rig, LONG));
    assert!((Duration::from_millis(59)..LONG).contains(&start.elapsed()), "{:?}", start.elapsed());
    rig.assert_quiet();
    rig.backend.set_deadline(Some(Duration::from_millis(10)));
    rig.backend.set_deadline(None);
    assert!(!readable(&rig, Duration::from_millis(60)));
    rig.backend.set_deadline(Some(Duration::MAX));
    assert!(!readable(&rig, Duration::ZERO));
    rig.backend.set_deadline(Some(Duration::ZERO));
    assert!(readable(&rig, LONG));
}

#[test]
fn setting_deadlines_over_and_over_makes_nothing_readable() {
    let mut rig = driven();
    for turn in 0..100 {
        rig.backend.set_deadline(Some(LONG + Duration::from_millis(10 * (turn % 7))));
        rig.backend.set_deadline(None);
        assert!(!readable(&rig, Duration::ZERO));
    }
    assert_eq!(rig.backend.pending, 2, "the wake-up's read and the timeout");
}

#[test]
fn operations_outlive_the_thread_that_submitted_them() {
    let (mut peer, socket) = tcp_pair();
    let listener = listener();
    let (socket, listener, mut rig) = thread::spawn(move || {
        let mut rig = driven();
        rig.recv(key(1), &socket);
        rig.accept(LISTENER, &listener);
        rig.backend.set_deadline(None);
        (socket, listener, rig)
    })
    .join()
    .expect("no panic");
    peer.write_all(b"kept").expect("written");
    assert!(readable(&rig, LONG));
    let data = match rig.received(key(1)) {
        Err(Failure::Again) => {
            rig.recv(key(1), &socket);
            rig.received(key(1))
        }
        result => result,
    };
    assert_eq!(&data.expect("data")[..], b"kept");
    rig.backend.waker().wake();
    assert!(matches!(rig.next(), Completion::Woken));
    let _client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    loop {
        match rig.next() {
            Completion::Accept { result: Err(Failure::Again), .. } => rig.accept(LISTENER, &listener),
            Completion::Accept { result, .. } => {
                own(result.expect("accepted"));
                return;
            }
            // A wake-up may be told of twice when its thread has ended.
            Completion::Woken => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_cancel_from_another_thread_is_a_cancel() {
    let (_peer, socket) = tcp_pair();
    let (socket, mut rig) = thread::spawn(move || {
        let mut rig = driven();
        rig.recv(key(1), &socket);
        rig.backend.set_deadline(None);
        (socket, rig)
    })
    .join()
    .expect("no panic");
    rig.cancel(key(1), &socket, Direction::Recv);
    assert_eq!(rig.received(key(1)).map(|_| ()), Err(Failure::Cancelled));
}

#[test]
fn threads_may_take_turns() {
    let (mut peer, socket) = tcp_pair();
    let rig = std::sync::Mutex::new(driven());
    for turn in 0..20_u8 {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut rig = rig.lock().expect("no panic");
                rig.recv(key(1), &socket);
                rig.wait(Duration::ZERO);
            });
        });
        peer.write_all(&[turn]).expect("written");
        let mut rig = rig.lock().expect("no panic");
        loop {
            match rig.next() {
                Completion::Recv { result: Err(Failure::Again), .. } => rig.recv(key(1), &socket),
                Completion::Recv { result, .. } => {
                    assert_eq!(&result.expect("data")[..], [turn]);
                    break;
                }
                Completion::Woken => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
