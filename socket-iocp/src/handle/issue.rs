//! Issue calls: a claim in the word, and for a foreign thread the message that carries it to the worker.

use super::cancel::CancelNode;
use super::link::Kind;
use super::mailbox::Mailbox;
use super::node::{NO_NODE, NodeRef};
use super::queue::Queue;
use super::slot::{Slot, SlotHead};
use super::word::{Claimer, Control};
use crate::handler::Handler;
use crate::planted::planted;
use crate::time::Limit;
use crate::{Error, ErrorCode, SendBuffer};
use socket2::SockAddr;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

/// A send that was not accepted, with what was given to it.
pub(crate) type Refused<W> = (Error, SendBuffer, W);

impl SlotHead {
    /// Asks for a half-close, a cancel or an ending from a foreign thread.
    pub(crate) fn post_control(&self, generation: u32, control: Control, mailbox: &Mailbox) -> Result<(), Error> {
        if self.word.claim_control(generation, control, Claimer::Foreign)? {
            // SAFETY: the claim says that the control link is in no inbox, and keeps the slot until the link has
            // arrived.
            unsafe { mailbox.push(NonNull::from(&self.control_link)) };
        }
        Ok(())
    }

    /// Issues the timer on the socket's worker.
    pub(crate) fn issue_timer(&self, generation: u32, delay: Limit, state: usize) -> Result<(), Error> {
        self.word.claim_timer(generation, Claimer::Local)?;
        self.timer_state.store(state, Ordering::Relaxed);
        self.control_link.set_limit(delay);
        Ok(())
    }

    /// Issues the timer from a foreign thread.
    pub(crate) fn post_timer(
        &self,
        generation: u32,
        delay: Limit,
        state: usize,
        mailbox: &Mailbox,
    ) -> Result<(), Error> {
        self.word.claim_timer(generation, Claimer::Foreign)?;
        // The claim makes both this thread's; the worker looks at them when the limit is there.
        self.timer_state.store(state, Ordering::Relaxed);
        self.control_link.publish_limit(delay);
        if self.word.queue_timer() {
            // SAFETY: the word says that the control link was in no inbox, and the claim keeps the slot until it has arrived.
            unsafe { mailbox.push(NonNull::from(&self.control_link)) };
        }
        Ok(())
    }
}

impl<H: Handler> Slot<H> {
    /// Issues the recv from a foreign thread.
    pub(crate) fn post_recv(&self, generation: u32, limit: Limit, mailbox: &Mailbox) -> Result<(), Error> {
        self.head.word.claim_recv(generation, Claimer::Foreign)?;
        self.head.recv_link.set_limit(limit);
        // SAFETY: the claim makes this thread the owner of the recv link, and keeps the slot until it has arrived.
        unsafe { mailbox.push(NonNull::from(&self.head.recv_link)) };
        Ok(())
    }

    /// Sends a new socket, filled with `Claimer::Foreign`, to its worker.
    pub(crate) fn post_accepted(&self, mailbox: &Mailbox) {
        self.head.recv_link.set_kind(Kind::Accepted);
        // SAFETY: the slot was filled with its recv claimed for this message and the message in transit, so the link is
        // in no other inbox, and the slot stays until it has arrived.
        unsafe { mailbox.push(NonNull::from(&self.head.recv_link)) };
    }

    /// The worker has taken the message of `post_accepted`.
    pub(crate) fn accepted_arrived(&self) {
        self.head.recv_link.set_kind(Kind::Recv);
        self.head.word.accepted_arrived();
    }

