//! The linger limit: when a graceful close takes too long it becomes an abort. ("Ending" 2.)

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::time::{Duration, Instant};

on_every_backend!(
    a_peer_that_never_reads_cancels_what_is_unsent,
    a_peer_that_never_closes_sees_fin_and_then_reset,
    the_limit_counts_from_the_call,
    a_peer_that_never_stops_writing_does_not_put_the_limit_off,
);

const LIMIT: Duration = Duration::from_millis(150);
/// For a peer that is to read something before the limit, on a busy machine.
const LATE_LIMIT: Duration = Duration::from_secs(2);

fn a_peer_that_never_reads_cancels_what_is_unsent(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(LIMIT)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    for write in 0..64 {
        port.send(handle, vec![1; 1 << 20], write).expect("an open socket");
    }
    port.close(handle).expect("an open socket");
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));

    let sent: Vec<_> = before.iter().filter_map(Event::sent).collect();
    assert_eq!(sent.iter().map(|(write, _)| *write).collect::<Vec<_>>(), (0..64).collect::<Vec<_>>());
    let whole = sent.iter().take_while(|(_, result)| result.is_ok()).count();
    assert!(whole < 64, "all of 64 MiB went to a peer that does not read");
    for (write, result) in &sent[whole..] {
        assert_eq!(result.map_err(|error| error.code()), Err(ErrorCode::Cancelled), "write {write}");
    }
    client.read_to_reset().expect("a reset");
}

fn a_peer_that_never_closes_sees_fin_and_then_reset(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(LATE_LIMIT)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.send(handle, &b"the end"[..], 0).expect("an open socket");
    port.close(handle).expect("an open socket");
    assert_eq!(client.read_to_end().expect("data and FIN"), b"the end");
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    assert_eq!(before.iter().filter_map(Event::sent).collect::<Vec<_>>(), [(0, Ok(()))]);
    port.delete();
    assert!(client.write_all(b"x").is_err(), "the connection was not reset");
}

fn the_limit_counts_from_the_call(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(LIMIT)).expect("a port");
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    let start = Instant::now();
    port.close(handle).expect("an open socket");
    let reason = port.handler().wait_for_farewell(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    // No upper bound: the machine may be busy. The wait has one.
    assert!(start.elapsed() >= LIMIT, "aborted after {:?}", start.elapsed());
    drop(client);
}

fn a_peer_that_never_stops_writing_does_not_put_the_limit_off(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(LIMIT)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.close(handle).expect("an open socket");
    while client.write_all(&[0; 1000]).is_ok() {}
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    assert_eq!(before, []);
}
