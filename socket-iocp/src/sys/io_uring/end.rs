//! The end of a backend: nothing that the kernel may still write to is freed.
//!
//! Closing a ring cancels its operations, but later and elsewhere: after `close` has returned, one may still take a
//! buffer from the ring and write data into it, or write a peer's address. So the order is:
//!
//! 1. Cancel everything and take completions until none is missing (`pending`). This needs no submission entry
//!    (`IORING_REGISTER_SYNC_CANCEL`), so what is queued and was never submitted stays unsubmitted: its bytes may be
//!    gone already.
//! 2. With nothing under way, nobody is left who could take a buffer: close the ring. The buffer ring's own pages are
//!    pinned by the kernel until it has let go of them.
//! 3. Free the memory.
//!
//! A thread of the kernel that takes submissions (`Options::sqpoll`) takes what is queued as well: it is waited for until it has
//! ended with the rest. A worker that has come to its end has nothing of a socket queued, so no bytes are missed.
//!
//! If step 1 cannot be finished, the memory is left to the process for good, since a leak is the lesser evil. That
//! takes a kernel that does not end an operation in seconds, or a worker's backend dropped on another thread than its
//! worker's with operations under way (the kernel lets only its own thread drive such a ring).

use super::Backend;
use super::ring::Entered;
use super::tag::{Kind, Tag};
use io_uring::cqueue;
use io_uring::types::{CancelBuilder, Timespec};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

/// So often the kernel is asked, each time until nothing more has come for [`PATIENCE`]: five seconds of standstill.
const ATTEMPTS: usize = 500;
const PATIENCE: Duration = Duration::from_millis(10);

impl Drop for Backend {
    fn drop(&mut self) {
        // The thread's table would keep the ring open until the thread ends; and on another thread the index there
        // would be a stranger's ring.
        self.ring.unregister();
        let quiet = self.quiesce();
        // SAFETY: the ring is not used after this.
        unsafe { ManuallyDrop::drop(&mut self.ring) };
        if quiet {
            // SAFETY: the memory is not used after this, and the kernel has nothing under way that could write to it.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}

impl Backend {
    /// Ends all operations. Whether the kernel is done with the backend's memory.
    pub(super) fn quiesce(&mut self) -> bool {
        for _ in 0..ATTEMPTS {
            if self.take_what_comes() {
                return true;
            }
            // What came of it shows in the count. It goes through all operations for each, so it is not asked again
            // while completions come.
            let _ = self.ring.submitter().register_sync_cancel(Some(Timespec::from(PATIENCE)), CancelBuilder::any());
            loop {
                match self.ring.enter(0, true, Some(PATIENCE)) {
                    Ok(Entered::Submitted(_) | Entered::Overflowing) if self.take_what_comes() => return true,
                    Ok(Entered::Submitted(_) | Entered::Overflowing) => {}
                    Ok(Entered::TimedOut | Entered::Interrupted | Entered::NoMemory) => break,
                    Err(_) => return false,
                }
            }
        }
        false
    }

    /// Drops the completions that are there. Whether the kernel has nothing more under way.
    fn take_what_comes(&mut self) -> bool {
        self.discard_completions();
        self.in_kernel() == 0
    }

    /// Operations that the kernel has taken and not completed. Of a ring whose submissions are taken by a thread of the
    /// kernel, any may be.
    pub(super) fn in_kernel(&mut self) -> usize {
        let unseen = if self.ring.is_polled() { 0 } else { self.ring.queued() };
        self.pending - unseen
    }

    fn discard_completions(&mut self) {
        while let Some(entry) = self.ring.take_completion() {
            let tag = Tag::from_user_data(entry.user_data());
            if tag.kind() == Kind::Accept && entry.result() >= 0 {
                // SAFETY: a connection that nobody has been told of.
                drop(unsafe { OwnedFd::from_raw_fd(entry.result()) });
            }
            if tag.kind() != Kind::Update && !cqueue::more(entry.flags()) {
                self.pending -= 1;
            }
        }
    }
}
