//! Recvs and sends that end alone, cancelled or timed out, while the socket goes on.

use super::*;

#[test]
fn a_recv_that_is_stopped_ends_alone() {
    for why in [Stop::Cancelled, Stop::TimedOut] {
        let mut machine = Under::new(Origin::Connected, true);
        machine.issue_recv();
        assert_eq!(steps(&mut machine), [Step::StartRecv]);
        machine.stop_recv(why);
        machine.stop_recv(Stop::Cancelled);
        assert_eq!(steps(&mut machine), [Step::CancelRecv]);
        machine.recv_ended(Err(Failure::Cancelled));
        assert_eq!(events(&mut machine), [format!("recv {:?}", why.code())]);
        machine.issue_recv();
        assert_eq!(steps(&mut machine), [Step::StartRecv]);
        machine.recv_ended(Ok(bytes(b"abc")));
        assert_eq!(events(&mut machine), ["recv abc"]);
    }
}

#[test]
fn a_recv_stopped_before_it_starts_needs_no_kernel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["recv Cancelled"]);
}

#[test]
fn bytes_that_beat_the_cancel_are_bytes() {
    for (result, event) in [(&b"abc"[..], "recv abc"), (b"", "recv ")] {
        let mut machine = Under::new(Origin::Connected, true);
        machine.issue_recv();
        steps(&mut machine);
        machine.stop_recv(Stop::TimedOut);
        steps(&mut machine);
        let buffer = if result.is_empty() { ReadBuffer::empty() } else { bytes(result) };
        machine.recv_ended(Ok(buffer));
        machine.stop_recv(Stop::Cancelled);
        assert_eq!(steps(&mut machine), []);
        assert_eq!(events(&mut machine), [event]);
    }
}

#[test]
fn a_readiness_that_crosses_a_cancel_ends_the_recv() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.stop_recv(Stop::Cancelled);
    machine.ready(true, false);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["recv Cancelled"]);
}

#[test]
fn an_ending_overrides_a_cancel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), []);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_cancelled_send_lets_those_behind_it_go_on() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"abc", 1);
    send(&mut machine, b"def", 2);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    assert_eq!(machine.cancel_sends(|write| *write == 1), 1);
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.send_ended(Ok(2));
    assert_eq!(events(&mut machine), ["sent 1 2 Err(Cancelled)"]);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Ok(3));
    assert_eq!(events(&mut machine), ["sent 2 3 Ok(())"]);
}

#[test]
fn an_end_that_comes_upon_a_cancel_cancels_no_second_time() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"abc", 1);
    send(&mut machine, b"def", 2);
    steps(&mut machine);
    machine.cancel_sends(|_| true);
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.end(None, Close::HandBack);
    assert_eq!(steps(&mut machine), []);
    machine.send_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    let cancelled = ["sent 1 0 Err(Cancelled)", "sent 2 0 Err(Cancelled)", "farewell Ok(()) HandBack"];
    assert_eq!(events(&mut machine), cancelled);
}
