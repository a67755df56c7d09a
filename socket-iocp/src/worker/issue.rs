//! Issue calls made on the worker itself, inside a callback. They change the state machine and mark the socket; the
//! kernel hears of it when the callbacks have run.

use super::Worker;
use crate::handle::{Claimer, Control, NodeRef, Refused, Slot};
use crate::handler::Handler;
use crate::time::Limit;
use crate::{Error, ErrorCode, ReadBuffer, SendBuffer};
use socket2::SockAddr;

impl<H: Handler> Worker<H> {
    /// Which worker of the port this is.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// What foreign threads have issued comes first: a call of theirs that has returned is never overtaken by one made
    /// here.
    pub(super) fn let_others_first(&self) {
        if !self.mailbox().inbox.is_empty() {
            self.take_inbox();
        }
    }

    /// A recv that was claimed.
    pub(super) fn take_recv(&self, slot: &'static Slot<H>, limit: Limit) {
        self.local(slot).machine().issue_recv();
        self.note_limit(slot, limit);
        self.mark_dirty(slot.index());
    }

    /// A send that was claimed.
    pub(super) fn take_send(&self, slot: &'static Slot<H>, node: NodeRef<H::Write>) {
        self.note_limit(slot, node.limit());
        let counted = self.shared().queue.counts() && !node.is_sync();
        if counted {
            self.counters().queued_sends.add(1);
            self.counters().queued_bytes.add(node.content().buffer.queued_bytes() as u64);
        }
        self.local(slot).machine().issue_send(node);
        if counted {
            self.weigh(slot);
        }
        self.mark_dirty(slot.index());
    }

    pub(crate) fn issue_recv(&self, slot: &'static Slot<H>, generation: u32, limit: Limit) -> Result<(), Error> {
        self.let_others_first();
        slot.head.word.claim_recv(generation, Claimer::Local)?;
        slot.head.recv_link.set_limit(limit);
        self.take_recv(slot, limit);
        Ok(())
    }

    pub(crate) fn issue_timer(
        &self,
        slot: &'static Slot<H>,
        generation: u32,
        delay: Limit,
        state: usize,
    ) -> Result<(), Error> {
        self.let_others_first();
        slot.head.issue_timer(generation, delay, state)?;
        self.local(slot).machine().issue_timer();
        self.note_limit(slot, delay);
        Ok(())
    }

    pub(crate) fn issue_async_send(
        &self,
        slot: &'static Slot<H>,
        generation: u32,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
    ) -> Result<(), Refused<H::Write>> {
        self.let_others_first();
        if let Some(node) = slot.issue_async_send(generation, buffer, write, limit, &self.shared().queue, None)? {
            self.take_send(slot, node);
        }
        Ok(())
    }

    pub(crate) fn issue_sync_send(
        &self,
        slot: &'static Slot<H>,
        generation: u32,
        address: Option<&SockAddr>,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
    ) -> Result<(), Refused<H::Write>> {
        self.let_others_first();
        if let Some(node) = slot.issue_sync_send(generation, address, buffer, write, limit, None)? {
            self.take_send(slot, node);
        }
        Ok(())
    }

    pub(crate) fn control(&self, slot: &'static Slot<H>, generation: u32, control: Control) -> Result<(), Error> {
        self.let_others_first();
        slot.head.word.claim_control(generation, control, Claimer::Local)?;
        self.obey(slot);
        Ok(())
    }

    pub(crate) fn lend(&self, slot: &'static Slot<H>, generation: u32, buffer: ReadBuffer) {
        if slot.head.word.is_live(generation) {
            self.local(slot).machine().lend(buffer);
        }
    }

    /// Takes back what a callback of this socket has lent.
    pub(crate) fn take_lent(&self, slot: &'static Slot<H>, generation: u32) -> Result<ReadBuffer, Error> {
        if !slot.head.word.is_live(generation) {
            return Err(ErrorCode::Closed.into());
        }
        let lent = self.local(slot).machine().take_lent();
        lent.ok_or(ErrorCode::NullPointer.into())
    }
}
