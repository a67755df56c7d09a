//! Datagram sockets.

use super::*;
use crate::sys::errno;

fn open() -> Under {
    Under::new(Origin::Datagram, true)
}

fn sent(machine: &mut Under, bytes: usize) {
    machine.send_ended(Ok(bytes));
}

#[test]
fn each_send_is_one_of_the_kernels() {
    let mut machine = open();
    send(&mut machine, b"one", 1);
    send(&mut machine, b"", 2);
    send(&mut machine, b"three", 3);
    for (len, report) in [(3, "sent 1 3 Ok(())"), (0, "sent 2 0 Ok(())"), (5, "sent 3 5 Ok(())")] {
        assert_eq!(machine.next_step(false), Some(Step::StartSendTo));
        let given: usize = machine.start_send_to().2.map(<[u8]>::len).sum();
        assert_eq!((given, machine.next_step(false)), (len, None));
        sent(&mut machine, len);
        assert_eq!(events(&mut machine), [report]);
    }
    assert_eq!(steps(&mut machine), []);
}

#[test]
fn an_error_is_that_of_its_send_alone() {
    let mut machine = open();
    for write in 1..=3 {
        send(&mut machine, b"abc", write);
    }
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    machine.send_ended(Err(Failure::Os(errno::ECONNREFUSED)));
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    // It has not gone: it goes again.
    machine.send_ended(Err(Failure::Again));
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    sent(&mut machine, 3);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Refused)", "sent 2 3 Ok(())"]);
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    sent(&mut machine, 3);
    assert_eq!(events(&mut machine), ["sent 3 3 Ok(())"]);
    assert!(!machine.is_ending());
}

#[test]
fn an_error_is_that_of_its_recv_alone() {
    let mut machine = open();
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecvFrom]);
    machine.recv_ended(Err(Failure::Os(errno::ECONNREFUSED)));
    // The worker knows which error it was.
    assert_eq!(events(&mut machine), ["datagram Os"]);
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecvFrom]);
    machine.recv_ended(Ok(bytes(b"abc")));
    assert_eq!(events(&mut machine), ["datagram abc"]);
    assert!(!machine.is_ending());
}

#[test]
fn no_bytes_are_no_end() {
    let mut machine = open();
    for _ in 0..2 {
        machine.issue_recv();
        assert_eq!(steps(&mut machine), [Step::StartRecvFrom]);
        machine.recv_ended(Ok(ReadBuffer::empty()));
        assert_eq!(events(&mut machine), ["datagram "]);
    }
}

#[test]
fn a_recv_is_cancelled_and_the_socket_goes_on() {
    let mut machine = open();
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecvFrom]);
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(events(&mut machine), ["datagram Cancelled"]);
    machine.issue_recv();
    machine.stop_recv(Stop::TimedOut);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["datagram TimedOut"]);
    // One that has beaten its cancel.
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecvFrom]);
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.recv_ended(Ok(bytes(b"won")));
    assert_eq!(events(&mut machine), ["datagram won"]);
}

#[test]
fn a_close_sends_what_is_queued_and_waits_for_nothing_else() {
    let mut machine = open();
    machine.issue_recv();
    send(&mut machine, b"a", 1);
    send(&mut machine, b"b", 2);
    assert_eq!(steps(&mut machine), [Step::StartSendTo, Step::StartRecvFrom]);
    assert!(machine.close());
    sent(&mut machine, 1);
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    // What has been issued before the close may come after it.
    sent(&mut machine, 1);
    assert_eq!(steps_in_transit(&mut machine, true), []);
    send(&mut machine, b"c", 3);
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    sent(&mut machine, 1);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    let told = ["sent 1 1 Ok(())", "sent 2 1 Ok(())", "sent 3 1 Ok(())", "farewell Ok(()) Background"];
    assert_eq!(events(&mut machine), told);
}

#[test]
fn what_beat_the_cancel_of_an_abort_is_reported() {
    let mut machine = open();
    machine.issue_recv();
    send(&mut machine, b"a", 1);
    send(&mut machine, b"b", 2);
    assert_eq!(steps(&mut machine), [Step::StartSendTo, Step::StartRecvFrom]);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), [Step::CancelRecv, Step::CancelSend]);
    machine.recv_ended(Ok(ReadBuffer::empty()));
    sent(&mut machine, 1);
    assert_eq!(steps(&mut machine), []);
    let told = ["datagram ", "sent 1 1 Ok(())", "sent 2 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"];
    assert_eq!(events(&mut machine), told);
}

#[test]
fn a_send_that_the_kernel_has_is_cut_out_alone() {
    let mut machine = open();
    for write in 1..=3 {
        send(&mut machine, if write == 1 { &b""[..] } else { b"abc" }, write);
    }
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    assert_eq!(machine.cancel_sends(|write| *write < 3), 2);
    assert_eq!(events(&mut machine), ["sent 2 0 Err(Cancelled)"]);
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.send_ended(Err(Failure::Cancelled));
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)"]);
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    sent(&mut machine, 3);
    assert_eq!(events(&mut machine), ["sent 3 3 Ok(())"]);
}

#[test]
fn it_is_idle_when_it_has_nothing_to_send_and_awaits_no_peer() {
    let mut machine = open();
    assert!(machine.is_idle() && !machine.awaits_peer());
    machine.issue_recv();
    assert!(machine.is_idle() && !machine.awaits_peer());
    send(&mut machine, b"a", 1);
    assert!(!machine.is_idle() && !machine.awaits_peer());
    assert_eq!(steps(&mut machine), [Step::StartSendTo, Step::StartRecvFrom]);
    sent(&mut machine, 1);
    assert!(!machine.is_idle(), "a callback is due");
    events(&mut machine);
    assert!(machine.is_idle());
}

#[test]
#[should_panic(expected = "leaves whole")]
fn a_part_of_a_datagram_asserts() {
    let mut machine = open();
    send(&mut machine, b"abc", 1);
    assert_eq!(steps(&mut machine), [Step::StartSendTo]);
    sent(&mut machine, 2);
}
