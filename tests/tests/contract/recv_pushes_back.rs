//! A reader that stops issuing recv pushes back on its peer: what the port holds of a socket nobody reads is bounded.

use socket_iocp::{Context, Port};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

on_every_backend!(a_socket_never_read_pushes_back, a_reader_that_stops_pushes_back);

/// More than the kernel ever holds of one connection by default, both sides together.
const TOO_MUCH_BYTES: usize = 48 << 20;
/// Rounds without progress after which the peer counts as blocked.
const ROUNDS: usize = 20;

/// Echoes on the sockets of the state 2; on the others it reads twice, or for ever when it is told to.
fn probe(reading: Arc<AtomicBool>) -> Probe {
    Probe::reacting(move |probe, context: Option<&Context<'_, Probe>>, event| {
        let context = context?;
        match event {
            Event::Received { state: 2, result: Ok(bytes), .. } if !bytes.is_empty() => {
                context.send(bytes.clone(), 0).expect("a live socket");
                context.recv().expect("a live socket");
            }
            Event::Received { state: 1, result: Ok(bytes), .. } if !bytes.is_empty() => {
                let go_on = reading.load(Ordering::Relaxed);
                if go_on || probe.count(|event| matches!(event, Event::Received { state: 1, .. })) < 2 {
                    context.recv().expect("a live socket");
                }
            }
            _ => {}
        }
        None
    })
}

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// Writes until there is no room, though the worker has had its turns (another socket's echo shows it); the bytes written.
fn write_until_blocked(client: &mut Client, echo: &mut Client) -> usize {
    let (mut written, mut idle_rounds) = (0, 0);
    while idle_rounds < ROUNDS {
        let part: Vec<u8> = (written..written + (64 << 10)).map(pattern).collect();
        match client.try_write(&part).expect("a live connection") {
            Some(count) => {
                written += count;
                idle_rounds = 0;
                assert!(written < TOO_MUCH_BYTES, "the peer is not pushed back");
            }
            None => {
                idle_rounds += 1;
                echo.write_all(b"x").expect("a live connection");
                echo.read_exact(1).expect("the echo");
            }
        }
    }
    written
}

fn check(lab: &Lab, read_first: bool) {
    let reading = Arc::new(AtomicBool::new(false));
    let port = Port::new(probe(reading.clone()), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let (echoing, mut echo) = lab.pair();
    let echoing = port.add_connected(echoing, 2).expect("a connected socket");
    port.recv(echoing).expect("a first recv");
    if read_first {
        port.recv(socket).expect("a first recv");
    }
    let written = write_until_blocked(&mut client, &mut echo);
    let received = port.handler().count(|event| matches!(event, Event::Received { state: 1, .. }));
    assert_eq!(received, if read_first { 2 } else { 0 }, "a recv that nobody issued");
    // The reader goes on, and nothing was lost.
    client.shutdown_write();
    reading.store(true, Ordering::Relaxed);
    port.recv(socket).expect("none is outstanding");
    let is_fin =
        |event: &Event| matches!(event, Event::Received { state: 1, result: Ok(bytes), .. } if bytes.is_empty());
    port.handler().wait_for("the FIN", |log| log.last().is_some_and(is_fin).then_some(()));
    let bytes = port.handler().wait_for_bytes(socket, written);
    assert_eq!(bytes.len(), written);
    assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == pattern(at)), "the bytes are not those written");
}

fn a_socket_never_read_pushes_back(lab: &Lab) {
    check(lab, false);
}

fn a_reader_that_stops_pushes_back(lab: &Lab) {
    check(lab, true);
}
