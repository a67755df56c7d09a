//! Sends without a copy, where the system has them: as whole and as ordered as others, and no peer that does not read holds up
//! an end. Other backends do the same with copies.

use socket_iocp::{ErrorCode, Options, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

on_every_backend!(
    everything_arrives_in_order,
    small_ones_in_a_row_leave_together,
    an_abort_waits_for_no_peer,
    a_delete_waits_for_no_peer,
    a_close_gives_up_at_its_limit,
    a_close_delivers_what_was_sent,
    the_idle_timeout_ends_a_peer_that_takes_nothing,
    a_removed_socket_comes_back_when_its_peer_has_read,
    a_delete_waits_for_no_removal,
);

/// What may be with the kernel whole, unacknowledged; and what it never takes whole.
const LENGTHS: [usize; 2] = [200_000, 32 << 20];

fn options(lab: &Lab) -> Options {
    lab.options().zero_copy_from(1000)
}

/// A socket with sends outstanding, to a peer that has read nothing of them.
fn stuck(lab: &Lab, port: &PortHandle<Probe>, len: usize) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    let bytes = Arc::new(vec![7; len]);
    for write in 0..3 {
        port.send(handle, bytes.clone(), write).expect("a live socket");
    }
    (handle, client)
}

/// Every send was reported, in order, before the farewell.
fn all_reported(before: &[Event]) {
    let writes: Vec<_> = before.iter().filter_map(Event::sent).map(|(write, _)| write).collect();
    assert_eq!(writes, [0, 1, 2]);
}

