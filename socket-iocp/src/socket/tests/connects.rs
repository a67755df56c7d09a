//! Sockets that come unconnected.

use super::*;
use crate::sys::errno;

#[test]
fn nothing_is_started_before_the_connect_has_ended() {
    let mut machine = Under::new(Origin::Unconnected, true);
    machine.issue_recv();
    send(&mut machine, b"early", 1);
    machine.shutdown_send();
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert!(!machine.awaits_peer());
    machine.connect_ended(Err(Failure::Again));
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.send_ended(Ok(5));
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["connected", "sent 1 5 Ok(())"]);
}

#[test]
fn a_connect_that_fails_is_told_by_the_farewell_alone() {
    let mut machine = Under::new(Origin::Unconnected, true);
    machine.issue_recv();
    send(&mut machine, b"in vain", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.connect_ended(Err(Failure::Os(errno::ECONNREFUSED)));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Refused) Background"]);
}

#[test]
fn a_connect_that_beats_its_cancel_is_told() {
    for (result, told) in [(Ok(()), true), (Err(Failure::Cancelled), false), (Err(Failure::Again), false)] {
        let mut machine = Under::new(Origin::Unconnected, true);
        assert_eq!(steps(&mut machine), [Step::StartConnect]);
        machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
        assert_eq!(steps(&mut machine), [Step::CancelConnect]);
        assert_eq!(events(&mut machine), [""; 0]);
        machine.connect_ended(result);
        assert_eq!(steps(&mut machine), []);
        let farewell = "farewell Err(Cancelled) Reset";
        let expected = if told { vec!["connected", farewell] } else { vec![farewell] };
        assert_eq!(events(&mut machine), expected);
    }
}

#[test]
fn a_close_waits_for_a_connect_only_to_send() {
    let mut machine = Under::new(Origin::Unconnected, true);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert!(machine.close());
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Ok(()) Background"]);

    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"last words", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert!(machine.close());
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.send_ended(Ok(10));
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["connected", "sent 1 10 Ok(())"]);
}

#[test]
fn a_send_of_no_bytes_waits_for_the_connect_too() {
    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"", 1);
    send(&mut machine, b"cut", 2);
    send(&mut machine, b"", 3);
    send(&mut machine, b"", 4);
    assert_eq!(machine.cancel_sends(|write| *write == 2), 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert_eq!(events(&mut machine), ["sent 2 0 Err(Cancelled)"]);
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["connected", "sent 1 0 Ok(())", "sent 3 0 Ok(())", "sent 4 0 Ok(())"]);

    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_connect_that_takes_too_long_ends_by_reset() {
    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"never", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.connect_timed_out();
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    // It has beaten its cancel: the peer must not take what follows for the end of what it was to be sent.
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["connected", "sent 1 0 Err(Cancelled)", "farewell Err(TimedOut) Reset"]);
}

#[test]
fn a_connect_that_is_cancelled_ends_the_socket_unless_it_has_succeeded() {
    let ends = ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"];
    // One that the kernel does not have yet.
    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"in vain", 1);
    machine.cancel_connect();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ends);

    // One that goes on without effect counts as cancelled, too.
    for result in [Err(Failure::Cancelled), Err(Failure::Again)] {
        let mut machine = Under::new(Origin::Unconnected, true);
        send(&mut machine, b"in vain", 1);
        assert_eq!(steps(&mut machine), [Step::StartConnect]);
        machine.cancel_connect();
        assert_eq!(steps(&mut machine), [Step::CancelConnect]);
        assert_eq!(events(&mut machine), [""; 0]);
        machine.connect_ended(result);
        assert_eq!(steps(&mut machine), []);
        assert_eq!(events(&mut machine), ends);
    }

    let mut machine = Under::new(Origin::Unconnected, true);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.cancel_connect();
    machine.connect_ended(Ok(()));
    machine.cancel_connect();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["connected"]);
    machine.cancel_connect();
    machine.issue_recv();
    assert_eq!((steps(&mut machine), machine.is_ending()), (vec![Step::StartRecv], false));
}

#[test]
fn a_cancelled_connect_that_fails_says_how_and_an_end_overtakes_it() {
    let mut machine = Under::new(Origin::Unconnected, true);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.cancel_connect();
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Os(errno::ECONNREFUSED)));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(Refused) Background"]);

    for told in [false, true] {
        let mut machine = Under::new(Origin::Unconnected, true);
        assert_eq!(steps(&mut machine), [Step::StartConnect]);
        machine.cancel_connect();
        let seen = if told { vec![Step::CancelConnect] } else { vec![] };
        assert_eq!(if told { steps(&mut machine) } else { vec![] }, seen);
        machine.end(None, Close::HandBack);
        // It is cancelled once.
        assert_eq!(steps(&mut machine).len(), usize::from(!told));
        machine.connect_ended(Err(Failure::Cancelled));
        assert_eq!(steps(&mut machine), []);
        assert_eq!(events(&mut machine), ["farewell Ok(()) HandBack"]);
    }
}

#[test]
fn a_socket_that_is_connected_elsewhere_waits_for_that_and_for_nothing_else() {
    let mut machine = Under::new(Origin::ByHost, false);
    machine.issue_recv();
    send(&mut machine, b"hello", 1);
    assert_eq!((steps(&mut machine), machine.awaits_host()), (vec![], true));
    machine.host_ended(Ok(()));
    assert!(!machine.awaits_host());
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.send_ended(Ok(5));
    assert_eq!(events(&mut machine), ["connected", "sent 1 5 Ok(())"]);
    // It is of the internet: its resets are resets.
    machine.recv_ended(Err(Failure::Os(errno::EPIPE)));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(Reset) Background"]);
}

#[test]
fn a_socket_that_is_connected_elsewhere_ends_without_waiting() {
    type End = fn(&mut Under);
    let ends: [(End, &str); 5] = [
        (Under::cancel_connect, "farewell Err(Cancelled) Reset"),
        (Under::connect_timed_out, "farewell Err(TimedOut) Reset"),
        (|machine| machine.end(None, Close::HandBack), "farewell Ok(()) HandBack"),
        (|machine| assert!(machine.close()), "farewell Ok(()) Background"),
        (|machine| machine.host_ended(Err(ErrorCode::Unresolved.into())), "farewell Err(Unresolved) Background"),
    ];
    for (end, farewell) in ends {
        let mut machine = Under::new(Origin::ByHost, false);
        machine.issue_recv();
        assert_eq!(steps(&mut machine), []);
        end(&mut machine);
        assert_eq!(steps(&mut machine), []);
        assert!(!machine.awaits_host());
        assert_eq!(events(&mut machine), [farewell]);
    }
}

#[test]
fn a_close_that_overtakes_a_send_waits_for_it_and_for_the_connect() {
    let mut machine = Under::new(Origin::Unconnected, true);
    assert!(machine.close());
    assert_eq!(steps_in_transit(&mut machine, true), [Step::StartConnect]);
    send(&mut machine, b"late", 1);
    assert_eq!(steps(&mut machine), []);
    // With its cancel nothing is left to be sent.
    assert_eq!(machine.cancel_sends(|_| true), 1);
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Ok(()) Background"]);
}
