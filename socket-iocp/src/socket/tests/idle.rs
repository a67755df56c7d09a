//! The idle time-out: what counts as a peer that keeps the socket waiting.

use super::*;

/// How many intervals pass until the machine ends, up to 20.
fn intervals_until_the_end(machine: &mut Under, limit: u8) -> usize {
    let passes = |machine: &mut Under| {
        machine.interval_passed(limit);
        !machine.is_ending()
    };
    (0..20).take_while(|_| passes(machine)).count()
}

#[test]
fn a_peer_that_sends_nothing_is_idle() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    assert!(machine.awaits_peer());
    assert_eq!(intervals_until_the_end(&mut machine, 8), 8);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(TimedOut) Reset"]);
}

#[test]
fn a_peer_that_takes_nothing_is_idle_whatever_it_sends() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    steps(&mut machine);
    for _ in 0..8 {
        machine.issue_recv();
        steps(&mut machine);
        machine.interval_passed(8);
        machine.recv_ended(Ok(bytes(b"x")));
        assert_eq!(events(&mut machine), ["recv x"]);
        assert!(!machine.is_ending());
    }
    machine.interval_passed(8);
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.send_ended(Ok(1));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 1 Err(Cancelled)", "farewell Err(TimedOut) Reset"]);
}

#[test]
fn every_byte_begins_the_idle_time_anew() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"abc", 1);
    for _ in 0..3 {
        assert!(steps(&mut machine).contains(&Step::StartSend));
        assert!((0..8).all(|_| !machine.interval_passed(8)));
        machine.send_ended(Ok(1));
    }
    assert_eq!(events(&mut machine), ["sent 1 3 Ok(())"]);
    assert!((0..8).all(|_| !machine.interval_passed(8)));
    machine.recv_ended(Ok(bytes(b"x")));
    assert_eq!(events(&mut machine), ["recv x"]);
    // With nothing outstanding time does not count; from the next recv on it does.
    assert!(!machine.awaits_peer());
    assert_eq!(intervals_until_the_end(&mut machine, 8), 20);
    machine.issue_recv();
    assert_eq!(intervals_until_the_end(&mut machine, 8), 8);
}

#[test]
fn a_closing_socket_is_not_idle() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    machine.close();
    steps(&mut machine);
    assert!(!machine.awaits_peer());
    assert_eq!(intervals_until_the_end(&mut machine, 8), 20);
}
