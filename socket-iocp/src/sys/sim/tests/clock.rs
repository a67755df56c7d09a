//! Virtual time.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn virtual_rig(behaviour: Behaviour) -> Rig {
    let rig = Rig::new(1, behaviour);
    rig.network.set_virtual_time(true);
    rig
}

#[test]
fn a_wait_for_nothing_passes_at_once() {
    let mut rig = virtual_rig(Behaviour::calm());
    assert_eq!(rig.network.now(), Duration::ZERO);
    rig.backend.wait(Some(HOUR), &mut rig.pool).expect("no fault was injected");
    assert_eq!(rig.network.now(), HOUR);
}

#[test]
fn what_can_happen_comes_before_the_timeout() {
    let mut rig = virtual_rig(Behaviour { immediate_probability: 0.0, max_delay_steps: 1000, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
    peer.write_all(b"there").expect("room");
    rig.backend.wait(Some(HOUR), &mut rig.pool).expect("no fault was injected");
    assert_eq!(rig.drain().len(), 1);
    assert!(rig.network.now() <= Duration::from_micros(1001), "{:?}", rig.network.now());
    rig.close(socket);
}

#[test]
fn a_timeout_may_come_before_a_late_completion() {
    let mut timeouts = 0;
    for seed in 0..20 {
        let behaviour = Behaviour { immediate_probability: 0.0, max_delay_steps: 1000, ..Behaviour::calm() };
        let mut rig = Rig::new(seed, behaviour);
        rig.network.set_virtual_time(true);
        let (socket, peer) = rig.pair();
        assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
        peer.write_all(b"there").expect("room");
        let timeout = Duration::from_micros(500);
        rig.backend.wait(Some(timeout), &mut rig.pool).expect("no fault was injected");
        if rig.drain().is_empty() {
            timeouts += 1;
            assert_eq!(rig.network.now(), timeout);
            assert!(matches!(rig.wait_for_one(), Completion::Recv { result: Ok(_), .. }));
        }
        assert!(rig.network.now() <= Duration::from_micros(1001));
        rig.close(socket);
    }
    assert!((1..20).contains(&timeouts), "{timeouts}");
}

#[test]
fn a_look_never_blocks_and_takes_one_step() {
    let mut rig = virtual_rig(Behaviour::calm());
    assert!(rig.poll().is_empty());
    assert_eq!(rig.network.now(), Duration::from_micros(1));
}

#[test]
fn a_real_timeout_is_waited_for() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let before = rig.network.now();
    rig.backend.wait(Some(Duration::from_millis(5)), &mut rig.pool).expect("no fault was injected");
    assert!(rig.drain().is_empty());
    assert!(rig.network.now() - before >= Duration::from_millis(5));
}
