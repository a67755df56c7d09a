//! Connecting: a worker's part.

use super::Worker;
use crate::address::Addresses;
use crate::handle::Slot;
use crate::handler::Handler;
use crate::sys::{Failure, Submitted};

impl<H: Handler> Worker<H> {
    /// Sees to what is new about the sockets that are being connected: begins with those that have come, and with their time
    /// limits, and cancels.
    pub(super) fn see_to_connects(&self) {
        while let Some(news) = self.connects().next() {
            let slot = self.slots().at(news.index);
            if news.begins && self.local(slot).machine.borrow().watch().is_fresh() {
                self.mark_fresh(slot);
            }
            if news.cancelled {
                self.local(slot).machine.borrow_mut().cancel_connect();
                self.seal(slot);
            }
            self.mark_dirty(news.index);
        }
    }

    pub(super) fn start_connect(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        let address = self.connects().address(slot.index());
        let submitted = {
            let mut machine = local.machine.borrow_mut();
            let (memory, raw) = (self.memory(slot), local.info.raw);
            let mut backend = self.backend.borrow_mut();
            backend.connect(&mut machine.io, memory, Worker::key(slot), raw, &address)
        };
        if let Submitted::Done(result) = submitted {
            self.connect_ended(slot, result);
        }
    }

    /// Tells the state machine. One that found no memory is started again after a pause; one that was interrupted, at once.
    pub(super) fn connect_ended(&self, slot: &'static Slot<H>, result: Result<(), Failure>) {
        let local = self.local(slot);
        let result = result.map_err(|failure| self.judge(slot, failure));
        if result.is_ok() {
            let net = &self.shared().net;
            net.connected(local.info.raw);
            let ends = (net.local_address(local.info.raw), net.remote_address(local.info.raw));
            local.info.addresses.set(Addresses::of(&ends.0, &ends.1));
        }
        local.machine.borrow_mut().connect_ended(result);
        self.seal(slot);
        match result {
            Err(Failure::Shortage) => {
                self.counters().buffer_shortages.add(1);
                self.retry_later();
            }
            Err(_) if local.machine.borrow().wants_connect() => self.mark_dirty(slot.index()),
            _ => {}
        }
    }

    /// The connect is outstanding no longer.
    pub(super) fn forget_connect(&self, slot: &'static Slot<H>) {
        self.connects().remove(slot.index());
    }
}
