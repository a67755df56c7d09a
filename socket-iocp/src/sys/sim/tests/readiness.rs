//! Operations that end without effect, as on a readiness backend.

use super::super::super::ListenerKey;
use super::*;

/// Everything is reported ready, often for nothing.
fn eager() -> Behaviour {
    Behaviour {
        immediate_probability: 0.5,
        ready_probability: 0.5,
        spurious_ready_probability: 0.5,
        spurious_wake_probability: 0.2,
        ..Behaviour::mild()
    }
}

#[test]
fn a_readiness_ends_the_operation() {
    let mut rig = Rig::new(1, Behaviour { ready_probability: 1.0, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
    peer.write_all(b"there").expect("room");
    let completion = rig.wait_for_one();
    assert!(matches!(completion, Completion::Ready { readable: true, .. }), "{completion:?}");
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(b"there".to_vec()));
    rig.close(socket);
}

#[test]
fn after_a_cancel_no_readiness_ends_it() {
    for seed in 0..300 {
        let mut rig = Rig::new(seed, eager());
        let (socket, _peer) = rig.pair();
        assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
        rig.backend.wait(Some(Duration::ZERO), &mut rig.pool).expect("no fault was injected");
        // Perhaps a readiness is there, not yet taken.
        let mut over = rig.cancel(key(0), socket, Direction::Recv) == CancelOutcome::Done;
        let mut completions = rig.drain();
        while !over {
            for completion in completions {
                assert!(!matches!(completion, Completion::Ready { .. }), "it was promised to be told of");
                over |= matches!(completion, Completion::Recv { result: Err(Failure::Cancelled), .. });
            }
            completions = if over { Vec::new() } else { rig.wait() };
        }
        rig.close(socket);
    }
}

#[test]
fn accepts_get_through() {
    let mut told = 0;
    for seed in 0..100 {
        let mut rig = Rig::new(seed, eager());
        let listener = rig.network.listen();
        let key = ListenerKey(7);
        rig.backend.add_listener(key, listener.as_raw()).expect("nothing is refused");
        let peer = rig.network.connect(listener.local_addr().expect("an address")).expect("somebody listens");
        let socket = loop {
            match rig.backend.accept(key, listener.as_raw()) {
                Submitted::Done(result) => break result.expect("no errors").socket,
                Submitted::Pending => {}
            }
            let mut accepted = None;
            let mut ended = false;
            while !ended {
                for completion in rig.wait() {
                    match completion {
                        Completion::Accept { result, .. } => accepted = Some(result.expect("no errors").socket),
                        Completion::AcceptReady { .. } => told += 1,
                        Completion::Woken => continue,
                        other => panic!("{other:?}"),
                    }
                    ended = true;
                }
            }
            if let Some(socket) = accepted {
                break socket;
            }
        };
        assert_eq!(rig.net().remote_address(socket).as_socket(), Some(peer.local_addr()));
        rig.backend.remove_listener(key, listener.as_raw());
        rig.close(socket);
    }
    assert!(told > 0, "no accept was ever reported ready");
}

#[test]
fn several_accepts_are_never_told_ready() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, Behaviour { ready_probability: 0.9, ..Behaviour::calm() });
        let listener = rig.network.listen();
        let key = ListenerKey(7);
        rig.backend.add_listener(key, listener.as_raw()).expect("nothing is refused");
        for _ in 0..2 {
            assert!(matches!(rig.backend.accept(key, listener.as_raw()), Submitted::Pending));
        }
        let address = listener.local_addr().expect("an address");
        let _peers = [(); 2].map(|()| rig.network.connect(address).expect("somebody listens"));
        let mut pending = 2;
        while pending > 0 {
            for completion in rig.wait() {
                match completion {
                    Completion::Accept { result, .. } => rig.close(result.expect("no errors").socket),
                    Completion::AcceptReady { .. } => assert_eq!(pending, 1, "which of them has ended?"),
                    other => panic!("{other:?}"),
                }
                pending -= 1;
            }
        }
        rig.backend.remove_listener(key, listener.as_raw());
    }
}
