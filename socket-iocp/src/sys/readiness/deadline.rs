//! A timer among the events, so that a foreign event loop that watches the pollable descriptor wakes for the worker's
//! timers too.

use super::token;
use crate::sys::unix::check;
use crate::{Error, RawSocket};
use mio::Poll;
use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
pub(super) use timerfd::Deadline;

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "illumos")))]
pub(super) use kqueue::Deadline;

/// timerfd_create(2), registered edge-triggered like everything else: expiry makes the epoll descriptor readable until
/// the event is taken, and setting the timer again takes back an expiry that nobody has seen.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
mod timerfd {
    use super::{Duration, Error, Poll, RawSocket, check, token};
    use crate::sys::unix::from_io;
    use mio::Interest;
    use mio::unix::SourceFd;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::ptr;

    #[derive(Debug)]
    pub(in super::super) struct Deadline {
        timer: OwnedFd,
        armed: bool,
    }

    impl Deadline {
        pub(in super::super) fn new(poll: &Poll) -> Result<Deadline, Error> {
            let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
            // SAFETY: the call takes no memory.
            let timer: RawSocket = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
            // SAFETY: the descriptor is new and nobody else's.
            let timer = unsafe { OwnedFd::from_raw_fd(timer) };
            let registered =
                poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), token::DEADLINE, Interest::READABLE);
            registered.map_err(|error| from_io(&error))?;
            Ok(Deadline { timer, armed: false })
        }

        pub(in super::super) fn set(&mut self, _: &Poll, after: Option<Duration>) -> Result<(), Error> {
            if after.is_none() && !self.armed {
                return Ok(());
            }
            // A time of zero disarms: one that has passed is a nanosecond off.
            let after_or_zero = after.map_or(Duration::ZERO, |after| after.max(Duration::from_nanos(1)));
            let value = libc::timespec {
                tv_sec: after_or_zero.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                tv_nsec: after_or_zero.subsec_nanos() as _,
            };
            let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            // SAFETY: the timer is open, `once` is borrowed for the call, and the old value is not wanted.
            check(unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &once, ptr::null_mut()) })?;
            self.armed = after.is_some();
            Ok(())
        }
    }
}

/// EVFILT_TIMER of kqueue(2). mio hands its event out by the token alone.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "illumos")))]
mod kqueue {
    use super::{Duration, Error, Poll, RawSocket, check, token};
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::ptr;

    #[derive(Debug)]
    pub(in super::super) struct Deadline {
        armed: bool,
    }

    impl Deadline {
        pub(in super::super) fn new(_: &Poll) -> Result<Deadline, Error> {
            Ok(Deadline { armed: false })
        }

        pub(in super::super) fn set(&mut self, poll: &Poll, after: Option<Duration>) -> Result<(), Error> {
            // Taken away before it is set again: not every system changes a timer that is running.
            if self.armed {
                self.armed = false;
                match change(poll.as_raw_fd(), libc::EV_DELETE as _, 0) {
                    // It has gone off and is gone.
                    Err(error) if error.os_error() == Some(libc::ENOENT) => {}
                    result => result?,
                }
            }
            if let Some(after) = after {
                // Milliseconds, the one unit that all of them have, rounded up so that the time has passed; at least
                // one, since a timer of zero is not everywhere one.
                let wait_ms = after.as_nanos().div_ceil(1_000_000).clamp(1, i32::MAX as u128) as i32;
                change(poll.as_raw_fd(), (libc::EV_ADD | libc::EV_ONESHOT) as _, wait_ms)?;
                self.armed = true;
            }
            Ok(())
        }
    }

    /// Changes the one timer of the queue. Their headers do not agree on the types of the fields, hence `as _`.
    fn change(queue: RawSocket, flags: u32, wait_ms: i32) -> Result<(), Error> {
        // SAFETY: zeros are a valid `kevent` on every system: numbers and a null pointer.
        let mut timer: libc::kevent = unsafe { MaybeUninit::zeroed().assume_init() };
        timer.ident = token::DEADLINE.0 as _;
        timer.filter = libc::EVFILT_TIMER as _;
        timer.flags = flags as _;
        timer.data = wait_ms as _;
        timer.udata = token::DEADLINE.0 as _;
        // SAFETY: one change, borrowed for the call, and no events wanted.
        check(unsafe { libc::kevent(queue, &timer, 1, ptr::null_mut(), 0, ptr::null()) })?;
        Ok(())
    }
}
