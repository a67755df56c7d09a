//! What a library in somebody else's process has to mind: forks and signals.

pub(crate) use super::thread::Thread;
use crate::{Error, ErrorCode};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io};

static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
}

/// What has to be done before the first port: has forks noticed from now on, see pthread_atfork(3).
pub(crate) fn prepare() -> Result<(), Error> {
    static ANSWER: OnceLock<i32> = OnceLock::new();
    // SAFETY: `in_child` does nothing but store to an atomic, as a fork handler may.
    let refused = *ANSWER.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(in_child)) });
    if refused == 0 { Ok(()) } else { Err(Error::with_os(ErrorCode::NoMemory, refused)) }
}

/// Whether this process is a forked child of one that used the library: the workers are not here, and locks may be held
/// for ever.
pub fn is_forked_child() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Starts a worker thread with every signal blocked: signals are for the program's own threads. The mask is set before
/// the thread exists, so that there is no moment at which it could be chosen for one.
pub(crate) fn spawn_worker(name: fmt::Arguments<'_>, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    // SAFETY: both sets are initialised by the calls before they are read; see pthread_sigmask(3).
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let spawned = Thread::spawn(name, body);
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        spawned
    }
}
