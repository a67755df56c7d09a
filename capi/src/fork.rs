//! Tells a forked child from the process that made a port.
//!
//! A port's threads do not exist in the child, and what it shares with the kernel is the parent's: there every call is
//! `E_CLOSED`. A child may make ports of its own.

use crate::taken;
use engine::{Error, ErrorCode};
use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the one that loaded the library.
static DEPTH: AtomicU32 = AtomicU32::new(0);
/// What the system answered when the handlers were registered.
static WATCH: OnceLock<c_int> = OnceLock::new();

extern "C" fn prepare() {
    taken::lock_for_fork();
}

extern "C" fn parent() {
    taken::unlock_after_fork();
}

extern "C" fn child() {
    DEPTH.fetch_add(1, Ordering::Relaxed);
    taken::unlock_after_fork();
}

/// Counts forks from now on. Called before the first port is made.
pub(crate) fn watch() -> Result<(), Error> {
    // SAFETY: the handlers are static functions that do not unwind.
    let refused = *WATCH.get_or_init(|| unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) });
    if refused == 0 { Ok(()) } else { Err(Error::with_os(ErrorCode::NoMemory, refused)) }
}

/// The process's number in the line of forks. What was made at another depth is dead here.
pub(crate) fn depth() -> u32 {
    DEPTH.load(Ordering::Relaxed)
}
