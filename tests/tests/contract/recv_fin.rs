//! The peer's FIN is a recv of 0 bytes; then recv is `Eof`, and sending still works.

use socket_iocp::{Error, ErrorCode, Port, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};

on_every_backend!(a_fin_is_a_recv_of_no_bytes, sending_works_after_the_fin, a_fin_both_ways_ends_nothing);

/// A socket whose peer has sent `bytes` and its FIN, and whose recvs have brought both.
fn half_closed(lab: &Lab, bytes: &[u8]) -> (Port<Probe>, SocketHandle, Client) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    client.write_all(bytes).expect("a live connection");
    client.shutdown_write();
    let is_fin = |event: &Event| matches!(event, Event::Received { result: Ok(bytes), .. } if bytes.is_empty());
    port.handler().wait_for_count("the FIN", 1, is_fin);
    assert!(is_fin(port.handler().log().last().expect("events")), "the FIN comes last");
    assert_eq!(port.handler().wait_for_bytes(socket, bytes.len()), bytes);
    (port, socket, client)
}

fn a_fin_is_a_recv_of_no_bytes(lab: &Lab) {
    let (port, socket, _client) = half_closed(lab, b"everything before it");
    for _ in 0..3 {
        assert_eq!(port.recv(socket), Err(Error::new(ErrorCode::Eof)));
    }
    let fins =
        port.handler().count(|event| matches!(event, Event::Received { result: Ok(bytes), .. } if bytes.is_empty()));
    assert_eq!(fins, 1);
}

fn sending_works_after_the_fin(lab: &Lab) {
    let (port, socket, mut client) = half_closed(lab, b"");
    for write in 0..10 {
        port.send(socket, b"async", write).expect("only the other direction has ended");
        assert_eq!(client.read_exact(5).expect("the bytes"), b"async");
    }
    port.sync_send(socket, b"sync", 99).expect("only the other direction has ended");
    assert_eq!(client.read_exact(4).expect("the bytes"), b"sync");
    let sends = port.handler().wait_for_count("the sends", 11, |event| matches!(event, Event::Sent { .. }));
    assert!(sends.iter().all(|event| matches!(event.sent(), Some((_, Ok(()))))), "{sends:?}");
}

fn a_fin_both_ways_ends_nothing(lab: &Lab) {
    let (port, socket, mut client) = half_closed(lab, b"");
    port.shutdown_send(socket).expect("a live socket");
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    // Nothing is left to happen on it, but it is still there.
    assert_eq!(port.recv(socket), Err(Error::new(ErrorCode::Eof)));
    let refused = port.send(socket, b"x", 1).expect_err("its sending side is shut down");
    assert_eq!(refused.error.code(), ErrorCode::Shutdown);
    assert_eq!(port.statistics().sockets_now, 1);
    assert_eq!(port.handler().count(|event| matches!(event, Event::Farewell { .. })), 0);
    port.close(socket).expect("it has not ended");
    assert_eq!(port.handler().wait_for_farewell(socket), Ok(()));
}
