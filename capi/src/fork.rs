//! Tells a forked child from the process that made a port.
//!
//! A port's threads do not exist in the child, what it shares with the kernel is the parent's, and any lock may be held for
//! ever by a thread that is not there. So every call is `E_CLOSED` in the child, before it looks at anything.

use engine::{Error, ErrorCode};
use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static FORKED: AtomicBool = AtomicBool::new(false);

/// What the system answered when the handler was registered.
static WATCH: OnceLock<c_int> = OnceLock::new();

extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Has forks noticed from now on: see pthread_atfork(3). Called before the first port is made.
pub(crate) fn watch() -> Result<(), Error> {
    // SAFETY: the handler does nothing but store to an atomic, as a fork handler may.
    let refused = *WATCH.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(in_child)) });
    if refused == 0 { Ok(()) } else { Err(Error::with_os(ErrorCode::NoMemory, refused)) }
}

/// Whether this process is a forked child of one that had made a port.
pub(crate) fn is_child() -> bool {
    FORKED.load(Ordering::Relaxed)
}
