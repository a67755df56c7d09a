//! The ring itself: pushing submissions, the one system call, and taking completions in batches.

use super::faults;
use super::setup::{self, from_io};
use crate::sys::net::MAX_WAIT;
use crate::{Error, ErrorCode};
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Submitter, cqueue, squeue};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Completions copied out of the queue at once, so that its head moves once a batch.
const BATCH: usize = 256;

/// `IORING_REGISTER_RING_FDS` and `IORING_UNREGISTER_RING_FDS` of
/// [`io_uring_register(2)`](https://man7.org/linux/man-pages/man2/io_uring_register.2.html). The crate keeps the
/// registered index in a value that borrows the ring, so it cannot be kept beside it.
const REGISTER_RING_FDS: libc::c_uint = 20;
const UNREGISTER_RING_FDS: libc::c_uint = 21;

/// The kernel's `struct io_uring_rsrc_update`.
#[repr(C)]
struct RingUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// The ring's place in its thread's own table, which saves the look-up of the descriptor in each call. It holds the
/// ring open until it is taken out again or the thread ends.
#[derive(Clone, Copy, Debug)]
struct Registered {
    index: u32,
    thread: u64,
}

/// A number of the calling thread that no other ever has. (The standard library's needs memory on a thread that is not its
/// own, and cannot be refused it.)
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// What a system call came to, if the ring is sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entered {
    /// So many submissions were taken by the kernel; and one completion is there, if one was waited for.
    Submitted(u32),
    /// The time has passed.
    TimedOut,
    /// A signal came first.
    Interrupted,
    /// The kernel had no memory for a request: take completions and try again.
    NoMemory,
    /// Completions that found the queue full wait for room: take some and try again.
    Overflowing,
}

pub(super) struct Ring {
    uring: IoUring,
    /// A thread of the kernel takes the submissions.
    polled: bool,
    registered: Option<Registered>,
    /// Completions taken from the queue and not yet handed on: those from `next` to the end.
    batch: Vec<cqueue::Entry>,
    next: usize,
}

impl Ring {
    /// A worker's may have a thread of the kernel's to take its submissions; where that is refused, it has none.
    pub(super) fn new(driven: bool, sqpoll: Option<Duration>) -> Result<Ring, Error> {
        let mut batch = Vec::new();
        batch.try_reserve_exact(BATCH).map_err(|_| ErrorCode::NoMemory)?;
        let polled = sqpoll.filter(|_| !driven).and_then(|idle| setup::build_polled(idle.as_millis() as u32).ok());
        let (polled, uring) = match polled {
            Some(uring) => (true, uring),
            None => (false, setup::build(driven)?),
        };
        Ok(Ring { uring, polled, registered: None, batch, next: 0 })
    }

    /// Makes the calling thread the ring's own.
    pub(super) fn enable(&mut self) -> Result<(), Error> {
        self.uring.submitter().register_enable_rings().map_err(|error| from_io(&error))?;
        // The thread's table may be full (it has 16 places), or the kernel too old: then each call looks the
        // descriptor up, and all else is the same.
        let mut update = RingUpdate { offset: u32::MAX, reserved: 0, data: self.uring.as_raw_fd() as u64 };
        if self.update_registered(REGISTER_RING_FDS, &mut update) {
            self.registered = Some(Registered { index: update.offset, thread: this_thread() });
        }
        Ok(())
    }

    /// Takes the ring out of its thread's table, and uses the descriptor from now on. On another thread the index would
    /// name a stranger's ring: there it is only forgotten.
    pub(super) fn unregister(&mut self) {
        let Some(registered) = self.registered.take() else { return };
        if registered.thread == this_thread() {
            let mut update = RingUpdate { offset: registered.index, reserved: 0, data: 0 };
            self.update_registered(UNREGISTER_RING_FDS, &mut update);
        }
    }

    fn update_registered(&self, operation: libc::c_uint, update: &mut RingUpdate) -> bool {
        let one: libc::c_uint = 1;
        let fd = self.uring.as_raw_fd();
        // SAFETY: `update` is one element of the kernel's layout, read and written during the call only.
        unsafe { libc::syscall(libc::SYS_io_uring_register, fd, operation, &raw mut *update, one) == 1 }
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.uring.as_raw_fd()
    }

    #[cfg(test)]
    pub(super) fn is_registered(&self) -> bool {
        self.registered.is_some()
    }

