//! A socket whose operations complete at once does not take its worker from the others, nor from the port's deletion.

use socket_iocp::{Context, Error, Farewell, Handler, Port, ReadBuffer, Sent, SocketHandle};
use socket_iocp_testkit::{Client, Lab, on_every_backend};
use std::thread;

on_every_backend!(endless_empty_sends, endless_sends, endless_input);

/// Issues the same again in every callback of a socket with the state `true`; echoes on the others.
struct Endless;

impl Handler for Endless {
    type Listener = ();
    type Socket = bool;
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<bool> {
        unreachable!("nobody listens")
    }

    // Errors of the calls here are the end of the test.

    fn recv(&self, context: &Context<'_, Self>, _: &mut bool, received: Result<ReadBuffer, Error>) {
        if let Ok(bytes) = received {
            let _ = context.send(bytes, ());
            let _ = context.recv();
        }
    }

    fn send(&self, context: &Context<'_, Self>, endless: &mut bool, sent: Sent<()>) {
        if *endless {
            let _ = context.send(sent.buffer, ());
        }
    }

    fn error(&self, _: &Context<'_, Self>, _: bool, _: Farewell) {}
}

fn added(lab: &Lab, port: &Port<Endless>, endless: bool) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, endless).expect("a connected socket"), client)
}

/// Two sockets of one worker: while the first is busy for ever, the second echoes; then the port is deleted.
fn check(lab: &Lab, start: impl FnOnce(&Port<Endless>, SocketHandle), peer: impl FnOnce(Client) + Send + 'static) {
    let port = Port::new(Endless, lab.options().threads(1)).expect("a port");
    let (busy, busy_client) = added(lab, &port, true);
    let (quiet, mut client) = added(lab, &port, false);
    start(&port, busy);
    let peer = thread::spawn(move || peer(busy_client));
    port.recv(quiet).expect("a first recv");
    for round in 0..20 {
        client.write_all(&[round]).expect("a live connection");
        assert_eq!(client.read_exact(1).expect("the echo"), [round]);
    }
    port.delete();
    peer.join().expect("the peer saw the end");
}

fn endless_empty_sends(lab: &Lab) {
    check(lab, |port, busy| port.send(busy, Vec::new(), ()).expect("a live socket"), drop);
}

fn read_until_the_end(mut client: Client) {
    let mut part = [0; 65536];
    while client.read(&mut part).is_ok_and(|count| count != 0) {}
}

fn endless_sends(lab: &Lab) {
    check(lab, |port, busy| port.send(busy, b"x", ()).expect("a live socket"), read_until_the_end);
}

fn endless_input(lab: &Lab) {
    let start = |port: &Port<Endless>, busy| port.recv(busy).expect("a first recv");
    // What comes back is more and more for the socket, and never read.
    check(lab, start, |mut client| while client.write_all(&[7; 4096]).is_ok() {});
}
