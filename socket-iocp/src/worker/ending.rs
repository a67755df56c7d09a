//! The end of sockets, and of the worker.

use super::{Companion, Worker, guarded};
use crate::handle::{Entry, Slot, SocketTable};
use crate::handler::{Farewell, Handler, Names};
use crate::socket::Close;
use crate::sys::net::{CloseHow, Identity};
use crate::sys::says_over;
use crate::trace::traced;
use crate::{Error, ErrorCode};
use std::sync::atomic::{Ordering, fence};

impl<H: Handler> Worker<H> {
    /// Everything of this socket is reported: its farewell, then its descriptor, then its slot.
    pub(super) fn finish(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        let raw = local.info.raw();
        let entry = Entry::Socket(slot.handle());
        let (mut reason, mut close) = local.machine().ending();
        self.forget_limits(slot);
        self.forget_connect(slot);
        if let Err(error) = self.let_go_of_kept(slot, close == Close::HandBack)
            && close == Close::HandBack
        {
            // What comes next on this connection is not what its peer has sent next.
            (reason, close) = (Err(error), Close::Reset);
        }
        slot.head.word.recv_reported(false);

        let mut socket = None;
        let net = &self.shared().net;
        let identity = Identity(slot.head.identity.load(Ordering::Relaxed));
        if close == Close::HandBack && local.info.has_socket() {
            if SocketTable::leave(raw, entry) && net.is_still(raw, identity) {
                self.backend.borrow_mut().forget(&mut local.machine().io, raw);
                socket = Some(net.adopt(raw));
            } else {
                reason = Err(ErrorCode::ForeignClose.into());
            }
        }
        let companion = local.replace_companion(Companion::Nobody);
        if let Some(state) = companion.into_state() {
            self.counters().farewells.add(1);
            traced!(
                DEBUG,
                "socket ended",
                port = self.shared().number.get(),
                socket = raw as u64,
                handle = slot.handle().into_raw(),
                reason = reason.map_or_else(|error| error.code().text(), |()| "closed or removed")
            );
            let context = self.context(slot, Names::Kept(&local.info));
            let farewell = Farewell { reason, socket };
            if guarded(|| self.shared().handler().error(&context, state, farewell)).is_err() {
                self.counters().panics.add(1);
            }
        }
        let how = match close {
            Close::Background if reason.is_err_and(|error| error.os_error().is_some_and(says_over)) => {
                Some(CloseHow::Over)
            }
            Close::Background => Some(CloseHow::Background),
            Close::Reset => Some(CloseHow::Reset),
            Close::HandBack | Close::Never => None,
        };
        let ours = close != Close::HandBack && SocketTable::leave(raw, entry);
        if let (Some(how), true) = (how, ours) {
            net.close(raw, how, Some(identity));
        }
        local.machine().leave();
        self.release_if_unlisted(slot);
    }

    /// Gives the slot of a socket that is gone back, unless a list has it still: then who takes it from there does.
    pub(super) fn release_if_unlisted(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        if local.fresh.is_listed() {
            self.leaving.set(true);
        } else if !local.dirty.is_listed() {
            self.release(slot);
        }
    }

    /// Whether a recv of the socket stands still; it is asked to end.
    pub(super) fn end_standing(&self, slot: &'static Slot<H>) -> bool {
        let io = &mut self.local(slot).machine().io;
        self.backend.borrow_mut().end_standing(io, Worker::key(slot))
    }

    /// What has come without a recv to take it: reported if the socket goes on without it, else dropped.
    fn let_go_of_kept(&self, slot: &'static Slot<H>, report: bool) -> Result<(), Error> {
        let local = self.local(slot);
        let take = || {
            let io = &mut local.machine().io;
            self.backend.borrow_mut().take_kept(io, Worker::key(slot))
        };
        while let Some(buffer) = take()? {
            if report {
                self.count_callback();
                self.report_recv(slot, local, Ok(buffer));
            }
        }
        Ok(())
    }

    /// Gives the slot back.
    fn release(&self, slot: &'static Slot<H>) {
        slot.head.word.retire();
        self.slots().release(slot);
        self.shared().socket_gone();
    }

    /// The port is being deleted: carries that to everything this worker has. True when nothing is left.
    pub(super) fn wind_up(&self) -> bool {
        self.winding_up.set(true);
        self.take_inbox();
        // Pairs with the one in `add_connected`.
        fence(Ordering::SeqCst);
        for index in self.slots().live_indices() {
            let slot = self.slots().at(index);
            let local = self.local(slot);
            // One whose accept callback is still due is dropped in its turn, when its message has arrived.
            if local.machine().is_gone() || matches!(*local.companion(), Companion::Listener { .. }) {
                continue;
            }
            if local.machine().is_ending() {
                // One that is to be handed back when its peer has acknowledged what was sent waits no longer.
                self.abandon_send(slot);
                continue;
            }
            local.machine().end(Some(ErrorCode::Cancelled.into()), Close::Reset);
            self.shared().workers[self.index].aborted.add(1);
            self.seal(slot);
            self.mark_dirty(index);
        }
        self.place_waiting();
        let idle = !self.has_work() && !self.mailbox().has_listener_news() && self.accepting.borrow().is_empty();
        idle && self.slots().close_if_empty()
    }
}
