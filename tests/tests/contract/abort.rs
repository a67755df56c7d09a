//! Abort: the peer sees a reset, always, and every send is reported. ("Ending" 3 and 5.)

use socket_iocp::{ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::io::ErrorKind;
use std::time::Duration;

on_every_backend!(
    the_peer_sees_a_reset_right_after_data,
    the_peer_sees_a_reset_with_a_recv_outstanding,
    the_peer_sees_a_reset_when_it_had_finished_sending,
    every_outstanding_send_is_reported_before_the_farewell,
    abort_overrides_a_close_that_waits_for_the_peer,
    abort_overrides_a_close_that_still_sends,
    any_other_repeat_is_closed,
);

fn port(lab: &Lab) -> Port<Probe> {
    Port::new(Probe::reader(), lab.options().linger(Duration::from_secs(3600))).expect("a port")
}

fn cancelled(port: &PortHandle<Probe>, handle: SocketHandle) -> Vec<Event> {
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    before
}

fn the_peer_sees_a_reset_right_after_data(lab: &Lab) {
    let port = port(lab);
    for _ in 0..50 {
        let (socket, mut client) = lab.pair();
        let handle = port.add_connected(socket, 0).expect("a connected socket");
        port.send(handle, vec![1; 1000], 0).expect("an open socket");
        port.handler().wait_for("the send", |log| {
            log.iter().find(|event| event.handle() == Some(handle) && event.sent() == Some((0, Ok(())))).map(drop)
        });
        port.abort(handle).expect("an open socket");
        let read = client.read_to_reset().expect("a reset");
        assert!(read.iter().all(|byte| *byte == 1) && read.len() <= 1000);
        cancelled(&port, handle);
    }
}

fn the_peer_sees_a_reset_with_a_recv_outstanding(lab: &Lab) {
    let port = port(lab);
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    client.write_all(b"x").expect("a live connection");
    port.handler().wait_for_bytes(handle, 1);
    port.abort(handle).expect("an open socket");
    assert_eq!(client.read_to_reset().expect("a reset"), b"");
    let before = cancelled(&port, handle);
    assert_eq!(before.len(), 1, "a recv ended by the end of its socket has no callback: {before:?}");
}

fn the_peer_sees_a_reset_when_it_had_finished_sending(lab: &Lab) {
    let port = port(lab);
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    client.shutdown_write();
    port.handler().wait_for_count("the FIN", 1, |event| matches!(event, Event::Received { .. }));
    port.abort(handle).expect("an open socket");
    cancelled(&port, handle);
    port.delete();
    match client.read(&mut [0; 8]) {
        Ok(count) => panic!("a clean end ({count} bytes), where a reset should have come"),
        // Linux says EPIPE for a reset that follows the FIN.
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
        }
    }
}

fn every_outstanding_send_is_reported_before_the_farewell(lab: &Lab) {
    let port = port(lab);
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    for write in 0..32 {
        port.send(handle, vec![2; 1 << 20], write).expect("an open socket");
    }
    // Once a byte has come the first send is in the kernel.
    client.read_exact(1).expect("the first byte");
    port.abort(handle).expect("an open socket");
    let sent: Vec<_> = cancelled(&port, handle).iter().filter_map(Event::sent).collect();
    assert_eq!(sent.iter().map(|(write, _)| *write).collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
    let whole = sent.iter().take_while(|(_, result)| result.is_ok()).count();
    assert!(whole < 32, "32 MiB went to a peer that does not read");
    assert!(sent[whole..].iter().all(|(_, result)| result.map_err(|error| error.code()) == Err(ErrorCode::Cancelled)));
    client.read_to_reset().expect("a reset");
}

fn abort_overrides_a_close_that_waits_for_the_peer(lab: &Lab) {
    let port = port(lab);
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.close(handle).expect("an open socket");
    assert_eq!(client.read_to_end().expect("the FIN of the close"), b"");
    port.abort(handle).expect("a socket that still closes");
    assert_eq!(cancelled(&port, handle), []);
    port.delete();
    assert!(client.write_all(b"x").is_err(), "the connection was not reset");
}

fn abort_overrides_a_close_that_still_sends(lab: &Lab) {
    let port = port(lab);
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.send(handle, vec![3; 32 << 20], 5).expect("an open socket");
    port.close(handle).expect("an open socket");
    client.read_exact(1).expect("the first byte");
    port.abort(handle).expect("a socket that still closes");
    let sent: Vec<_> = cancelled(&port, handle).iter().filter_map(Event::sent).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, sent[0].1.map_err(|error| error.code())), (5, Err(ErrorCode::Cancelled)));
    client.read_to_reset().expect("a reset");
}

fn any_other_repeat_is_closed(lab: &Lab) {
    type Call = fn(&PortHandle<Probe>, SocketHandle) -> Result<(), socket_iocp::Error>;
    const CALLS: [(&str, Call); 3] =
        [("close", PortHandle::close), ("abort", PortHandle::abort), ("remove", PortHandle::remove)];
    let port = port(lab);
    for (first_name, first) in CALLS {
        for (second_name, second) in CALLS {
            let (socket, client) = lab.pair();
            let handle = port.add_connected(socket, 0).expect("a connected socket");
            first(&port, handle).expect("an open socket");
            let expected =
                if (first_name, second_name) == ("close", "abort") { Ok(()) } else { Err(ErrorCode::Closed) };
            let second = second(&port, handle).map_err(|error| error.code());
            assert_eq!(second, expected, "{second_name} after {first_name}");
            drop(client);
            let _ = port.handler().wait_for_end(handle);
        }
    }
}
