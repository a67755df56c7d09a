//! Shutdown of the sending side, and that a FIN ends nothing. ("Ending" 1.)

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};

on_every_backend!(
    fin_follows_what_is_queued_and_receiving_goes_on,
    a_send_after_it_is_shutdown,
    a_fin_both_ways_does_not_end_a_socket,
    a_fin_both_ways_that_was_received_does_not_end_a_socket,
);

fn fin_follows_what_is_queued_and_receiving_goes_on(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    for write in 0..100 {
        port.send(handle, vec![write as u8; 20_000], write).expect("an open socket");
    }
    port.shutdown_send(handle).expect("an open socket");
    port.recv(handle).expect("receiving goes on");
    let read = client.read_to_end().expect("data and FIN");
    assert_eq!(read.len(), 100 * 20_000);
    assert!(read.chunks(20_000).enumerate().all(|(write, bytes)| bytes.iter().all(|byte| *byte == write as u8)));
    client.write_all(b"an answer").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 9), b"an answer");
    let sent: Vec<_> = port.handler().history(handle).iter().filter_map(Event::sent).collect();
    assert_eq!(sent, (0..100).map(|write| (write, Ok(()))).collect::<Vec<_>>());
}

fn a_send_after_it_is_shutdown(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.shutdown_send(handle).expect("an open socket");
    let rejected = port.send(handle, &b"late"[..], 31).expect_err("a shut down side");
    assert_eq!((rejected.error.code(), rejected.write), (ErrorCode::Shutdown, 31));
    let rejected = port.sync_send(handle, &b"late"[..], 32).expect_err("a shut down side");
    assert_eq!((rejected.error.code(), rejected.write), (ErrorCode::Shutdown, 32));
    assert_eq!(port.shutdown_send(handle).map_err(|error| error.code()), Err(ErrorCode::Shutdown));
    assert_eq!(client.read_to_end().expect("a FIN"), b"");
    client.shutdown_write();
    port.close(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_end(handle), (Ok(()), vec![]));
}

fn a_fin_both_ways_does_not_end_a_socket(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let (other_socket, mut other) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    let other_handle = port.add_connected(other_socket, 0).expect("a connected socket");
    port.shutdown_send(handle).expect("an open socket");
    client.shutdown_write();
    assert_eq!(client.read_to_end().expect("a FIN"), b"");
    // The same worker goes all the way round several times.
    port.recv(other_handle).expect("an open socket");
    for round in 0..10 {
        other.write_all(&[round]).expect("a live connection");
        other.read_exact(1).expect("the echo");
    }
    assert_eq!(port.handler().history(handle), []);
    assert!(port.shutdown_send(handle).is_err_and(|error| error.code() == ErrorCode::Shutdown), "the handle lives");
    port.close(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_end(handle), (Ok(()), vec![]));
}

fn a_fin_both_ways_that_was_received_does_not_end_a_socket(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    client.shutdown_write();
    port.recv(handle).expect("an open socket");
    port.handler().wait_for_count("the FIN", 1, |event| matches!(event, Event::Received { .. }));
    port.shutdown_send(handle).expect("an open socket");
    assert_eq!(client.read_to_end().expect("a FIN"), b"");
    assert_eq!(port.recv(handle).map_err(|error| error.code()), Err(ErrorCode::Eof));
    port.close(handle).expect("a socket that has not ended");
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason, Ok(()));
    assert_eq!(before, [Event::Received { handle, state: 0, result: Ok(vec![]) }]);
}
