//! A send with a time limit: what has not gone by then does not go, and what is behind it does.

use socket_iocp::{ErrorCode, Port, SocketHandle};
use socket_iocp_testkit::{Calm, Client, Lab, Probe, completions, on_every_backend};
use std::time::Duration;

on_every_backend!(
    one_that_has_begun_ends_with_its_part,
    one_behind_a_send_that_waits_ends_before_it,
    a_sync_send_has_a_limit_too,
    what_goes_in_time_succeeds,
);

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(24 * 60 * 60);
/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

fn start(lab: &Lab) -> (Port<Probe>, SocketHandle, Client) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    (port, handle, client)
}

fn one_that_has_begun_ends_with_its_part(lab: &Lab) {
    let (port, handle, mut client) = start(lab);
    port.send_within(handle, vec![1; LARGE_BYTES], 1, SHORT).expect("a live socket");
    port.send(handle, vec![2; 1000], 2).expect("a live socket");
    let first = port.handler().wait_for_sends(1)[0];
    assert!(matches!(first, (1, Some(ErrorCode::TimedOut), 1..LARGE_BYTES)), "{first:?}");
    port.shutdown_send(handle).expect("a live socket");
    let read = client.read_to_end().expect("both, and a FIN");
    assert_eq!(port.handler().wait_for_sends(2)[1], (2, None, 1000));
    assert_eq!(read.len(), first.2 + 1000);
    let (own, behind) = read.split_at(first.2);
    assert!(own.iter().all(|byte| *byte == 1) && behind.iter().all(|byte| *byte == 2));
}

fn one_behind_a_send_that_waits_ends_before_it(lab: &Lab) {
    let (port, handle, mut client) = start(lab);
    port.send(handle, vec![1; LARGE_BYTES], 1).expect("a live socket");
    port.send_within(handle, vec![2; 1000], 2, SHORT).expect("a live socket");
    port.send(handle, vec![3; 1000], 3).expect("a live socket");
    assert_eq!(port.handler().wait_for_sends(1), [(2, Some(ErrorCode::TimedOut), 0)]);
    port.shutdown_send(handle).expect("a live socket");
    let read = client.read_to_end().expect("the others, and a FIN");
    assert_eq!(port.handler().wait_for_sends(3)[1..], [(1, None, LARGE_BYTES), (3, None, 1000)]);
    let (first, third) = read.split_at(LARGE_BYTES);
    assert!(first.iter().all(|byte| *byte == 1) && *third == [3; 1000]);
}

fn a_sync_send_has_a_limit_too(lab: &Lab) {
    let (port, handle, mut client) = start(lab);
    port.sync_send_within(handle, vec![1; LARGE_BYTES], 1, SHORT).expect("a live socket");
    let (write, code, bytes) = port.handler().wait_for_sends(1)[0];
    assert_eq!((write, code), (1, Some(ErrorCode::TimedOut)));
    // It is free again, and the next has no limit.
    port.sync_send(handle, vec![2; 1000], 2).expect("none is outstanding");
    let read = client.read_exact(bytes + 1000).expect("a live connection");
    assert!(read[..bytes].iter().all(|byte| *byte == 1) && read[bytes..] == [2; 1000]);
    assert_eq!(port.handler().wait_for_sends(2)[1], (2, None, 1000));
}

fn what_goes_in_time_succeeds(lab: &Lab) {
    let (port, handle, mut client) = start(lab);
    for write in 0..10 {
        port.send_within(handle, vec![write as u8; 100], write, LONG).expect("a live socket");
    }
    port.sync_send_within(handle, b"", 10, LONG).expect("a live socket");
    assert_eq!(client.read_exact(1000).expect("a live connection").len(), 1000);
    let all = port.handler().wait_for_sends(11);
    assert!(all.iter().enumerate().all(|(at, (write, code, _))| *write == at as u64 && code.is_none()), "{all:?}");
}

#[test]
fn it_is_never_over_early_and_hardly_late() {
    for waits_ms in [0, 1, 64, 777, 100_000] {
        let wait = Duration::from_millis(waits_ms);
        let calm = Calm::new(Probe::silent(), |options| options);
        calm.port.send(calm.socket, vec![1; LARGE_BYTES], 1).expect("a live socket");
        calm.pass(Duration::from_micros(1_234_567));
        let start = calm.now();
        calm.port.send_within(calm.socket, b"x", 2, wait).expect("a live socket");
        calm.run_until(1);
        let took = calm.now() - start;
        assert!(took >= wait && took < wait + Duration::from_millis(3), "{took:?} where {wait:?} was asked for");
    }
}

#[test]
fn each_has_its_own() {
    let calm = Calm::new(Probe::silent(), |options| options);
    calm.port.send(calm.socket, vec![1; LARGE_BYTES], 0).expect("a live socket");
    for (write, waits_s) in [(1, 30), (2, 10), (3, 20)] {
        calm.port.send_within(calm.socket, b"x", write, Duration::from_secs(waits_s)).expect("a live socket");
        calm.pass(Duration::from_secs(1));
    }
    calm.pass(Duration::from_secs(100));
    let ended: Vec<u64> = completions(&calm.history()).iter().map(|(write, ..)| *write).collect();
    assert_eq!(ended, [2, 3, 1]);
}

#[test]
fn a_graceful_close_keeps_them() {
    let calm = Calm::new(Probe::silent(), |options| options);
    calm.port.send_within(calm.socket, vec![1; LARGE_BYTES], 1, Duration::from_secs(1)).expect("a live socket");
    calm.port.close(calm.socket).expect("a live socket");
    calm.pass(Duration::from_millis(1_010));
    let ended = completions(&calm.history());
    assert!(matches!(ended[..], [(1, Some(ErrorCode::TimedOut), 1..)]), "{ended:?}");
}
