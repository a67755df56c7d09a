//! A worker's inbox: what other threads tell it about its sockets.
//!
//! A stack of links, pushed one by one by any thread and taken whole by the worker, which turns it round: so messages
//! arrive in the order in which their pushes took effect, and a push that has returned is seen by every later take.

use super::link::{Kind, Link};
use super::node::NodeRef;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering, fence};

/// A message about one slot.
#[derive(Debug)]
pub(crate) enum Message<W> {
    /// A recv has been claimed.
    Recv(u32),
    /// A control request stands in the word.
    Control(u32),
    /// A connection has been accepted for this worker.
    Accepted(u32),
    /// A send has been claimed.
    Send(NodeRef<W>),
}

#[derive(Debug)]
pub(crate) struct Inbox {
    head: AtomicPtr<Link>,
    /// The worker is about to wait, or waits, in the operating system: a push has to wake it.
    sleeping: AtomicBool,
}

impl Inbox {
    pub(crate) const fn new() -> Inbox {
        Inbox { head: AtomicPtr::new(ptr::null_mut()), sleeping: AtomicBool::new(false) }
    }

    /// Pushes a message; true if the caller has to wake the worker.
    ///
    /// # Safety
    /// The link is in no inbox and stays alive until the worker has taken it; a send's node has the worker's `W`.
    pub(crate) unsafe fn push(&self, link: NonNull<Link>) -> bool {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller's promise keeps the link alive.
            unsafe { link.as_ref() }.next.store(head, Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, link.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return self.must_wake(),
                Err(now) => head = now,
            }
        }
    }

    /// To be asked after something that the worker looks at before it sleeps has been written: true if the caller has
    /// to wake it. One of several callers is told so.
    pub(crate) fn must_wake(&self) -> bool {
        // Pairs with the fence in `prepare_to_sleep`: either the worker sees what was written, or we see it asleep.
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed)
    }

    /// The worker is going to sleep; false if there is a message. It looks at its other flags after this.
    pub(crate) fn prepare_to_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
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
            Kind::Recv => Message::Recv(index),
            Kind::Control => Message::Control(index),
            Kind::Accepted => Message::Accepted(index),
            // SAFETY: `push` was given a node with this `W`, and each link is met once.
            Kind::AsyncSend | Kind::SyncSend => Message::Send(unsafe { NodeRef::from_link(link) }),
        })
    }
}

impl<W> Drop for Messages<W> {
    fn drop(&mut self) {
        debug_assert!(self.next.is_null() || std::thread::panicking(), "messages were taken and not read");
    }
}