fn everything_arrives_in_order(lab: &Lab) {
    const ROUNDS: usize = 3;
    let lengths = [1, 999, 1000, 100_000, 3, 1 << 20, 4096, 65_536, 2, 300_001, 17, 5000];
    let port = Port::new(Probe::silent(), options(lab)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    let lengths = lengths.repeat(ROUNDS);
    let mut whole = Vec::new();
    for (write, len) in lengths.iter().enumerate() {
        let bytes: Vec<u8> = (0..*len).map(|at| (write * 31 + at % 251) as u8).collect();
        whole.extend_from_slice(&bytes);
        port.send(handle, bytes, write as u64).expect("a live socket");
    }
    let arrived = client.read_exact(whole.len()).expect("all of it");
    assert!(arrived == whole, "other bytes, or another order");
    let sent = port.handler().wait_for_count("the sends", lengths.len(), |event| event.sent().is_some());
    let sent: Vec<_> = sent.iter().filter_map(Event::sent).collect();
    let expected: Vec<_> = (0..lengths.len() as u64).map(|write| (write, Ok(()))).collect();
    assert_eq!(sent, expected);
}

fn small_ones_in_a_row_leave_together(lab: &Lab) {
    const SENDS: u64 = 500;
    let port = Port::new(Probe::silent(), options(lab)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    let whole: Vec<u8> = (0..SENDS).flat_map(|write| [write as u8; 100]).collect();
    for write in 0..SENDS {
        port.send(handle, vec![write as u8; 100], write).expect("a live socket");
    }
    assert!(client.read_exact(whole.len()).expect("all of it") == whole);
    port.handler().wait_for_count("the sends", SENDS as usize, |event| matches!(event.sent(), Some((_, Ok(())))));
}

fn an_abort_waits_for_no_peer(lab: &Lab) {
    for len in LENGTHS {
        let port = Port::new(Probe::silent(), options(lab)).expect("a port");
        let (handle, mut client) = stuck(lab, &port, len);
        port.recv(handle).expect("a live socket");
        client.write_all(b"x").expect("a live connection");
        port.handler().wait_for_bytes(handle, 1);
        port.abort(handle).expect("a live socket");
        let (reason, before) = port.handler().wait_for_end(handle);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
        all_reported(&before);
        client.read_to_reset().expect("a reset");
    }
}

fn a_delete_waits_for_no_peer(lab: &Lab) {
    for len in LENGTHS {
        for threads in [0, 2] {
            let port = Port::new(Probe::silent(), options(lab).threads(threads)).expect("a port");
            let mut stuck: Vec<_> = (0..8).map(|_| stuck(lab, &port, len)).collect();
            if threads == 0 {
                port.run(Some(Duration::from_millis(10))).expect("a driven port");
            }
            let deleted = (*port).clone();
            port.delete();
            for (handle, client) in &mut stuck {
                let (reason, before) = deleted.handler().wait_for_end(*handle);
                assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
                all_reported(&before);
                client.read_to_reset().expect("a reset");
            }
        }
    }
}

fn a_close_gives_up_at_its_limit(lab: &Lab) {
    for len in LENGTHS {
        let port = Port::new(Probe::silent(), options(lab).linger(Duration::from_millis(20))).expect("a port");
        let (handle, mut client) = stuck(lab, &port, len);
        port.close(handle).expect("a live socket");
        let (reason, before) = port.handler().wait_for_end(handle);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
        all_reported(&before);
        // What the kernel takes whole with a copy may be with the peer's, FIN and all, before the limit.
        if len == LENGTHS[1] {
            client.read_to_reset().expect("a reset");
        }
    }
}

fn a_close_delivers_what_was_sent(lab: &Lab) {
    for len in [200_000, 2 << 20] {
        let port = Port::new(Probe::silent(), options(lab).linger(Duration::from_secs(3600))).expect("a port");
        let (handle, mut client) = stuck(lab, &port, len);
        port.close(handle).expect("a live socket");
        let arrived = client.read_to_end().expect("the end");
        assert!(arrived.len() == 3 * len && arrived.iter().all(|byte| *byte == 7));
        drop(client);
        let (reason, before) = port.handler().wait_for_end(handle);
        assert_eq!(reason, Ok(()));
        assert!(before.iter().filter_map(Event::sent).eq((0..3).map(|write| (write, Ok(())))));
    }
}

fn the_idle_timeout_ends_a_peer_that_takes_nothing(lab: &Lab) {
    let port = Port::new(Probe::silent(), options(lab).idle_timeout(Duration::from_millis(50))).expect("a port");
    let (handle, mut client) = stuck(lab, &port, LENGTHS[1]);
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    all_reported(&before);
    client.read_to_reset().expect("a reset");
}

fn a_removed_socket_comes_back_when_its_peer_has_read(lab: &Lab) {
    for len in LENGTHS {
        let port = Port::new(Probe::silent(), options(lab)).expect("a port");
        let (handle, mut client) = stuck(lab, &port, len);
        port.remove(handle).expect("a live socket");
        let reader = thread::spawn(move || client.read_to_end().expect("the end"));
        let (reason, before) = port.handler().wait_for_end(handle);
        assert_eq!(reason, Ok(()));
        all_reported(&before);
        let returned = port.handler().take_returned();
        assert_eq!(returned.len(), 1);
        drop(returned);
        let arrived = reader.join().expect("no panic");
        let whole = before.iter().filter(|event| matches!(event.sent(), Some((_, Ok(()))))).count();
        assert!(
            arrived.len() >= whole * len && arrived.iter().all(|byte| *byte == 7),
            "{whole} sends: {}",
            arrived.len()
        );
    }
}

fn a_delete_waits_for_no_removal(lab: &Lab) {
    for len in LENGTHS {
        let port = Port::new(Probe::silent(), options(lab)).expect("a port");
        let (handle, _client) = stuck(lab, &port, len);
        port.remove(handle).expect("a live socket");
        let deleted = (*port).clone();
        port.delete();
        let (reason, before) = deleted.handler().wait_for_end(handle);
        assert!(matches!(reason.map_err(|error| error.code()), Ok(()) | Err(ErrorCode::Cancelled)));
        all_reported(&before);
    }
}
