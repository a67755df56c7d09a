//! Graceful ends: a shutdown of the sending side, and a close with its linger limit.

use super::*;

#[test]
fn a_shutdown_waits_for_what_is_queued_or_on_its_way() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    machine.shutdown_send();
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Ok(2));
    assert_eq!(steps_in_transit(&mut machine, true), []);
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
}

#[test]
fn a_close_sends_then_fins_then_discards_up_to_the_peers_fin() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    assert!(machine.close() && !machine.close());
    machine.recv_ended(Ok(bytes(b"unread")));
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
    machine.send_ended(Ok(2));
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["sent 1 2 Ok(())"]);
    machine.recv_ended(Ok(ReadBuffer::empty()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Ok(()) Background"]);
}

#[test]
fn a_close_after_the_peers_fin_reads_no_more() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.recv_ended(Ok(ReadBuffer::empty()));
    machine.close();
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["recv ", "farewell Ok(()) Background"]);
}

#[test]
fn what_was_received_before_a_close_is_reported() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.recv_ended(Ok(bytes(b"kept")));
    machine.close();
    assert_eq!(events(&mut machine), ["recv kept"]);
    assert_eq!(steps(&mut machine), [Step::ShutdownSend, Step::StartRecv]);
}

#[test]
fn the_linger_limit_cancels_what_is_unsent() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    send(&mut machine, b"cd", 2);
    steps(&mut machine);
    machine.close();
    steps(&mut machine);
    machine.linger_ended();
    assert_eq!(steps(&mut machine), [Step::CancelRecv, Step::CancelSend]);
    machine.recv_ended(Err(Failure::Cancelled));
    machine.send_ended(Ok(3));
    assert_eq!(steps(&mut machine), []);
    let last = "farewell Err(TimedOut) Reset";
    assert_eq!(events(&mut machine), ["sent 1 2 Ok(())", "sent 2 1 Err(Cancelled)", last]);
}

#[test]
fn a_graceful_close_reads_on_after_a_cancel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.close();
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
    machine.recv_ended(Ok(ReadBuffer::empty()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Ok(()) Background"]);
}
