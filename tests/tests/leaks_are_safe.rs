//! Leaking is safe: a port, a buffer or a state that is forgotten harms nobody, and a program needs no `unsafe`.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Error, Farewell, Handler, Port, PortHandle, ReadBuffer, Sent};
use socket_iocp_testkit::{Gate, Lab, on_every_backend};
use std::mem::forget;
use std::sync::Arc;

on_every_backend!(a_forgotten_port_serves_on, forgotten_buffers_and_states);

/// Echoes a copy and forgets everything that it is given.
struct Forgetful {
    farewells: Arc<Gate>,
}

impl Handler for Forgetful {
    type Listener = Box<u8>;
    type Socket = Box<u8>;
    type Write = Box<u8>;

    fn accept(&self, context: &Context<'_, Self>, _: &Box<u8>) -> Option<Box<u8>> {
        context.recv().expect("a new socket");
        Some(Box::new(0))
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut Box<u8>, received: Result<ReadBuffer, Error>) {
        let bytes = received.expect("no recv is cancelled by itself");
        if bytes.is_empty() {
            context.close().expect("a live socket");
        } else {
            forget(context.send(bytes.to_vec(), Box::new(0)));
            forget(context.sync_send(Vec::new(), Box::new(1)));
            context.recv().expect("a live socket");
        }
        forget(bytes);
    }

    fn send(&self, _: &Context<'_, Self>, _: &mut Box<u8>, sent: Sent<Box<u8>>) {
        forget(sent);
    }

    fn error(&self, _: &Context<'_, Self>, state: Box<u8>, farewell: Farewell) {
        forget((state, farewell));
        self.farewells.pass();
    }
}

fn forgetful() -> (Forgetful, Arc<Gate>) {
    let farewells = Arc::new(Gate::new());
    (Forgetful { farewells: farewells.clone() }, farewells)
}

/// Serves a connection from its start to its end.
fn serve(lab: &Lab, port: &PortHandle<Forgetful>) {
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, Box::new(1)).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    for round in 0..100 {
        client.write_all(&[round]).expect("a live connection");
        assert_eq!(client.read_exact(1).expect("the echo"), [round]);
    }
    client.shutdown_write();
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
}

fn a_forgotten_port_serves_on(lab: &Lab) {
    let (handler, farewells) = forgetful();
    let port = Port::new(handler, lab.options()).expect("a port");
    let handle = PortHandle::clone(&port);
    forget(port);
    serve(lab, &handle);
    farewells.wait_for("the farewell", 1);
}

fn forgotten_buffers_and_states(lab: &Lab) {
    let (handler, farewells) = forgetful();
    let port = Port::new(handler, lab.options()).expect("a port");
    for count in 1..=5 {
        serve(lab, &port);
        farewells.wait_for("the farewell", count);
    }
    let (socket, client) = lab.pair();
    port.add_connected(socket, Box::new(2)).expect("a connected socket");
    forget(client);
    port.delete();
    farewells.wait_for("the last farewell", 6);
}
