//! No callback is ever run inside an issue call, whoever makes it.

use socket_iocp::{Context, Handler, Port};
use socket_iocp::{Error, Farewell, ReadBuffer, Sent};
use socket_iocp_testkit::{Gate, Lab, on_every_backend};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

on_every_backend!(none_inside_a_call_made_by_a_callback, none_inside_a_call_made_by_another_thread);

thread_local! {
    /// This thread is inside a call of the library's.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn calling<R>(call: impl FnOnce() -> R) -> R {
    INSIDE.set(true);
    let answer = call();
    INSIDE.set(false);
    answer
}

/// Counts the callbacks that come inside a call; each send's callback issues more, all of which can complete at once.
struct Watcher {
    nested: AtomicUsize,
    rounds: AtomicUsize,
    done: Arc<Gate>,
}

impl Watcher {
    fn new(rounds: usize) -> (Watcher, Arc<Gate>) {
        let done = Arc::new(Gate::new());
        (Watcher { nested: AtomicUsize::new(0), rounds: AtomicUsize::new(rounds), done: done.clone() }, done)
    }

    fn enter(&self) {
        self.nested.fetch_add(usize::from(INSIDE.get()), Ordering::Relaxed);
    }
}

impl Handler for Watcher {
    type Listener = ();
    type Socket = ();
    type Write = bool;

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        unreachable!("nobody listens")
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut (), _: Result<ReadBuffer, Error>) {
        self.enter();
        // Input may be there already.
        let _ = calling(|| context.recv());
    }

    fn send(&self, context: &Context<'_, Self>, _: &mut (), sent: Sent<bool>) {
        self.enter();
        if !sent.write {
            return;
        }
        let more = |rounds: usize| rounds.checked_sub(1);
        if self.rounds.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            // The last: ending the socket gives its farewell.
            calling(|| context.abort()).expect("a live socket");
            return;
        }
        calling(|| {
            context.send(b"x", false).expect("a live socket");
            context.sync_send(Vec::new(), false).expect("no other sync send");
            context.send(Vec::new(), true).expect("a live socket");
        });
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {
        self.enter();
        self.done.pass();
    }
}

fn none_inside_a_call_made_by_a_callback(lab: &Lab) {
    let (watcher, done) = Watcher::new(1_000);
    let port = Port::new(watcher, lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    client.write_all(b"input that is there before the first recv").expect("a live connection");
    let socket = port.add_connected(socket, ()).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    port.send(socket, Vec::new(), true).expect("a first send");
    done.wait_for("the farewell", 1);
    assert_eq!(port.handler().nested.load(Ordering::Relaxed), 0);
}

fn none_inside_a_call_made_by_another_thread(lab: &Lab) {
    let (watcher, done) = Watcher::new(0);
    let port = Port::new(watcher, lab.options().threads(1)).expect("a port");
    for count in 1..=100 {
        let (socket, mut client) = lab.pair();
        client.write_all(b"x").expect("a live connection");
        calling(|| {
            let socket = port.add_connected(socket, ()).expect("a connected socket");
            port.recv(socket).expect("a first recv");
            port.send(socket, Vec::new(), false).expect("a live socket");
            port.sync_send(socket, b"x", false).expect("no other sync send");
            port.abort(socket).expect("a live socket");
        });
        done.wait_for("the farewells", count);
    }
    assert_eq!(port.handler().nested.load(Ordering::Relaxed), 0);
}
