//! A socket with no operation outstanding is not watched: its failure is reported by the next operation, and input to it
//! makes no callback.

use socket_iocp::{ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};

on_every_backend!(
    a_reset_is_reported_by_the_next_recv,
    a_reset_is_reported_by_the_next_send,
    a_fin_is_reported_by_the_next_recv
);

/// A port of one worker with an idle socket, on which an exchange has been made (so whatever watches sockets knows it), and
/// another one that echoes.
struct Scene {
    port: Port<Probe>,
    idle: SocketHandle,
    idle_client: Option<Client>,
    echo_client: Client,
}

impl Scene {
    fn new(lab: &Lab) -> Scene {
        let probe = Probe::reacting(|_, context, event| {
            if let (Some(context), Event::Received { state: 2, result: Ok(bytes), .. }) = (context, event) {
                context.send(bytes.clone(), 0).expect("a live socket");
                context.recv().expect("a live socket");
            }
            None
        });
        let port = Port::new(probe, lab.options().threads(1)).expect("a port");
        let (idle, mut idle_client) = lab.pair();
        let idle = port.add_connected(idle, 1).expect("a connected socket");
        let (echo, echo_client) = lab.pair();
        let echo = port.add_connected(echo, 2).expect("a connected socket");
        port.recv(echo).expect("a first recv");
        port.recv(idle).expect("a first recv");
        // One byte: a recv may bring a part of what is there, and nothing may be left.
        idle_client.write_all(b"i").expect("a live connection");
        port.handler().wait_for("the input", |log| log.iter().any(|event| event.handle() == Some(idle)).then_some(()));
        port.send(idle, b"pong", 1).expect("a live socket");
        idle_client.read_exact(4).expect("the bytes");
        wait_for_history(&port, idle, 2);
        Scene { port, idle, idle_client: Some(idle_client), echo_client }
    }

    /// The worker takes its turns, and reports nothing of the idle socket.
    fn nothing_is_reported(&mut self) {
        for round in 0..20 {
            self.echo_client.write_all(&[round]).expect("a live connection");
            assert_eq!(self.echo_client.read_exact(1).expect("the echo"), [round]);
        }
        let history = self.port.handler().history(self.idle);
        assert_eq!(history.len(), 2, "{history:?}");
    }
}

fn wait_for_history(port: &PortHandle<Probe>, socket: SocketHandle, count: usize) {
    port.handler().wait_for("callbacks of the idle socket", |log| {
        (log.iter().filter(|event| event.handle() == Some(socket)).count() == count).then_some(())
    });
}

fn reset(lab: &Lab, operate: impl FnOnce(&PortHandle<Probe>, SocketHandle)) -> Vec<Event> {
    let mut scene = Scene::new(lab);
    scene.idle_client.take().expect("a client").reset();
    scene.nothing_is_reported();
    operate(&scene.port, scene.idle);
    let (reason, before) = scene.port.handler().wait_for_end(scene.idle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Reset));
    before[2..].to_vec()
}

fn a_reset_is_reported_by_the_next_recv(lab: &Lab) {
    let reported = reset(lab, |port, socket| port.recv(socket).expect("nobody knows of the reset yet"));
    assert_eq!(reported, []);
}

fn a_reset_is_reported_by_the_next_send(lab: &Lab) {
    let reported = reset(lab, |port, socket| port.send(socket, b"x", 9).expect("nobody knows of the reset yet"));
    assert!(matches!(&reported[..], [Event::Sent { write: 9, result: Err(_), bytes: 0, .. }]), "{reported:?}");
}

fn a_fin_is_reported_by_the_next_recv(lab: &Lab) {
    let mut scene = Scene::new(lab);
    let client = scene.idle_client.as_mut().expect("a client");
    client.write_all(b"last").expect("a live connection");
    client.shutdown_write();
    scene.nothing_is_reported();
    let mut bytes = Vec::new();
    for count in 3.. {
        scene.port.recv(scene.idle).expect("none is outstanding");
        wait_for_history(&scene.port, scene.idle, count);
        match scene.port.handler().history(scene.idle).last() {
            Some(Event::Received { result: Ok(part), .. }) if part.is_empty() => break,
            Some(Event::Received { result: Ok(part), .. }) => bytes.extend_from_slice(part),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, b"last");
}
