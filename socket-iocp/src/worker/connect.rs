//! Connecting: a worker's part.

use super::Worker;
use crate::address::Addresses;
use crate::connects::To;
use crate::handle::{Slot, SocketTable};
use crate::handler::Handler;
use crate::hosts::give_up;
use crate::planted::planted;
use crate::sys::{Failure, Submitted};
use crate::trace::traced;
use crate::{Error, Socket};
use std::sync::atomic::Ordering;

impl<H: Handler> Worker<H> {
    /// Sees to what is new about the sockets that are being connected: begins with those that have come, and with their time
    /// limits, takes connections to hosts, and cancels.
    pub(super) fn see_to_connects(&self) {
        while let Some(news) = self.connects().next() {
            let slot = self.slots().at(news.index);
            if news.begins && self.local(slot).machine().watch().is_fresh() {
                self.mark_fresh(slot);
            }
            if let Some(made) = news.made.filter(|_| !planted!(HostForgotten)) {
                self.take_made(slot, made);
            }
            if news.cancelled {
                self.local(slot).machine().cancel_connect();
                self.seal(slot);
            }
            self.mark_dirty(news.index);
        }
    }

    pub(super) fn start_connect(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        let address = self.connects().address(slot.index());
        let submitted = {
            let mut machine = local.machine();
            let (memory, raw) = (self.memory(slot), local.info.raw());
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
            net.connected(local.info.raw());
            let ends = (net.local_address(local.info.raw()), net.remote_address(local.info.raw()));
            local.info.addresses.set(Addresses::of(&ends.0, &ends.1));
        }
        local.machine().connect_ended(result);
        self.seal(slot);
        match result {
            Err(Failure::Shortage) => {
                self.counters().buffer_shortages.add(1);
                self.retry_later();
            }
            Err(_) if local.machine().wants_connect() => self.mark_dirty(slot.index()),
            _ => {}
        }
    }

    /// The connect is outstanding no longer.
    pub(super) fn forget_connect(&self, slot: &'static Slot<H>) {
        match self.connects().remove(slot.index()) {
            Some(To::Host) => self.shared().hosts.cancel(slot.handle()),
            Some(To::Made(Ok(socket))) => give_up(&self.shared().net, socket),
            _ => {}
        }
    }

    /// Takes what has come of a connect to a host.
    fn take_made(&self, slot: &'static Slot<H>, made: Result<Socket, Error>) {
        let waits = self.local(slot).machine().awaits_host();
        let result = match made {
            Ok(socket) if waits => self.adopt(slot, socket),
            Ok(socket) => return give_up(&self.shared().net, socket),
            Err(_) if !waits => return,
            Err(error) => Err(error),
        };
        self.local(slot).machine().host_ended(result);
        self.seal(slot);
    }

    /// Makes a connected socket that of a slot that had none.
    fn adopt(&self, slot: &'static Slot<H>, socket: Socket) -> Result<(), Error> {
        let (net, local, raw) = (&self.shared().net, self.local(slot), socket.as_raw());
        let entered = net.identity(raw).and_then(|identity| {
            // So that nothing can be refused once the socket is tied to the worker.
            SocketTable::reserve(raw)?;
            Ok((identity, self.mailbox().associate(raw, slot.handle(), false)?))
        });
        let (identity, io) = match entered {
            Ok(entered) => entered,
            Err(error) => {
                give_up(net, socket);
                return Err(error);
            }
        };
        // Before the table leads others to it.
        slot.head.identity.store(identity.0, Ordering::Release);
        local.info.raw.set(socket.into_raw());
        assert!(self.enter_table(slot), "its number has a place");
        local.machine().io = io;
        local.info.addresses.set(Addresses::of(&net.local_address(raw), &net.remote_address(raw)));
        traced!(
            DEBUG,
            "socket added",
            port = self.shared().number.get(),
            socket = raw as u64,
            handle = slot.handle().into_raw()
        );
        Ok(())
    }
}
