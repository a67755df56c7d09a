//! The callbacks: each is shown to the model, and then reacts as the program says.

use crate::model::Broken;
use crate::world::{State, World};
use socket_iocp::{Context, Datagram, Error, Farewell, Handler, PortHandle, ReadBuffer, Sent, Watermark};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, MutexGuard};

/// Counts the values of the program's that the engine holds: none may be left, none may go twice.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicI64>);

impl Held {
    pub(crate) fn new(count: &Arc<AtomicI64>) -> Held {
        count.fetch_add(1, Ordering::Relaxed);
        Held(count.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What goes with a connected socket: its place in the world.
#[derive(Debug)]
pub(crate) struct SocketToken {
    pub(crate) place: usize,
    _held: Held,
}

impl SocketToken {
    pub(crate) fn new(place: usize, count: &Arc<AtomicI64>) -> SocketToken {
        SocketToken { place, _held: Held::new(count) }
    }
}

/// What goes with a send.
#[derive(Debug)]
pub(crate) struct WriteToken {
    pub(crate) write: u64,
    pub(crate) len: usize,
    _held: Held,
}

impl WriteToken {
    pub(crate) fn new(write: u64, len: usize, count: &Arc<AtomicI64>) -> WriteToken {
        WriteToken { write, len, _held: Held::new(count) }
    }

    pub(crate) fn is_odd(&self) -> bool {
        self.write % 2 == 1
    }
}

/// The owner of a send's bytes.
#[derive(Debug)]
pub(crate) struct OwnedBytes {
    bytes: Vec<u8>,
    _held: Held,
}

impl OwnedBytes {
    pub(crate) fn new(bytes: Vec<u8>, count: &Arc<AtomicI64>) -> OwnedBytes {
        OwnedBytes { bytes, _held: Held::new(count) }
    }
}

impl AsRef<[u8]> for OwnedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What goes with a listener.
#[derive(Debug)]
pub(crate) struct ListenerToken {
    pub(crate) place: usize,
    _held: Held,
}

impl ListenerToken {
    pub(crate) fn new(place: usize, count: &Arc<AtomicI64>) -> ListenerToken {
        ListenerToken { place, _held: Held::new(count) }
    }
}

/// The handler under test.
pub(crate) struct Tortured(pub(crate) Arc<World>);

impl Tortured {
    /// The world, for one callback. It is free: a call of the program's on the port runs no callback.
    fn enter(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.0.try_enter();
        if state.is_none() {
            self.0.note_nested();
        }
        state
    }

    /// Shows a callback to the model; then the program reacts, if all is well.
    fn show(&self, context: &Context<'_, Self>, place: usize, show: impl FnOnce(&mut State) -> Result<(), Broken>) {
        let Some(mut state) = self.enter() else { return };
        state.callbacks += 1;
        match show(&mut state) {
            Ok(()) => state.react(context.port(), place),
            Err(broken) => state.note(broken),
        }
    }
}

impl Handler for Tortured {
    type Listener = ListenerToken;
    type Socket = SocketToken;
    type Write = WriteToken;

    fn accept(&self, context: &Context<'_, Self>, listener: &ListenerToken) -> Option<SocketToken> {
        let mut state = self.enter()?;
        state.callbacks += 1;
        match state.accepted(context.handle(), context.remote_addr(), listener.place, context.raw_socket()) {
            Ok(place) => {
                let place = place?;
                state.react(context.port(), place);
                state.keep_or_refuse(place)
            }
            Err(broken) => {
                state.note(broken);
                None
            }
        }
    }

    fn recv(&self, context: &Context<'_, Self>, socket: &mut SocketToken, received: Result<ReadBuffer, Error>) {
        let result = received.as_ref().map(|buffer| buffer.to_vec()).map_err(|error| *error);
        self.show(context, socket.place, |state| state.received(socket.place, &result));
        // Some buffers are kept for a while: the next recv must not be given the same memory.
        if let (Ok(buffer), Some(mut state)) = (received, self.enter()) {
            state.keep_buffer(buffer, result.unwrap_or_default());
        }
    }

    fn datagram(&self, context: &Context<'_, Self>, socket: &mut SocketToken, received: Result<Datagram, Error>) {
        let letter = |datagram: &Datagram| (datagram.buffer.to_vec(), datagram.sender, datagram.truncated);
        let result = received.as_ref().map(letter).map_err(|error| *error);
        self.show(context, socket.place, |state| state.mailed(socket.place, &result));
        if let (Ok(datagram), Ok((bytes, ..)), Some(mut state)) = (received, result, self.enter()) {
            state.keep_buffer(datagram.buffer, bytes);
        }
    }

    fn send(&self, context: &Context<'_, Self>, socket: &mut SocketToken, sent: Sent<WriteToken>) {
        self.show(context, socket.place, |state| state.sent(socket.place, &sent));
    }

    fn error(&self, context: &Context<'_, Self>, socket: SocketToken, farewell: Farewell) {
        self.show(context, socket.place, |state| state.farewell(socket.place, farewell));
    }

    fn connected(&self, context: &Context<'_, Self>, socket: &mut SocketToken) {
        let ends = (context.local_addr(), context.remote_addr());
        self.show(context, socket.place, |state| state.connected(socket.place, ends, context.raw_socket()));
    }

    fn timer(&self, context: &Context<'_, Self>, socket: &mut SocketToken, result: Result<(), Error>) {
        self.show(context, socket.place, |state| state.timer(socket.place, result));
    }

    fn listen_error(&self, _: &PortHandle<Self>, listener: &ListenerToken, reason: Result<(), Error>) {
        if let Some(mut state) = self.enter() {
            state.callbacks += 1;
            state.listener_farewell(listener.place, reason);
        }
    }

    fn watermark(&self, context: &Context<'_, Self>, socket: &mut SocketToken, mark: Watermark) {
        self.show(context, socket.place, |state| state.crossed(socket.place, mark));
    }
}
