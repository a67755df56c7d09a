//! A socket's timer: one callback, when its time has passed, when it is cancelled, or before the farewell.

use socket_iocp::{Context, ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Calm, Event, Lab, Probe, on_every_backend};
use std::time::{Duration, Instant};

on_every_backend!(
    its_callback_comes_when_its_time_has_passed,
    one_issued_in_its_callback_is_the_next,
    one_at_a_time,
    a_cancelled_one_says_so,
    it_is_reported_before_the_farewell,
    it_runs_on_while_the_socket_closes,
    an_accept_callback_may_issue_it,
    a_driven_port_sees_to_it,
);

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// What a timer's callback says.
fn told(event: &Event) -> Option<Result<(), ErrorCode>> {
    match event {
        Event::Timer { result, .. } => Some(result.map_err(|error| error.code())),
        _ => None,
    }
}

fn wait_for_timers(port: &Port<Probe>, count: usize) -> Vec<Result<(), ErrorCode>> {
    let events = port.handler().wait_for_count("a timer", count, |event| told(event).is_some());
    events.iter().filter_map(told).collect()
}

fn its_callback_comes_when_its_time_has_passed(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 7).expect("a connected socket");
    let start = Instant::now();
    port.timer(handle, SHORT).expect("a live socket");
    assert_eq!(wait_for_timers(&port, 1), [Ok(())]);
    assert!(start.elapsed() >= SHORT, "after {:?}", start.elapsed());
    assert_eq!(port.handler().log(), [Event::Timer { handle, state: 7, result: Ok(()) }]);
    port.recv(handle).expect("a live socket");
    client.write_all(b"x").expect("a live connection");
    port.handler().wait_for_bytes(handle, 1);
}

fn one_issued_in_its_callback_is_the_next(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), Some(Ok(()))) = (context, told(event)) {
            context.timer(Duration::from_millis(1)).expect("none is outstanding");
        }
        None
    };
    let port = Port::new(Probe::reacting(reaction), lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.timer(handle, Duration::ZERO).expect("a live socket");
    assert!(wait_for_timers(&port, 20).iter().all(Result::is_ok));
}

fn one_at_a_time(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.timer(handle, LONG).expect("a live socket");
    assert_eq!(port.timer(handle, SHORT).map_err(|error| error.code()), Err(ErrorCode::Busy));
    port.cancel_timer(handle).expect("it is outstanding");
    wait_for_timers(&port, 1);
    port.timer(handle, SHORT).expect("none is outstanding");
    assert_eq!(wait_for_timers(&port, 2), [Err(ErrorCode::Cancelled), Ok(())]);
}

fn a_cancelled_one_says_so(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), Event::Sent { .. }) = (context, event) {
            context.timer(LONG).expect("none is outstanding");
            context.cancel_timer().expect("it is outstanding");
        }
        None
    };
    let port = Port::new(Probe::reacting(reaction), lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    let cancel = || port.cancel_timer(handle).map_err(|error| error.code());
    assert_eq!(cancel(), Err(ErrorCode::NotOutstanding));
    for cancels in 1..=20 {
        port.timer(handle, LONG).expect("none is outstanding");
        cancel().expect("it is outstanding");
        assert_eq!(wait_for_timers(&port, cancels)[cancels - 1], Err(ErrorCode::Cancelled));
    }
    port.send(handle, b"x", 1).expect("a live socket");
    wait_for_timers(&port, 21);
    assert_eq!(cancel(), Err(ErrorCode::NotOutstanding));
}

