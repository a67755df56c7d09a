//! A driven port's one descriptor is readable when `run` has something to do: for a foreign event loop.

use socket_iocp::{ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread;
use std::time::Duration;

// Not on the simulated network, whose wakes no system call can see.
on_every_backend!(
    real: readable_for_a_completion,
    readable_for_a_new_connection,
    readable_for_a_foreign_issue,
    readable_at_the_linger_limit,
    never_readable_for_long_with_nothing_to_do,
    closed_after_delete,
);
// It is about the port, not about the network.
on_every_backend!(a_threaded_port_has_none);

/// Waits in poll(2); whether the descriptor is readable.
fn poll(pollable: BorrowedFd<'_>, timeout_ms: i32) -> bool {
    let mut entry = libc::pollfd { fd: pollable.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one entry, alive during the call.
        let count = unsafe { libc::poll(&mut entry, 1, timeout_ms) };
        if count >= 0 {
            return count == 1 && entry.revents & libc::POLLIN != 0;
        }
        let error = io::Error::last_os_error();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted, "poll: {error}");
    }
}

fn driven(lab: &Lab, probe: Probe) -> Port<Probe> {
    Port::new(probe, lab.options().threads(0).linger(Duration::from_millis(300))).expect("a port")
}

fn added(lab: &Lab, port: &PortHandle<Probe>) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, 1).expect("a connected socket"), client)
}

/// A foreign loop: polls, and runs the port without waiting only when the descriptor is readable.
fn serve_until(port: &PortHandle<Probe>, what: &str, found: impl Fn(&[Event]) -> bool) {
    let pollable = port.pollable().expect("a descriptor");
    for _ in 0..10_000 {
        if found(&port.handler().log()) {
            return;
        }
        assert!(poll(pollable, 20_000), "waited in vain for {what}: the descriptor is not readable");
        port.run(Some(Duration::ZERO)).expect("a run");
    }
    panic!("10,000 turns without {what}");
}

/// Runs until the port has nothing left to do now.
fn settle(port: &PortHandle<Probe>) {
    let pollable = port.pollable().expect("a descriptor");
    for _ in 0..1_000 {
        port.run(Some(Duration::ZERO)).expect("a run");
        if !poll(pollable, 0) {
            return;
        }
    }
    panic!("readable for ever with nothing to do");
}

fn readable_for_a_completion(lab: &Lab) {
    let port = driven(lab, Probe::echo());
    let (socket, mut client) = added(lab, &port);
    port.recv(socket).expect("a first recv");
    settle(&port);
    for round in 1..=100 {
        client.write_all(b"x").expect("a live connection");
        let sent = |log: &[Event]| log.iter().filter(|event| matches!(event, Event::Sent { .. })).count();
        serve_until(&port, "an echo", |log| sent(log) == round);
        assert_eq!(client.read_exact(1).expect("the echo"), b"x");
    }
}

fn readable_for_a_new_connection(lab: &Lab) {
    let port = driven(lab, Probe::reader());
    let (listener, address) = lab.listen();
    port.add_listener(listener, 2, 7).expect("a listener");
    for count in 1..=20 {
        let _client = lab.connect(address);
        let accepts = |log: &[Event]| log.iter().filter(|event| matches!(event, Event::Accepted { .. })).count();
        serve_until(&port, "an accept", |log| accepts(log) == count);
    }
}

fn readable_for_a_foreign_issue(lab: &Lab) {
    let port = driven(lab, Probe::silent());
    let (socket, mut client) = added(lab, &port);
    for write in 0..100 {
        settle(&port);
        let handle = PortHandle::clone(&port);
        let issuer = thread::spawn(move || handle.send(socket, b"x", write).expect("a send"));
        serve_until(&port, "the send", |log| {
            log.iter().any(|event| matches!(event, Event::Sent { write: done, .. } if *done == write))
        });
        issuer.join().expect("the issue call returned");
        assert_eq!(client.read_exact(1).expect("the byte"), b"x");
    }
}

fn readable_at_the_linger_limit(lab: &Lab) {
    let port = driven(lab, Probe::silent());
    let (socket, _client) = added(lab, &port);
    port.close(socket).expect("a live socket");
    // The client sends no FIN: only the limit ends it, and nothing but the descriptor tells the loop of it.
    serve_until(&port, "the farewell", |log| {
        log.iter().any(
            |event| matches!(event, Event::Farewell { reason: Err(error), .. } if error.code() == ErrorCode::TimedOut),
        )
    });
}

fn never_readable_for_long_with_nothing_to_do(lab: &Lab) {
    let port = driven(lab, Probe::silent());
    let (socket, _client) = added(lab, &port);
    port.recv(socket).expect("a recv with nothing to read");
    let (listener, _) = lab.listen();
    port.add_listener(listener, 4, 7).expect("a listener");
    settle(&port);
}

fn closed_after_delete(lab: &Lab) {
    let port = driven(lab, Probe::silent());
    let handle = PortHandle::clone(&port);
    port.delete();
    assert_eq!(handle.pollable().err().map(|error| error.code()), Some(ErrorCode::Closed));
}

fn a_threaded_port_has_none(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    assert_eq!(port.pollable().err().map(|error| error.code()), Some(ErrorCode::WrongContext));
}