    pub(super) fn submitter(&self) -> Submitter<'_> {
        self.uring.submitter()
    }

    /// Whether a thread of the kernel takes the submissions, each as soon as it is pushed.
    pub(super) fn is_polled(&self) -> bool {
        self.polled
    }

    /// Submissions that the kernel has not taken yet. A thread of the kernel takes them at any time, and what stood behind them
    /// is free when it has.
    pub(super) fn queued(&mut self) -> usize {
        self.uring.submission().len()
    }

    pub(super) fn is_full(&mut self) -> bool {
        self.uring.submission().is_full()
    }

    /// Queues a submission; there must be room.
    ///
    /// # Safety
    /// What the entry points to stays valid as its operation demands: headers, vectors and times until the submission,
    /// buffers and addresses until the completion.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the caller's promise.
        let pushed = unsafe { self.uring.submission().push(entry) };
        assert!(pushed.is_ok(), "the caller has made room in the submission queue");
    }

    /// Submits up to `submit` queued entries; with `wait`, until a completion is there or the timeout has passed.
    /// Deferred task work and completions that had overflowed are seen to as well.
    pub(super) fn enter(&mut self, submit: usize, wait: bool, timeout: Option<Duration>) -> Result<Entered, Error> {
        let timespec = timeout.map(|timeout| Timespec::from(timeout.min(MAX_WAIT)));
        let arguments = match &timespec {
            Some(timespec) => SubmitArgs::new().timespec(timespec),
            None => SubmitArgs::new(),
        };
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if self.polled {
            let submissions = self.uring.submission();
            if !submissions.is_empty() && submissions.need_wakeup() {
                flags |= EnterFlags::SQ_WAKEUP;
            } else if !wait && !submissions.cq_overflow() {
                // The kernel's thread sees to all of it.
                return Ok(Entered::Submitted(submit as u32));
            }
        }
        let mut fd = self.uring.as_raw_fd();
        if let Some(registered) = self.registered {
            flags |= EnterFlags::REGISTERED_RING;
            fd = registered.index as RawFd;
        }
        // SAFETY: `arguments` and the time that it points to outlive the call; the memory behind each submission is
        // kept by whoever pushed it (see `push`).
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                fd,
                submit as libc::c_uint,
                libc::c_uint::from(wait),
                flags.bits(),
                &raw const arguments,
                size_of_val(&arguments),
            )
        };
        if result >= 0 {
            faults::entered(&mut self.uring);
            return Ok(Entered::Submitted(result as u32));
        }
        entered(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    /// Has the kernel take submissions, as many as it will: how many, or why none. A thread of the kernel is woken if need be,
    /// and given a moment. (`IORING_ENTER_SQ_WAIT` would wait without a limit, and meanwhile nobody would take the completions
    /// that the kernel may need room for.)
    pub(super) fn submit(&mut self) -> Result<Entered, Error> {
        const LOOKS: usize = 64;
        let before = self.queued();
        let entered = self.enter(before, false, None)?;
        if !self.polled || !matches!(entered, Entered::Submitted(_)) {
            return Ok(entered);
        }
        for _ in 0..LOOKS {
            let taken = before - self.queued();
            if taken > 0 {
                return Ok(Entered::Submitted(taken as u32));
            }
            thread::yield_now();
        }
        Ok(Entered::Submitted(0))
    }

    /// Whether a completion can be taken without a system call.
    pub(super) fn has_completions(&mut self) -> bool {
        self.has_put_aside() || self.shows_completions()
    }

    /// Whether completions are here that the kernel's queue, and so the descriptor, no longer shows.
    pub(super) fn has_put_aside(&self) -> bool {
        self.next < self.batch.len()
    }

    /// Whether the descriptor is readable for completions in the kernel's queue.
    pub(super) fn shows_completions(&mut self) -> bool {
        !self.uring.completion().is_empty()
    }

    pub(super) fn take_completion(&mut self) -> Option<cqueue::Entry> {
        if self.next == self.batch.len() {
            self.batch.clear();
            self.next = 0;
            let room = self.batch.capacity();
            self.batch.extend(self.uring.completion().take(room));
        }
        let completion = self.batch.get(self.next)?.clone();
        self.next += 1;
        Some(completion)
    }

    /// Empties the completion queue into the batch, so that the kernel has room for more. Without memory it stays full.
    pub(super) fn spill_completions(&mut self) {
        let completions = self.uring.completion();
        if self.batch.try_reserve(completions.len()).is_ok() {
            self.batch.extend(completions);
        }
    }
}

/// Every error of [`io_uring_enter(2)`](https://man7.org/linux/man-pages/man2/io_uring_enter.2.html).
fn entered(errno: i32) -> Result<Entered, Error> {
    match errno {
        libc::ETIME => Ok(Entered::TimedOut),
        libc::EINTR => Ok(Entered::Interrupted),
        libc::EAGAIN => Ok(Entered::NoMemory),
        libc::EBUSY => Ok(Entered::Overflowing),
        // The kernel had no memory even to remember that a completion did not fit: an operation is lost for good, and
        // the promise to report each of them is broken.
        libc::EBADR
        // The descriptor is no ring any more: somebody has closed it, or put another file in its place.
        | libc::EBADF | libc::EOPNOTSUPP
        // The ring is not enabled: `start` was not called.
        | libc::EBADFD
        // Another thread than the one that called `start`.
        | libc::EEXIST
        // These would be mistakes of this file: a bad pointer, a bad argument, a dying polling thread, a registered
        // index that is none.
        | libc::EFAULT | libc::EINVAL | libc::ENXIO | libc::EOWNERDEAD => Err(Error::from_os(errno)),
        // Not in the manual; a seccomp filter may answer with any number.
        other => Err(Error::from_os(other)),
    }
}
