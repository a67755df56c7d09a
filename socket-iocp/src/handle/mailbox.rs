//! How other threads reach a worker, whatever its handler's type.

use super::SocketHandle;
use super::atomic::{AtomicBool, AtomicU64, Ordering};
use super::inbox::Inbox;
use super::link::Link;
use crate::planted::planted;
use crate::sys::{Key, SocketIo, Waker};
use crate::{Error, RawSocket};
use std::ptr::NonNull;

/// What ends a worker's wait.
pub(crate) trait Wake {
    /// Ends the wait that the worker is in, or else its next one.
    fn wake(&self);
}

impl Wake for Waker {
    fn wake(&self) {
        Waker::wake(self);
    }
}

/// A worker's inbox, its standing flags, and the way to wake it.
#[derive(Debug)]
pub(crate) struct Mailbox<W = Waker> {
    pub(crate) inbox: Inbox,
    waker: W,
    /// The port's list of listeners has changed, or one of them may go on.
    listeners_changed: AtomicBool,
    wakeups: AtomicU64,
}

impl<W: Wake> Mailbox<W> {
    pub(crate) fn new(waker: W) -> Mailbox<W> {
        Mailbox { inbox: Inbox::new(), waker, listeners_changed: AtomicBool::new(false), wakeups: AtomicU64::new(0) }
    }

    /// Pushes a link and wakes the worker if need be.
    ///
    /// # Safety
    /// As at [`Inbox::push`].
    pub(crate) unsafe fn push(&self, link: NonNull<Link>) {
        // SAFETY: the caller's promise.
        if unsafe { self.inbox.push(link) } {
            self.wake();
        }
    }

    /// Tells the worker to look at the port's listeners.
    pub(crate) fn listeners_changed(&self) {
        // An exchange, so that who takes the news has what everybody wrote who told of them: a store in the place of
        // another's would hide what that one wrote.
        if planted!(NewsOverwritten) {
            self.listeners_changed.store(true, Ordering::Release);
        } else {
            self.listeners_changed.swap(true, Ordering::Release);
        }
        self.look();
    }

    /// Makes the worker look at the standing flags, its port's included.
    pub(crate) fn look(&self) {
        if self.inbox.must_wake() {
            self.wake();
        }
    }

    /// Whether there is something that the worker has to look at; it then looks.
    pub(crate) fn has_listener_news(&self) -> bool {
        self.listeners_changed.load(Ordering::Relaxed)
    }

    pub(crate) fn take_listener_news(&self) -> bool {
        self.has_listener_news() && self.listeners_changed.swap(false, Ordering::Acquire)
    }

    fn wake(&self) {
        self.wakeups.fetch_add(1, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Wake-ups so far.
    pub(crate) fn wakeups(&self) -> u64 {
        self.wakeups.load(Ordering::Relaxed)
    }
}

impl Mailbox {
    /// Ties a socket to the worker's backend, as [`Waker::associate`] does.
    pub(crate) fn associate(
        &self,
        socket: RawSocket,
        handle: SocketHandle,
        is_datagram: bool,
    ) -> Result<SocketIo, Error> {
        let key = Key { index: handle.index(), generation: handle.generation() };
        self.waker.associate(socket, key, is_datagram)
    }

    /// Ties a listener's own socket to the worker's backend, as [`Waker::associate_listener`] does.
    pub(crate) fn associate_listener(&self, socket: RawSocket) -> Result<(), Error> {
        self.waker.associate_listener(socket)
    }

    /// Unties it again, as [`Waker::dissociate`] does.
    pub(crate) fn dissociate(&self, socket: RawSocket) {
        self.waker.dissociate(socket);
    }
}
