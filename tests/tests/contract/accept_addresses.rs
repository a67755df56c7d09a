//! The accept callback gets both addresses and the listener's state, and they stay with the socket, in both families of
//! internet addresses. ("Accepting"; "The seven calls".)

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use socket2::SockAddr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

on_every_backend!(
    internet_addresses_are_right_and_outlive_a_reset,
    each_listener_comes_with_its_state,
    what_accept_answers_comes_back_in_every_callback,
);
// Real only: the simulated network has one family.
on_every_backend!(real: ipv6_is_served);

const BOUND: Duration = Duration::from_secs(30);

/// Local and remote address, as a callback sees them.
type Pair = (Option<SocketAddr>, Option<SocketAddr>);

/// A callback's name, and its addresses.
type Told = (&'static str, Pair);
/// The addresses as they are for any family.
type Full = (SockAddr, SockAddr);

/// Echoes, and tells of the addresses in each callback; those of the accept callback also as they are for any family.
fn telling() -> (Probe, Receiver<Told>, Receiver<Full>) {
    let (tell, told) = mpsc::channel();
    let (tell_full, told_full) = mpsc::channel();
    let probe = Probe::reacting(move |_, context, event| {
        let context = context?;
        let name = match event {
            Event::Accepted { .. } => {
                let (local, remote) = context.sockaddrs().expect("an accept callback");
                tell_full.send((local.clone(), remote.clone())).expect("the test listens");
                context.recv().expect("a new socket");
                "accept"
            }
            Event::Received { result: Ok(bytes), .. } if !bytes.is_empty() => {
                context.send(bytes.clone(), 0).expect("an open socket");
                context.recv().expect("an open socket");
                "recv"
            }
            Event::Sent { .. } => "send",
            Event::Farewell { .. } => "error",
            _ => "other",
        };
        tell.send((name, (context.local_addr(), context.remote_addr()))).expect("the test listens");
        Some(0)
    });
    (probe, told, told_full)
}

fn internet_addresses_are_right_and_outlive_a_reset(lab: &Lab) {
    let (probe, told, told_full) = telling();
    let port = Port::new(probe, lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut client = lab.connect(address);
    let expected = (Some(address), Some(client.local_addr()));
    client.write_all(b"x").expect("a live connection");
    client.read_exact(1).expect("the echo");
    client.reset();
    for name in ["accept", "recv", "send", "error"] {
        assert_eq!(told.recv_timeout(BOUND).expect("a callback"), (name, expected));
    }
    let (local, remote) = told_full.recv_timeout(BOUND).expect("an accept");
    assert_eq!((local.as_socket(), remote.as_socket()), expected);
}

fn each_listener_comes_with_its_state(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let mut clients = Vec::new();
    for state in 100..110 {
        let (listener, address) = lab.listen();
        port.add_listener(listener, 2, state).expect("a listener");
        clients.push((state, lab.connect(address)));
    }
    let accepts = port.handler().wait_for_count("accepts", 10, |event| matches!(event, Event::Accepted { .. }));
    // By both: clients of different listeners may have the same port.
    for (state, client) in &clients {
        let is_its_own = |event: &&Event| match event {
            Event::Accepted { listener, remote, .. } => listener == state && *remote == Some(client.local_addr()),
            _ => false,
        };
        assert_eq!(accepts.iter().filter(is_its_own).count(), 1, "listener {state}: {accepts:?}");
    }
}

fn what_accept_answers_comes_back_in_every_callback(lab: &Lab) {
    let probe = Probe::reacting(|_, context, event| {
        let context = context?;
        match event {
            Event::Accepted { .. } => context.recv().expect("a new socket"),
            Event::Received { .. } => context.send(&b"x"[..], 0).expect("an open socket"),
            Event::Sent { .. } => context.abort().expect("an open socket"),
            _ => {}
        }
        // The client's port: another for each.
        context.remote_addr().map(|remote| u64::from(remote.port()))
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut clients: Vec<_> = (0..20).map(|_| lab.connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"y").expect("a live connection");
    }
    port.handler().wait_for_count("farewells", 20, |event| matches!(event, Event::Farewell { .. }));
    let log = port.handler().log();
    for client in &clients {
        let state = u64::from(client.local_addr().port());
        let of_state = log.iter().filter(|event| match event {
            Event::Received { state: found, .. }
            | Event::Sent { state: found, .. }
            | Event::Farewell { state: found, .. } => *found == state,
            _ => false,
        });
        assert_eq!(of_state.count(), 3, "state {state}");
    }
}

fn ipv6_is_served(lab: &Lab) {
    let (probe, told, _told_full) = telling();
    let port = Port::new(probe, lab.options()).expect("a port");
    let listener = TcpListener::bind("[::1]:0").expect("an IPv6 loopback");
    let address = listener.local_addr().expect("an address");
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut client = TcpStream::connect(address).expect("a listener");
    let expected = (Some(address), Some(client.local_addr().expect("an address")));
    assert_eq!(told.recv_timeout(BOUND).expect("an accept"), ("accept", expected));
    serves(&mut client);
}

/// An echo of more than one read buffer.
fn serves(client: &mut (impl Read + Write)) {
    let sent: Vec<u8> = (0..20_000).map(|index| index as u8).collect();
    client.write_all(&sent).expect("a live connection");
    let mut read = vec![0; sent.len()];
    client.read_exact(&mut read).expect("the echo");
    assert!(read == sent, "the echo differs");
}
