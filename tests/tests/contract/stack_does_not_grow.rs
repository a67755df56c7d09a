//! The stack does not grow with the number of completions, though each callback issues the next operation and it can
//! complete at once.

use socket_iocp::{Context, Error, Farewell, Handler, Port, ReadBuffer, Sent};
use socket_iocp_testkit::{Gate, Lab, on_every_backend};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

on_every_backend!(chained_empty_sends, chained_sync_sends, chained_recvs_of_bytes_that_are_there);

const COMPLETIONS: u64 = 20_000;
/// How far the stacks of two callbacks may be apart. Recursion by 20,000 callbacks needs far more.
const SPREAD_BYTES: usize = 16 << 10;

/// Keeps the lowest and the highest place on the stack that a callback has had.
struct Plumb {
    lowest: AtomicUsize,
    highest: AtomicUsize,
    callbacks: Arc<Gate>,
}

impl Plumb {
    fn new() -> (Plumb, Arc<Gate>) {
        let callbacks = Arc::new(Gate::new());
        let plumb =
            Plumb { lowest: AtomicUsize::new(usize::MAX), highest: AtomicUsize::new(0), callbacks: callbacks.clone() };
        (plumb, callbacks)
    }

    fn measure(&self) {
        let here = 0u8;
        let address = (&raw const here).addr();
        self.lowest.fetch_min(address, Ordering::Relaxed);
        self.highest.fetch_max(address, Ordering::Relaxed);
        self.callbacks.pass();
    }

    fn check(&self) {
        let spread = self.highest.load(Ordering::Relaxed) - self.lowest.load(Ordering::Relaxed);
        assert!(spread <= SPREAD_BYTES, "the callbacks' stacks are {spread} bytes apart");
    }
}

impl Handler for Plumb {
    type Listener = ();
    type Socket = ();
    /// Whether the next one is to be a sync send.
    type Write = bool;

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        unreachable!("nobody listens")
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut (), received: Result<ReadBuffer, Error>) {
        self.measure();
        if !received.expect("input").is_empty() {
            context.recv().expect("a live socket");
        }
    }

    fn send(&self, context: &Context<'_, Self>, _: &mut (), sent: Sent<bool>) {
        self.measure();
        if self.callbacks.count() >= COMPLETIONS {
            return;
        }
        // An error is the end of the test.
        let _ = if sent.write { context.sync_send(b"x", true) } else { context.send(sent.buffer, false) };
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

fn chained_empty_sends(lab: &Lab) {
    let (plumb, callbacks) = Plumb::new();
    let port = Port::new(plumb, lab.options().threads(1)).expect("a port");
    let (socket, _client) = lab.pair();
    let socket = port.add_connected(socket, ()).expect("a connected socket");
    port.send(socket, Vec::new(), false).expect("a first send");
    callbacks.wait_for("empty sends", COMPLETIONS);
    port.handler().check();
}

fn chained_sync_sends(lab: &Lab) {
    let (plumb, callbacks) = Plumb::new();
    let port = Port::new(plumb, lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, ()).expect("a connected socket");
    port.sync_send(socket, b"x", true).expect("a first send");
    client.read_exact(COMPLETIONS as usize).expect("the bytes");
    callbacks.wait_for("sync sends", COMPLETIONS);
    port.handler().check();
}

fn chained_recvs_of_bytes_that_are_there(lab: &Lab) {
    let (plumb, callbacks) = Plumb::new();
    // Read buffers of one byte: each recv finds its byte, and the next one's too.
    let port = Port::new(plumb, lab.options_with(1).threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    client.write_all(&[7; COMPLETIONS as usize]).expect("room in the kernel");
    let socket = port.add_connected(socket, ()).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    callbacks.wait_for("recvs", COMPLETIONS);
    port.handler().check();
}
