//! A worker's inbox: what other threads tell it about its sockets.
//!
//! A stack of links, pushed one by one by any thread and taken whole by the worker, which turns it round: so messages
//! arrive in the order in which their pushes took effect, and a push that has returned is seen by every later take.
//!
//! # No wake-up is lost
//! The worker stores true in `sleeping`, fences, looks around, and waits if it sees nothing to do; then it stores false. A
//! caller writes something that the worker looks at (a push, a flag), fences, and reads `sleeping`; if that is true, it
//! tries to exchange true for false, and if that succeeds it wakes the worker. Let the worker's look not see what a caller
//! wrote, and let the worker wait for ever. By the rules of C++20 (\[atomics.order\]), which are Rust's, that cannot be:
//! 1. The look read an older value, so it is coherence-ordered before the caller's write, and the worker's fence comes
//!    before the caller's in the one order of sequentially consistent operations.
//! 2. So what the caller then read of `sleeping` is the worker's last true or a value that follows it.
//! 3. What follows that true is written by callers alone, as the worker writes no more; they write by exchanges, each of
//!    true for false. So one such exchange follows at most, it read the worker's last true itself, and its wake-up comes
//!    after that store: the worker, which takes wake-ups only in its waits, takes it now.
//! 4. One does follow: a caller that read true tries, and fails only if another was first; one that read false read it
//!    from another's exchange.
//!
//! Had the worker been woken in time by something else, it would look again before its next wait, where the same holds.
//! `models.rs` has all this tried by loom.

use super::atomic::{AtomicBool, AtomicPtr, Ordering, fence};
use super::cancel::{CancelNode, Which};
use super::link::{Kind, Link};
use super::node::NodeRef;
use crate::planted::planted;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// A message about one slot.
pub(crate) enum Message<W> {
    /// A recv has been claimed.
    Recv(u32),
    /// A control request stands in the word.
    Control(u32),
    /// A connection has been accepted for this worker.
    Accepted(u32),
    /// A send has been claimed.
    Send(NodeRef<W>),
    /// Sends are to be cancelled.
    CancelSends(u32, Box<Which<W>>),
}

#[derive(Debug)]
pub(crate) struct Inbox {
    head: AtomicPtr<Link>,
    /// The worker is about to wait, or waits, in the operating system: a push has to wake it.
    sleeping: AtomicBool,
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox { head: AtomicPtr::new(ptr::null_mut()), sleeping: AtomicBool::new(false) }
    }

    /// Pushes a message; true if the caller has to wake the worker.
    ///
    /// # Safety
    /// The link is in no inbox and stays alive until the worker has taken it; a send's node has the worker's `W`.
    pub(crate) unsafe fn push(&self, link: NonNull<Link>) -> bool {
        let mut head = self.head.load(Ordering::Relaxed);
        let publish = if planted!(PushNotReleased) { Ordering::Relaxed } else { Ordering::Release };
        loop {
            // SAFETY: the caller's promise keeps the link alive.
            unsafe { link.as_ref() }.next.store(head, Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, link.as_ptr(), publish, Ordering::Relaxed) {
                Ok(_) => return self.must_wake(),
                Err(now) => head = now,
            }
        }
    }

    /// To be asked after something that the worker looks at before it sleeps has been written: true if the caller has
    /// to wake it. Of several callers one is told so.
    pub(crate) fn must_wake(&self) -> bool {
        // Pairs with the fence in `prepare_to_sleep`; see the proof above.
        if !planted!(WakersFenceForgotten) {
            fence(Ordering::SeqCst);
        }
        // Only true is exchanged, and never in vain: whatever false a caller writes, a wake-up goes with it.
        self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The worker is going to sleep; false if there is a message. It looks at its other flags after this.
    pub(crate) fn prepare_to_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        if !planted!(SleepersFenceForgotten) {
            fence(Ordering::SeqCst);
        }
        if self.is_empty() {
            return true;
        }
        self.awake();
        false
    }

    /// The worker sleeps no more.
    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes every message, the oldest first. Only the worker calls it.
    pub(crate) fn take<W>(&self) -> Messages<W> {
        if self.is_empty() {
            return Messages { next: ptr::null_mut(), owns: PhantomData };
        }
        let mut newest = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut oldest = ptr::null_mut();
        while let Some(link) = NonNull::new(newest) {
            // SAFETY: links in the stack are alive (see `push`) and the worker's own since the swap.
            newest = unsafe { link.as_ref() }.next.swap(oldest, Ordering::Relaxed);
            oldest = link.as_ptr();
        }
        Messages { next: oldest, owns: PhantomData }
    }
}

/// Messages taken from an inbox; to be used up.
#[derive(Debug)]
pub(crate) struct Messages<W> {
    next: *mut Link,
    owns: PhantomData<NodeRef<W>>,
}

impl<W> Iterator for Messages<W> {
    type Item = Message<W>;

    fn next(&mut self) -> Option<Message<W>> {
        let link = NonNull::new(self.next)?;
        // SAFETY: the links are the worker's own until it tells their slots (by the word) that they have arrived.
        let (kind, index) = unsafe {
            let link = link.as_ref();
            self.next = link.next.load(Ordering::Relaxed);
            (link.kind(), link.index())
        };
        Some(match kind {
            Kind::Recv | Kind::Datagram => Message::Recv(index),
            Kind::Control => Message::Control(index),
            Kind::Accepted => Message::Accepted(index),
            // SAFETY: as below.
            Kind::CancelSends => Message::CancelSends(index, unsafe { CancelNode::from_link(link) }),
            Kind::AsyncSend | Kind::CarriedSend | Kind::SyncSend => {
                // SAFETY: `push` was given a node with this `W`, and each link is met once.
                Message::Send(unsafe { NodeRef::from_link(link) })
            }
        })
    }
}

impl<W> Drop for Messages<W> {
    fn drop(&mut self) {
        debug_assert!(self.next.is_null() || std::thread::panicking(), "messages were taken and not read");
    }
}
