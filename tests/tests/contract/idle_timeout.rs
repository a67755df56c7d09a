//! The idle time-out: how long a peer may keep a socket waiting. That it ends such a socket is tested on every backend; whom
//! it spares and when it comes, in virtual time.

use socket_iocp::{Context, ErrorCode, Port};
use socket_iocp_testkit::{Calm, Client, Event, Lab, Probe, on_every_backend};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

on_every_backend!(
    a_peer_that_sends_nothing_is_ended,
    a_peer_that_takes_nothing_is_ended_whatever_it_sends,
    accepted_sockets_are_looked_after,
    a_driven_port_looks_after_its_sockets,
);

/// As short as it may be, where nobody has to be in time.
const SHORT: Duration = Duration::from_millis(20);
/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

fn a_peer_that_sends_nothing_is_ended(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().idle_timeout(SHORT)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    assert_eq!(before, [], "the recv is reported by the farewell alone");
    client.read_to_reset().expect("a reset");
}

fn a_peer_that_takes_nothing_is_ended_whatever_it_sends(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), Event::Received { .. }) = (context, event) {
            let _ = context.recv();
        }
        None
    };
    let options = lab.options().idle_timeout(Duration::from_millis(200));
    let port = Port::new(Probe::reacting(reaction), options).expect("a port");
    let (socket, mut client) = lab.pair();
    // Before the time runs.
    let large = vec![7; LARGE_BYTES];
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    port.send(handle, large, 1).expect("a live socket");
    port.send(handle, b"x", 2).expect("a live socket");
    // A byte at a time, each when the one before has come, until the connection is gone.
    while client.write_all(b".").is_ok() {
        let received = |log: &[Event]| log.iter().filter(|event| matches!(event, Event::Received { .. })).count();
        let ended = |log: &[Event]| log.iter().any(|event| matches!(event, Event::Farewell { .. }));
        let before = received(&port.handler().log());
        port.handler().wait_for("a byte or the end", |log| (received(log) > before || ended(log)).then_some(()));
        if ended(&port.handler().log()) {
            break;
        }
    }
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    let sent: Vec<_> = before.iter().filter_map(Event::sent).map(|(write, result)| (write, result.is_ok())).collect();
    assert_eq!(sent, [(1, false), (2, false)]);
}

fn accepted_sockets_are_looked_after(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options().idle_timeout(SHORT)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut clients: Vec<Client> = (0..20).map(|_| lab.connect(address)).collect();
    let ends = port.handler().wait_for_count("the ends", 20, |event| matches!(event, Event::Farewell { .. }));
    for end in ends {
        let Event::Farewell { reason, .. } = end else { unreachable!("only farewells were asked for") };
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    }
    clients.iter_mut().for_each(|client| drop(client.read_to_reset().expect("a reset")));
}

fn a_driven_port_looks_after_its_sockets(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(0).idle_timeout(SHORT)).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    while port.handler().history(handle).is_empty() {
        port.run(None).expect("driven");
    }
    let reason = port.handler().wait_for_farewell(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
}

const TIMEOUT: Duration = Duration::from_secs(8);
const SECOND: Duration = Duration::from_secs(1);
/// A quarter and 20 ms more.
const AT_THE_LATEST: Duration = Duration::from_millis(10_020);

/// A port with this time-out on a calm network.
struct Idle(Calm);

impl Deref for Idle {
    type Target = Calm;
    fn deref(&self) -> &Calm {
        &self.0
    }
}

impl DerefMut for Idle {
    fn deref_mut(&mut self) -> &mut Calm {
        &mut self.0
    }
}

impl Idle {
    fn new() -> Idle {
        Idle(Calm::new(Probe::silent(), |options| options.idle_timeout(TIMEOUT)))
    }

    fn has_ended(&self) -> bool {
        self.history().iter().any(|event| matches!(event, Event::Farewell { .. }))
    }

    /// Asserts that the end comes when it should after what has just happened.
    fn expect_end_from_now(&self) {
        self.pass(TIMEOUT - Duration::from_millis(1));
        assert!(!self.has_ended(), "too early");
        self.pass(AT_THE_LATEST - TIMEOUT + Duration::from_millis(1));
        let reason = self.port.handler().wait_for_farewell(self.socket);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    }
}

#[test]
fn it_comes_after_its_time_and_not_much_later() {
    for waits_ms in [1, 2, 499, 500, 501, 777, 1_000, 1_001, 7_999] {
        let mut calm = Idle::new();
        calm.port.recv(calm.socket).expect("a live socket");
        calm.pass(Duration::from_millis(waits_ms));
        calm.peer.write_all(b"x").expect("a live connection");
        while calm.port.handler().history(calm.socket).is_empty() {
            calm.port.run(None).expect("driven");
        }
        calm.port.recv(calm.socket).expect("a live socket");
        calm.expect_end_from_now();
    }
}

#[test]
fn a_socket_with_nothing_outstanding_waits_for_its_program() {
    let calm = Idle::new();
    calm.pass(TIMEOUT * 10);
    calm.port.send(calm.socket, b"x", 1).expect("a live socket");
    calm.pass(TIMEOUT * 10);
    assert!(!calm.has_ended());
    calm.port.recv(calm.socket).expect("a live socket");
    calm.expect_end_from_now();
}

#[test]
fn every_byte_in_time_keeps_it() {
    let mut calm = Idle::new();
    // The peer takes a byte every seven seconds, of more than the network holds.
    calm.port.send(calm.socket, vec![7; 1 << 20], 1).expect("a live socket");
    calm.port.recv(calm.socket).expect("a live socket");
    for _ in 0..20 {
        calm.pass(SECOND * 7);
        assert!(!calm.has_ended());
        calm.peer.read_exact(1).expect("a live connection");
    }
    calm.pass(AT_THE_LATEST * 2);
    assert!(calm.has_ended());
}

#[test]
fn a_closing_socket_has_its_linger_instead() {
    let calm = Idle::new();
    calm.port.recv(calm.socket).expect("a live socket");
    calm.pass(SECOND * 7);
    calm.port.close(calm.socket).expect("a live socket");
    calm.pass(Duration::from_millis(4_999));
    assert!(!calm.has_ended(), "five seconds of linger, counted from the close");
    calm.pass(Duration::from_millis(10));
    assert!(calm.has_ended());
}
