//! Ends by abort, failure, removal and foreign close: what they cancel, what they wait for, and what the farewell says.

use super::*;
use crate::sys::errno;

const RESET: Failure = Failure::Os(errno::ECONNRESET);

#[test]
fn an_abort_cancels_and_waits_for_the_kernel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    steps(&mut machine);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), [Step::CancelRecv, Step::CancelSend]);
    machine.send_ended(Err(Failure::Cancelled));
    assert_eq!((steps(&mut machine), events(&mut machine)), (vec![], vec![]));
    machine.recv_ended(Err(Failure::Again));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"]);
}

#[test]
fn an_abort_overrides_a_close() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.close();
    steps(&mut machine);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.recv_ended(Err(Failure::Cancelled));
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_recv_that_beat_the_cancel_is_reported_before_the_farewell() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.end(None, Close::HandBack);
    steps(&mut machine);
    machine.recv_ended(Ok(bytes(b"last")));
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["recv last", "farewell Ok(()) HandBack"]);
}

#[test]
fn a_farewell_waits_for_claims_in_transit() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.end(None, Close::HandBack);
    assert_eq!(steps_in_transit(&mut machine, true), []);
    assert_eq!(events(&mut machine), Vec::<String>::new());
    send(&mut machine, b"late", 9);
    machine.issue_recv();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 9 0 Err(Cancelled)", "farewell Ok(()) HandBack"]);
}

#[test]
fn a_failed_recv_ends_the_socket() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    steps(&mut machine);
    machine.recv_ended(Err(RESET));
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.send_ended(Err(Failure::Os(errno::EPIPE)));
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Reset) Background"]);
}

#[test]
fn a_failed_send_names_its_cause() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    send(&mut machine, b"cd", 2);
    steps(&mut machine);
    machine.send_ended(Err(RESET));
    steps(&mut machine);
    let farewell = "farewell Err(Reset) Background";
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Reset)", "sent 2 0 Err(Cancelled)", farewell]);
}

#[test]
fn a_broken_pipe_is_a_reset_on_the_internet_only() {
    for (internet, code) in [(true, "Reset"), (false, "BrokenPipe")] {
        let mut machine = Under::new(Origin::Connected, internet);
        send(&mut machine, b"ab", 1);
        steps(&mut machine);
        machine.send_ended(Err(Failure::Os(errno::EPIPE)));
        steps(&mut machine);
        let sent = format!("sent 1 0 Err({code})");
        assert_eq!(events(&mut machine), [sent, format!("farewell Err({code}) Background")]);
        assert_eq!(machine.ending().0.expect_err("a failure").os_error(), Some(errno::EPIPE));
    }
}

#[test]
fn a_foreign_close_overrides_how_the_descriptor_ends() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    machine.end_foreign();
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["farewell Err(Cancelled) Never"]);
}

#[test]
fn an_end_does_not_wait_for_memory() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"abc", 1);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Err(Failure::Shortage));
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_removal_that_has_nothing_to_hand_back_says_so() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.end(None, Close::HandBack);
    machine.end_foreign();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(ForeignClose) Never"]);
}
