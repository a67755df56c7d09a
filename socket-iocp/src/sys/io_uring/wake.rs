//! The wake-up: an eventfd that other threads write and the ring has a read armed on.

use crate::Error;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Wakes the backend's worker from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    /// The descriptor is a blocking one on purpose: a kernel may answer a ring's read of an `O_NONBLOCK` file with
    /// EAGAIN at once, while on a blocking file the read waits inside the ring. A write blocks only on a counter near
    /// 2^64, which a wake-up at a time never reaches.
    ///
    /// See [`eventfd(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html).
    pub(super) fn new() -> Result<Waker, Error> {
        // SAFETY: the call takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else has it.
        Ok(Waker { event: Arc::new(unsafe { OwnedFd::from_raw_fd(fd) }) })
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    pub(crate) fn wake(&self) {
        let one = 1_u64;
        loop {
            // SAFETY: eight readable bytes.
            let written = unsafe { libc::write(self.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
            // EINTR is the one error that an open eventfd can give.
            if written >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
        }
    }
}

/// The error of the system call that has just failed.
pub(super) fn last_os_error() -> Error {
    Error::from_os(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
