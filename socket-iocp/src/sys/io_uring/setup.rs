//! Making a ring: the flags it is asked for, the ladder down when a kernel refuses them, and what it must be able to
//! do.

use super::faults;
use crate::{Error, ErrorCode};
use io_uring::types::CancelBuilder;
use io_uring::{Builder, IoUring, Probe, Submitter, opcode};
use std::io;

/// Submission queue entries: so many operations go out with one system call; more cost one call for each further batch.
pub(super) const SUBMISSION_ENTRIES: u32 = 1024;
/// Completion queue entries: a burst up to this size needs no memory in the kernel.
pub(super) const COMPLETION_ENTRIES: u32 = 16_384;

/// A set of setup flags beside `CQSIZE` and `SUBMIT_ALL`, which every ring has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flags {
    tasks: TaskWork,
    no_sqarray: bool,
}

/// Who takes submissions, and where the kernel finishes operations whose data has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TaskWork {
    /// In the worker's own `io_uring_enter`, nowhere else: `SINGLE_ISSUER | DEFER_TASKRUN`, Linux 6.1.
    Deferred,
    /// At the worker's next system call, without an interrupt for it: `COOP_TASKRUN`, Linux 5.19.
    Cooperative,
    /// Whenever it can, with an interrupt. A driven port needs this: the thread that submitted may be far from any
    /// system call, or gone, when another waits. A system call in which that thread sleeps is interrupted as by a
    /// signal: most go on by themselves, but an `epoll_wait` ends with EINTR.
    Interrupting,
    /// In a thread of the kernel's own, which takes the submissions too: `SQPOLL`. It excludes the others' flags.
    Polling { idle_ms: u32 },
}

/// The flag sets to try, best first.
const WORKER_LADDER: [Flags; 4] = [
    Flags { tasks: TaskWork::Deferred, no_sqarray: true },
    Flags { tasks: TaskWork::Deferred, no_sqarray: false },
    Flags { tasks: TaskWork::Cooperative, no_sqarray: false },
    Flags { tasks: TaskWork::Interrupting, no_sqarray: false },
];
const DRIVEN_LADDER: [Flags; 2] = [
    Flags { tasks: TaskWork::Interrupting, no_sqarray: true },
    Flags { tasks: TaskWork::Interrupting, no_sqarray: false },
];

/// Makes a ring. One for a worker is disabled, so that the thread that enables it becomes its single issuer; one for a
/// driven port is enabled and knows no threads.
pub(super) fn build(driven: bool) -> Result<IoUring, Error> {
    build_by(if driven { &DRIVEN_LADDER } else { &WORKER_LADDER }, driven)
}

/// Makes a worker's ring whose submissions a thread of the kernel takes, which sleeps when it has found none for so long. A
/// kernel that refuses the thread (EPERM without `CAP_SYS_NICE` before Linux 5.13, EAGAIN or ENOMEM at a limit) may yet give
/// a ring without.
pub(super) fn build_polled(idle_ms: u32) -> Result<IoUring, Error> {
    let tasks = TaskWork::Polling { idle_ms };
    build_by(&[Flags { tasks, no_sqarray: true }, Flags { tasks, no_sqarray: false }], false)
}

fn build_by(ladder: &[Flags], driven: bool) -> Result<IoUring, Error> {
    let mut refusal = ErrorCode::Unsupported.into();
    for flags in ladder {
        match builder(*flags, driven).build(faults::submissions(SUBMISSION_ENTRIES)) {
            Ok(ring) => {
                check_features(&ring)?;
                check_opcodes(&ring)?;
                return Ok(ring);
            }
            // A flag that this kernel does not know: the next set has fewer.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refusal = from_io(&error),
            // ENOSYS, EPERM (a seccomp filter, `io_uring_disabled`), ENOMEM, EMFILE: fewer flags would not help.
            Err(error) => return Err(from_io(&error)),
        }
    }
    Err(refusal)
}

fn builder(flags: Flags, driven: bool) -> Builder {
    let mut builder = IoUring::builder();
    // A forked child has no business with the ring; shared, it could disturb its parent's.
    builder.dontfork().setup_cqsize(faults::completions(COMPLETION_ENTRIES)).setup_submit_all();
    if flags.no_sqarray {
        builder.setup_no_sqarray();
    }
    match flags.tasks {
        TaskWork::Deferred => {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        TaskWork::Cooperative => {
            builder.setup_coop_taskrun();
        }
        TaskWork::Interrupting => {}
        TaskWork::Polling { idle_ms } => {
            builder.setup_sqpoll(idle_ms);
        }
    }
    if !driven {
        builder.setup_r_disabled();
    }
    builder
}

/// Features that cannot be done without, each for its reason.
fn check_features(ring: &IoUring) -> Result<(), Error> {
    let features = ring.params();
    let all = features.is_feature_nodrop() // completions are never lost
        && features.is_feature_submit_stable() // a message header may be used again after its submission
        && features.is_feature_fast_poll() // a recv waits without a kernel thread
        && features.is_feature_ext_arg() // a wait has its timeout in the same call
        && features.is_feature_skip_cqe_on_success(); // a cancel that succeeds is silent
    if all { Ok(()) } else { Err(ErrorCode::Unsupported.into()) }
}

fn check_opcodes(ring: &IoUring) -> Result<(), Error> {
    let needed = [
        opcode::Recv::CODE,
        opcode::Send::CODE,
        opcode::SendMsg::CODE,
        opcode::Accept::CODE,
        opcode::AsyncCancel::CODE,
        opcode::Read::CODE,
        opcode::PollAdd::CODE,
        opcode::Timeout::CODE,
        opcode::TimeoutRemove::CODE,
    ];
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| from_io(&error))?;
    if !needed.iter().all(|code| probe.is_supported(*code)) {
        return Err(ErrorCode::Unsupported.into());
    }
    // The end of a backend needs a cancel that takes no submission entry (see `end.rs`). Asked to cancel an operation
    // that does not exist, a kernel that has it finds none; another does not know the request.
    match ring.submitter().register_sync_cancel(None, CancelBuilder::user_data(u64::MAX)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        Err(error) => Err(from_io(&error)),
        Ok(()) => unreachable!("nothing has been submitted"),
    }
}

/// Whether the kernel can send without a copy: Linux 6.1.
pub(super) fn has_zero_copy(submitter: &Submitter<'_>) -> bool {
    let mut probe = Probe::new();
    let asked = submitter.register_probe(&mut probe).is_ok();
    asked && [opcode::SendZc::CODE, opcode::SendMsgZc::CODE].iter().all(|code| probe.is_supported(*code))
}

pub(super) fn from_io(error: &io::Error) -> Error {
    Error::from_os(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_of_the_ladders_builds_a_usable_ring() {
        for (ladder, driven) in [(&WORKER_LADDER[..], false), (&DRIVEN_LADDER[..], true)] {
            for flags in ladder {
                match builder(*flags, driven).build(8) {
                    Ok(ring) => check_opcodes(&ring).expect("the opcodes do not depend on the flags"),
                    // An older kernel than the rung.
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{flags:?}"),
                }
            }
        }
    }
}