    /// Issues an async send: a node for the caller's queue if the caller is the worker, else the message is sent.
    pub(crate) fn issue_async_send(
        &self,
        generation: u32,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
        queue: &Queue,
        to: Option<&Mailbox>,
    ) -> Result<Option<NodeRef<H::Write>>, Refused<H::Write>> {
        let len = buffer.queued_bytes();
        let node =
            NodeRef::allocate(self.index(), buffer, write).map_err(|(buffer, write)| (NO_NODE, buffer, write))?;
        node.set_limit(limit);
        let claimer = if to.is_some() { Claimer::Foreign } else { Claimer::Local };
        // A local claim only looks: a socket that takes no sends says so, even where the queue is full as well.
        let counted = self.head.word.claim_async_send(generation, Claimer::Local);
        let counted = counted.and_then(|()| self.count_send(generation, len, queue));
        if let Err(error) = counted.and_then(|()| self.head.word.claim_async_send(generation, claimer)) {
            if counted.is_ok() {
                self.uncount_send(generation, len, queue);
            }
            let send = node.finish();
            return Err((error, send.buffer, send.write));
        }
        let Some(mailbox) = to else { return Ok(Some(node)) };
        // SAFETY: the node is new, has the worker's `W`, and its slot stays until it has arrived.
        unsafe { mailbox.push(node.into_link()) };
        Ok(None)
    }

    /// Issues the sync send, of a datagram socket with the address that it goes to, if it has one; answers as `issue_async_send`
    /// does.
    pub(crate) fn issue_sync_send(
        &self,
        generation: u32,
        address: Option<&SockAddr>,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
        to: Option<&Mailbox>,
    ) -> Result<Option<NodeRef<H::Write>>, Refused<H::Write>> {
        let claimer = if to.is_some() { Claimer::Foreign } else { Claimer::Local };
        if let Err(error) = self.head.word.claim_sync_send(generation, claimer) {
            return Err((error, buffer, write));
        }
        // SAFETY: the claim was just granted, and keeps the slot until it has been reported.
        let node = unsafe { NodeRef::fill(&self.sync_send, address, buffer, write) };
        node.set_limit(limit);
        let Some(mailbox) = to else { return Ok(Some(node)) };
        // SAFETY: the node is the claim's own, has the worker's `W`, and its slot stays until it has arrived.
        unsafe { mailbox.push(node.into_link()) };
        Ok(None)
    }

    /// Asks from a foreign thread that sends be cancelled.
    pub(crate) fn post_cancel(
        &self,
        generation: u32,
        which: impl FnMut(&H::Write) -> bool + Send + 'static,
        mailbox: &Mailbox,
    ) -> Result<(), Error> {
        let node = CancelNode::allocate(self.index(), which).ok_or(ErrorCode::NoMemory)?;
        self.head.word.claim_look(generation, Claimer::Foreign)?;
        // SAFETY: the node is new, has the worker's `W`, and its slot stays until it has arrived.
        unsafe { mailbox.push(node.into_link()) };
        Ok(())
    }

    /// Counts one more outstanding send of so many bytes, as far as the port counts them. The port's own count comes first: a
    /// send that it refuses never shows in its socket's, which the watermarks go by.
    fn count_send(&self, generation: u32, len: usize, queue: &Queue) -> Result<(), Error> {
        queue.port.add(len)?;
        let counted = self.count_in_socket(generation, len, queue);
        if counted.is_err() {
            queue.port.subtract(len);
        }
        counted
    }

    fn count_in_socket(&self, generation: u32, len: usize, queue: &Queue) -> Result<(), Error> {
        if queue.counts_sends() {
            self.head.sends.add(generation, 1, queue.max_sends)?;
        }
        if queue.counts_bytes
            && let Err(error) = self.head.bytes.add(generation, len, queue.max_bytes)
        {
            if queue.counts_sends() {
                self.head.sends.subtract(generation, 1);
            }
            return Err(error);
        }
        Ok(())
    }

    /// An async send has been reported, or was not accepted after all.
    pub(crate) fn uncount_send(&self, generation: u32, len: usize, queue: &Queue) {
        if queue.counts_sends() {
            self.head.sends.subtract(generation, 1);
        }
        if queue.counts_bytes && !planted!(BytesForgotten) {
            self.head.bytes.subtract(generation, len);
        }
        if !planted!(PortBytesForgotten) {
            queue.port.subtract(len);
        }
    }

    /// The bytes in this socket's async sends outstanding, if the port counts them; `None` if it has begun its farewell, or is
    /// another socket by now.
    pub(crate) fn queued_bytes(&self, generation: u32) -> Option<u32> {
        self.head.bytes.count(generation).filter(|_| self.head.word.is_before_farewell(generation))
    }
}
