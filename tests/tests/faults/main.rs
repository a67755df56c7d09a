//! Faults put under the real backends: whatever the system answers, each operation is reported once, what is echoed is what
//! was sent, and an error ends at most the socket that it was given to.
//!
//! `program.rs` is the program under fault, a server in a process of its own that checks the contract on itself; `client.rs`
//! is the other end of its connections; `trial.rs` runs both and compares what they say. Two ways lead to the faults:
//! - `injected.rs`: strace lets every n-th call of a kind fail, on readiness and for the calls that io_uring makes.
//! - `ring.rs`: the data path of io_uring makes no other call, so its submissions are failed inside the library, by the
//!   feature `faults` (see `sys/io_uring/faults.rs`), which can make its queues and its buffer ring small too.
//!
//! `ci/faults` runs them. A few values of n are tried; in the long form (`SOCKET_IOCP_DEEP=1`), many.

#![cfg(target_os = "linux")]

mod client;
mod injected;
mod program;
mod ring;
mod trial;

use program::Plan;
use socket_iocp::BackendKind;
use socket_iocp_testkit::{child_role, is_deep};
use trial::{Fate, Trial};

/// The errors that are put in, by their names.
const EVERY_ERROR: [(&str, i32); 6] = [
    ("EINTR", libc::EINTR),
    ("ENOMEM", libc::ENOMEM),
    ("EAGAIN", libc::EAGAIN),
    ("ENOBUFS", libc::ENOBUFS),
    ("ECONNABORTED", libc::ECONNABORTED),
    ("EMFILE", libc::EMFILE),
];

/// Every how many calls one fails.
fn steps() -> &'static [u64] {
    if is_deep() { &[2, 3, 5, 7, 11, 23] } else { &[3] }
}

/// Up to this n there is a fault for certain; a thread may make too few calls of some kind for a larger one.
const CERTAIN: u64 = 3;

/// The program itself, when a trial has started it; else it is tried without a fault.
#[test]
fn the_program_without_a_fault() {
    if let Some(role) = child_role() {
        return program::serve(&role);
    }
    for backend in [BackendKind::Readiness, BackendKind::IoUring] {
        for threads in [0, 2] {
            let trial = Trial::new("no fault", Plan::new(backend, threads), Fate::Harmless);
            let result = trial.run(&trial.child());
            result.say(0);
        }
    }
}
