//! A recv with a time limit: it ends by its callback, and its socket goes on. When it ends is tested in virtual time.

use socket_iocp::{Context, ErrorCode, MAX_TIME_LIMIT, Port};
use socket_iocp_testkit::{Calm, Event, Lab, Probe, on_every_backend};
use std::time::{Duration, Instant};

on_every_backend!(
    it_ends_alone_when_nothing_has_come,
    one_issued_in_its_callback_is_the_next,
    what_comes_in_time_is_reported,
    a_driven_port_sees_to_it,
    an_end_overrides_it,
);

/// As short as it may be, where nobody has to be in time.
const SHORT: Duration = Duration::from_millis(20);
/// Never over.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// The code of a recv callback that reports an error.
fn failed(event: &Event) -> Option<ErrorCode> {
    match event {
        Event::Received { result: Err(error), .. } => Some(error.code()),
        _ => None,
    }
}

fn it_ends_alone_when_nothing_has_come(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    let start = Instant::now();
    port.recv_within(handle, SHORT).expect("a live socket");
    assert_eq!(port.recv(handle).map_err(|error| error.code()), Err(ErrorCode::Busy));
    let ended = port.handler().wait_for_count("its end", 1, |event| failed(event).is_some());
    assert_eq!(failed(&ended[0]), Some(ErrorCode::TimedOut));
    assert!(start.elapsed() >= SHORT, "over after {:?}", start.elapsed());
    // Both directions go on.
    port.recv(handle).expect("a live socket");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 1), b"x");
    port.send(handle, b"and here", 1).expect("a live socket");
    assert_eq!(client.read_exact(8).expect("a live connection"), b"and here");
}

fn one_issued_in_its_callback_is_the_next(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), Event::Received { result, .. }) = (context, event) {
            let next = if result.is_ok() { Ok(()) } else { context.recv_within(SHORT) };
            next.expect("a live socket");
        }
        None
    };
    let port = Port::new(Probe::reacting(reaction), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv_within(handle, SHORT).expect("a live socket");
    port.handler().wait_for_count("several", 5, |event| failed(event) == Some(ErrorCode::TimedOut));
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 1), b"x");
    let before = port.handler().history(handle).len();
    port.recv(handle).expect("nothing is outstanding");
    client.write_all(b"y").expect("a live connection");
    port.handler().wait_for_bytes(handle, 2);
    assert_eq!(port.handler().history(handle).len(), before + 1);
}

fn what_comes_in_time_is_reported(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    for seen in 1..=3 {
        port.recv_within(handle, LONG).expect("a live socket");
        client.write_all(b"x").expect("a live connection");
        port.handler().wait_for_bytes(handle, seen);
    }
    port.recv_within(handle, LONG).expect("a live socket");
    client.shutdown_write();
    port.handler().wait_for_count("the FIN", 4, |event| matches!(event, Event::Received { result: Ok(_), .. }));
    assert_eq!(port.recv_within(handle, LONG).map_err(|error| error.code()), Err(ErrorCode::Eof));
}

fn a_driven_port_sees_to_it(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(0)).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv_within(handle, SHORT).expect("a live socket");
    while port.handler().history(handle).is_empty() {
        port.run(None).expect("driven");
    }
    assert_eq!(failed(&port.handler().history(handle)[0]), Some(ErrorCode::TimedOut));
}

fn an_end_overrides_it(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv_within(handle, LONG).expect("a live socket");
    port.abort(handle).expect("a live socket");
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    assert_eq!(before, [], "it is reported by the farewell alone");
    assert_eq!(port.recv_within(handle, LONG).map_err(|error| error.code()), Err(ErrorCode::Closed));
}

#[test]
fn it_is_never_over_early_and_hardly_late() {
    let waits_ms = [0, 1, 2, 63, 64, 65, 100, 999, 4_095, 4_096, 60_000, 262_144, 3_600_000];
    for wait in waits_ms.map(Duration::from_millis).into_iter().chain([MAX_TIME_LIMIT]) {
        let calm = Calm::new(Probe::silent(), |options| options);
        // Somewhere in a millisecond.
        calm.pass(Duration::from_micros(12_345_678));
        let start = calm.now();
        calm.port.recv_within(calm.socket, wait).expect("a live socket");
        calm.run_until(1);
        let took = calm.now() - start;
        assert!(took >= wait && took < wait + Duration::from_millis(3), "{took:?} where {wait:?} was asked for");
    }
}

#[test]
fn a_limit_is_of_its_own_recv() {
    let mut calm = Calm::new(Probe::silent(), |options| options);
    for round in 0..20 {
        calm.port.recv_within(calm.socket, Duration::from_millis(100)).expect("a live socket");
        calm.pass(Duration::from_millis(90));
        calm.peer.write_all(b"x").expect("a live connection");
        calm.run_until(round + 1);
    }
    // None has one any more.
    calm.port.recv(calm.socket).expect("a live socket");
    calm.pass(Duration::from_secs(10_000));
    assert_eq!(calm.history().iter().filter_map(failed).count(), 0);
    calm.peer.write_all(b"x").expect("a live connection");
    calm.run_until(21);
    // The next is shorter than the one before, whose time would not be over yet.
    calm.port.recv_within(calm.socket, LONG).expect("a live socket");
    calm.peer.write_all(b"x").expect("a live connection");
    calm.run_until(22);
    calm.port.recv_within(calm.socket, SHORT).expect("a live socket");
    calm.pass(SHORT + Duration::from_millis(3));
    assert_eq!(calm.history().iter().filter_map(failed).collect::<Vec<_>>(), [ErrorCode::TimedOut]);
}

#[test]
fn the_time_of_the_callbacks_before_is_no_part_of_it() {
    let calm = Calm::new(Probe::silent(), |options| options);
    calm.port.recv_within(calm.socket, Duration::from_millis(50)).expect("a live socket");
    // The port is not run: whoever drives it was busy elsewhere.
    assert_eq!(calm.history(), []);
    calm.pass(Duration::from_millis(49));
    assert_eq!(calm.history(), []);
    calm.pass(Duration::from_millis(4));
    assert_eq!(calm.history().len(), 1);
}

#[test]
fn an_idle_time_out_goes_on_beside_it() {
    let calm = Calm::new(Probe::silent(), |options| options.idle_timeout(Duration::from_secs(8)));
    calm.port.recv_within(calm.socket, LONG).expect("a live socket");
    calm.pass(Duration::from_millis(7_999));
    assert_eq!(calm.history(), []);
    calm.pass(Duration::from_millis(2_021));
    assert!(matches!(&calm.history()[..], [Event::Farewell { reason: Err(_), .. }]));
}

#[test]
fn longer_than_the_longest_is_refused() {
    let calm = Calm::new(Probe::silent(), |options| options);
    let too_long = MAX_TIME_LIMIT + Duration::from_nanos(1);
    let code = calm.port.recv_within(calm.socket, too_long).map_err(|error| error.code());
    assert_eq!(code, Err(ErrorCode::InvalidArgument));
    calm.port.recv(calm.socket).expect("nothing is outstanding");
}
