//! Datagram sockets: a worker's part.

use super::{Companion, Local, Worker, guarded};
use crate::handle::{Slot, boxed};
use crate::handler::{Datagram, Handler, Names};
use crate::sys::{DatagramBlock, Submitted};
use crate::{Error, ReadBuffer};
use std::net::{Ipv4Addr, SocketAddr};

/// What a datagram socket has in the place of the user's state alone: a slot has no room for it.
pub(crate) struct DatagramState<H: Handler> {
    /// The user's; it is put here when nothing can fail any more.
    pub(crate) state: Option<H::Socket>,
    pub(crate) memory: DatagramBlock,
}

impl<H: Handler> DatagramState<H> {
    /// With no state of the user's yet; `None` when memory is refused.
    pub(crate) fn new() -> Option<Box<DatagramState<H>>> {
        boxed(DatagramState { state: None, memory: DatagramBlock::new()? })
    }
}

impl<H: Handler> Worker<H> {
    pub(super) fn start_recv_from(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        let submitted = {
            let companion = local.companion();
            let Companion::Datagram(datagram) = &*companion else { unreachable!("its socket lives") };
            let mut machine = local.machine();
            let (memory, key, raw) = (self.memory(slot), Worker::key(slot), local.info.raw());
            let (mut backend, mut pool) = (self.backend.borrow_mut(), self.pool.borrow_mut());
            backend.recv_from(&mut machine.io, memory, key, raw, &mut pool, &datagram.memory)
        };
        if let Submitted::Done(result) = submitted {
            let failure = self.recv_ended(slot, result);
            self.try_recv_again(slot, failure);
        }
    }

    pub(super) fn start_send_to(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        let submitted = {
            let mut machine = local.machine();
            let (io, to, slices) = machine.start_send_to();
            let (memory, key) = (self.memory(slot), Worker::key(slot));
            self.backend.borrow_mut().send_to(io, memory, key, local.info.raw(), to, slices)
        };
        if let Submitted::Done(result) = submitted {
            self.send_ended(slot, result);
        }
    }

    /// A recv has failed: if it is that of a datagram socket, its callback is to say why.
    pub(super) fn note_datagram_failure(&self, slot: &'static Slot<H>, os: i32) {
        if let Companion::Datagram(datagram) = &*self.local(slot).companion() {
            datagram.memory.set_failure(Error::from_os(os));
        }
    }

    pub(super) fn report_datagram(
        &self,
        slot: &'static Slot<H>,
        local: &Local<H>,
        received: Result<ReadBuffer, Error>,
    ) {
        slot.head.word.recv_reported(false);
        self.count_recv(slot, &received);
        let Companion::Datagram(datagram) = &mut *local.companion() else { return };
        let DatagramState { state: Some(state), memory } = &mut **datagram else { return };
        // A system that does not tell has none to answer to.
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let sender = memory.sender().unwrap_or(nobody);
        let truncated = memory.is_truncated(self.memory(slot));
        let segment_size = memory.segment_size();
        let names = match received {
            Ok(_) => Names::Sender { info: &local.info, sender: &sender, segment_size },
            Err(_) => Names::Kept(&local.info),
        };
        let received =
            received.map(|buffer| Datagram { buffer, sender, truncated, segment_size: segment_size as usize });
        let received = received.map_err(|error| memory.take_failure().unwrap_or(error));
        let context = self.context(slot, names);
        if guarded(|| self.shared().handler().datagram(&context, state, received)).is_err() {
            self.panicked(slot);
        }
    }
}
