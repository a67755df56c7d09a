//! Close, as the contract has it under "Ending" 2: everything queued arrives, then FIN, and nothing of it is destroyed
//! by what the peer still sends.

use socket_iocp::{ErrorCode, MAX_IDLE_TIMEOUT, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

on_every_backend!(
    queued_sends_arrive_whole_and_fin_follows,
    input_in_flight_destroys_nothing_that_was_sent,
    the_farewell_waits_for_the_fin_of_the_peer,
    a_fin_of_the_peer_before_the_close_is_enough,
    a_peer_that_has_sent_its_fin_gets_everything,
    the_recv_is_cancelled_and_later_input_is_for_nobody,
    a_closing_socket_refuses_every_call,
);

/// 300 pieces of different lengths, their contents telling them apart.
fn pieces() -> Vec<Vec<u8>> {
    (0..300usize).map(|number| vec![number as u8; 1 + number * 37 % 9000]).collect()
}

fn queued_sends_arrive_whole_and_fin_follows(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    for (number, piece) in pieces().into_iter().enumerate() {
        match number {
            0 => port.sync_send(handle, piece, 0).expect("the one sync send"),
            _ => port.send(handle, piece, number as u64).expect("an open socket"),
        }
    }
    port.close(handle).expect("an open socket");

    assert_eq!(client.read_to_end().expect("data and a clean end"), pieces().concat());
    drop(client);
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason, Ok(()));
    let sent: Vec<_> = before.iter().filter_map(Event::sent).collect();
    assert_eq!(sent, (0..300).map(|number| (number, Ok(()))).collect::<Vec<_>>());
}

fn input_in_flight_destroys_nothing_that_was_sent(lab: &Lab) {
    const LEN: usize = 2 << 20;
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    // Nobody receives it: it is unread input when the close begins, and more is on its way.
    client.write_all(&[1; 10_000]).expect("room");
    port.send(handle, vec![7; LEN], 0).expect("an open socket");
    port.close(handle).expect("an open socket");
    let half = client.read_exact(LEN / 2).expect("the first half");
    client.write_all(&[2; 10_000]).expect("a peer that still takes input");
    let rest = client.read_to_end().expect("data and a clean end, no reset");
    client.write_all(&[3; 10_000]).expect("a peer that takes input after its FIN");
    assert_eq!((half.len(), rest.len()), (LEN / 2, LEN - LEN / 2));
    assert!(half.iter().chain(&rest).all(|byte| *byte == 7));
    client.shutdown_write();
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
}

/// The input that a close discards is at its end while sends are still on their way, in parts: an idle timeout has io_uring
/// report each.
fn a_peer_that_has_sent_its_fin_gets_everything(lab: &Lab) {
    const LEN: usize = 2 << 20;
    let options = lab.options().idle_timeout(MAX_IDLE_TIMEOUT);
    let port = Port::new(Probe::silent(), options).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    client.shutdown_write();
    port.send(handle, vec![7; LEN], 0).expect("an open socket");
    port.close(handle).expect("an open socket");
    let bytes = client.read_to_end().expect("data and a clean end");
    assert!(bytes.len() == LEN && bytes.iter().all(|byte| *byte == 7), "{} bytes", bytes.len());
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
}

fn the_farewell_waits_for_the_fin_of_the_peer(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let (other_socket, mut other) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    let other_handle = port.add_connected(other_socket, 0).expect("a connected socket");
    port.close(handle).expect("an open socket");
    assert_eq!(client.read_to_end().expect("a FIN"), b"");
    // The same worker goes all the way round several times.
    port.recv(other_handle).expect("an open socket");
    for round in 0..10 {
        other.write_all(&[round]).expect("a live connection");
        other.read_exact(1).expect("the echo");
    }
    assert_eq!(port.handler().history(handle), []);
    client.shutdown_write();
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
}

fn a_fin_of_the_peer_before_the_close_is_enough(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    client.shutdown_write();
    port.recv(handle).expect("an open socket");
    port.handler().wait_for_count("the peer's FIN", 1, |event| matches!(event, Event::Received { .. }));
    port.send(handle, &b"bye"[..], 0).expect("sending works after the peer's FIN");
    port.close(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
    assert_eq!(client.read_to_end().expect("data and a clean end"), b"bye");
}

fn the_recv_is_cancelled_and_later_input_is_for_nobody(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    port.close(handle).expect("an open socket");
    assert_eq!(client.read_to_end().expect("a FIN"), b"");
    client.write_all(b"too late").expect("a peer that discards");
    client.shutdown_write();
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!((reason, before), (Ok(()), vec![]));
}

fn a_closing_socket_refuses_every_call(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.close(handle).expect("an open socket");
    let closed = Err(ErrorCode::Closed);
    assert_eq!(port.recv(handle).map_err(|error| error.code()), closed);
    assert_eq!(port.send(handle, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
    assert_eq!(port.sync_send(handle, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
    assert_eq!(port.shutdown_send(handle).map_err(|error| error.code()), closed);
    assert_eq!(port.close(handle).map_err(|error| error.code()), closed);
    assert_eq!(port.remove(handle).map_err(|error| error.code()), closed);
    drop(client);
    assert_eq!(port.handler().wait_for_end(handle), (Ok(()), vec![]));
}

// Real only: what a reset destroys is a matter of real buffers.
on_every_backend!(real: a_peer_that_writes_all_the_while_reads_everything);

fn a_peer_that_writes_all_the_while_reads_everything(lab: &Lab) {
    const LEN: usize = 8 << 20;
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    // One owner for both directions: under Wine a write that waits on a second one ends with the reading of the first.
    let stream = client.tcp().expect("a real one");
    port.send(handle, vec![9; LEN], 0).expect("an open socket");
    port.close(handle).expect("an open socket");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                (&*stream).write_all(&[5; 65_536]).expect("a peer that discards until it sees our FIN");
            }
            stream.shutdown(Shutdown::Write).expect("a live connection");
        });
        let mut read = Vec::new();
        (&*stream).read_to_end(&mut read).expect("data and a clean end");
        assert_eq!(read.len(), LEN);
    });
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
}
