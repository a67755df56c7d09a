//! Sends from files, and the ends that they come to.

use super::*;
use crate::sys::errno;
use crate::{SendBuffer, SendFile};
use std::fs::File;

/// A send of so many bytes from a file, of which none is read.
fn send_file(machine: &mut Under, len: u64, write: u32) {
    let file: SendFile = File::open(std::env::current_exe().expect("this program")).expect("a file").into();
    let Ok(buffer) = SendBuffer::from_file(file, ..len) else { panic!("a range of a file") };
    machine.issue_send(NodeRef::allocate(0, buffer, write).expect("memory"));
}

fn sending() -> Under {
    let mut machine = Under::new(Origin::Connected, true);
    send_file(&mut machine, 100, 1);
    send(&mut machine, b"x", 2);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine
}

#[test]
fn a_file_that_ends_too_early_resets_the_socket() {
    let mut machine = sending();
    machine.send_ended(Ok(60));
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Err(Failure::FileEnded));
    assert_eq!(steps(&mut machine), []);
    let ends = ["sent 1 60 Err(FileTooShort)", "sent 2 0 Err(Cancelled)", "farewell Err(FileTooShort) Reset"];
    assert_eq!(events(&mut machine), ends);
}

#[test]
fn a_close_does_not_end_in_order_behind_a_part() {
    for failure in [Failure::File(errno::EBADF), Failure::Os(errno::EPIPE)] {
        let mut machine = sending();
        assert!(machine.close());
        steps(&mut machine);
        machine.send_ended(Err(failure));
        steps(&mut machine);
        machine.recv_ended(Err(Failure::Cancelled));
        steps(&mut machine);
        assert!(events(&mut machine).last().is_some_and(|last| last.ends_with("Reset")));
    }
}

#[test]
fn what_is_cancelled_fails_no_more() {
    for failure in [Failure::File(errno::EBADF), Failure::FileEnded] {
        let mut machine = sending();
        assert_eq!(machine.cancel_sends(|write| *write == 1), 1);
        assert_eq!(steps(&mut machine), [Step::CancelSend]);
        machine.send_ended(Err(failure));
        assert_eq!(steps(&mut machine), [Step::StartSend]);
        assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)"]);
    }
}

#[test]
fn a_file_that_goes_at_once_leaves_others_their_turn() {
    let mut machine = sending();
    machine.send_ended(Ok(60));
    assert!(machine.rest_from_sending());
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
    assert!(machine.go_on_sending());
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Ok(40));
    // What comes next is no file.
    assert!(!machine.rest_from_sending());
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Ok(1));
    assert!(!machine.go_on_sending());
    assert_eq!(events(&mut machine), ["sent 1 100 Ok(())", "sent 2 1 Ok(())"]);
}