fn it_is_reported_before_the_farewell(lab: &Lab) {
    type End = fn(&Port<Probe>, SocketHandle);
    let ends: [End; 3] = [
        |port, handle| port.close(handle).expect("a live socket"),
        |port, handle| port.abort(handle).expect("a live socket"),
        |port, handle| port.remove(handle).expect("a live socket"),
    ];
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    for end in ends {
        let (socket, mut client) = lab.pair();
        let handle = port.add_connected(socket, 0).expect("a connected socket");
        port.timer(handle, LONG).expect("a live socket");
        // So that a graceful close does not wait for it.
        client.shutdown_write();
        end(&port, handle);
        let (_, before) = port.handler().wait_for_end(handle);
        assert_eq!(before.iter().filter_map(told).collect::<Vec<_>>(), [Err(ErrorCode::Cancelled)]);
        assert_eq!(port.timer(handle, SHORT).map_err(|error| error.code()), Err(ErrorCode::Closed));
        assert_eq!(port.cancel_timer(handle).map_err(|error| error.code()), Err(ErrorCode::Closed));
    }
    // The port's deletion is one, too.
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.timer(handle, LONG).expect("a live socket");
    let port_handle = PortHandle::clone(&port);
    port.delete();
    let (_, before) = port_handle.handler().wait_for_end(handle);
    assert_eq!(before.iter().filter_map(told).collect::<Vec<_>>(), [Err(ErrorCode::Cancelled)]);
}

fn it_runs_on_while_the_socket_closes(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(LONG)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.timer(handle, SHORT).expect("a live socket");
    port.close(handle).expect("a live socket");
    assert_eq!(wait_for_timers(&port, 1), [Ok(())]);
    client.shutdown_write();
    port.handler().wait_for_end(handle).0.expect("a clean end");
}

fn an_accept_callback_may_issue_it(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), Event::Accepted { .. }) = (context, event) {
            context.timer(SHORT).expect("a new socket");
            // Every other connection is refused: nobody is told of its timer.
            return (context.remote_addr()?.port().is_multiple_of(2)).then_some(0);
        }
        None
    };
    let port = Port::new(Probe::reacting(reaction), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut clients = Vec::new();
    let mut kept = 0;
    while kept < 3 {
        let client = lab.connect(address);
        kept += usize::from(client.local_addr().port().is_multiple_of(2));
        clients.push(client);
    }
    assert_eq!(wait_for_timers(&port, 3), [Ok(()), Ok(()), Ok(())]);
    port.handler().wait_for_count("all accepts", clients.len(), |event| matches!(event, Event::Accepted { .. }));
    port.delete();
}

fn a_driven_port_sees_to_it(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(0)).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.timer(handle, SHORT).expect("a live socket");
    while port.handler().history(handle).is_empty() {
        port.run(None).expect("driven");
    }
    assert_eq!(wait_for_timers(&port, 1), [Ok(())]);
}

#[test]
fn it_is_never_early_and_hardly_late() {
    for wait_ms in [0, 1, 2, 64, 100, 4_096, 86_400_000] {
        let wait = Duration::from_millis(wait_ms);
        let calm = Calm::new(Probe::silent(), |options| options);
        calm.pass(Duration::from_micros(12_345_678));
        let start = calm.now();
        calm.port.timer(calm.socket, wait).expect("a live socket");
        calm.run_until(1);
        let took = calm.now() - start;
        assert!(took >= wait && took < wait + Duration::from_millis(3), "{took:?} where {wait:?} was asked for");
    }
}

#[test]
fn it_goes_beside_the_other_limits() {
    let calm = Calm::new(Probe::silent(), |options| options);
    calm.port.recv_within(calm.socket, Duration::from_secs(2)).expect("a live socket");
    calm.port.timer(calm.socket, Duration::from_secs(1)).expect("a live socket");
    calm.pass(Duration::from_millis(999));
    assert_eq!(calm.history(), []);
    calm.pass(Duration::from_millis(4));
    assert_eq!(calm.history().iter().filter_map(told).collect::<Vec<_>>(), [Ok(())]);
    // Later than the recv's: the recv's is the next.
    calm.port.timer(calm.socket, Duration::from_secs(3)).expect("none is outstanding");
    calm.pass(Duration::from_millis(1_001));
    assert!(matches!(calm.history()[1..], [Event::Received { result: Err(_), .. }]));
    calm.pass(Duration::from_millis(2_004));
    assert_eq!(calm.history().iter().filter_map(told).collect::<Vec<_>>(), [Ok(()), Ok(())]);
}
