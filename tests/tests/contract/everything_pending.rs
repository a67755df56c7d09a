//! The end of a socket with a recv and a hundred sends pending, in each of the ways there are: every send is reported once,
//! in its turn, and then comes the farewell; and the handle is dead, whoever has its slot. ("Completions" 1; "Ending" 5, 6.)

use socket_iocp::{ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::Arc;
use std::time::Duration;

on_every_backend!(by_close_at_its_limit, by_abort, by_remove, by_delete, by_a_reset_of_the_peer);

const SENDS: u64 = 100;
/// All of them are more than the system takes for a peer that does not read.
const BYTES: usize = 512 << 10;

/// A socket with a recv, the sends and a sync send pending, whose peer reads nothing but the first byte.
fn pending(lab: &Lab) -> (Port<Probe>, SocketHandle, Client) {
    let options = lab.options().linger(Duration::from_millis(150));
    let port = Port::new(Probe::silent(), options).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    let bytes = Arc::new(vec![7; BYTES]);
    for write in 0..SENDS {
        port.send(handle, bytes.clone(), write).expect("an open socket");
    }
    port.sync_send(handle, bytes, SENDS).expect("the one sync send");
    // The first is with the system.
    assert_eq!(client.read_exact(1).expect("the first byte"), [7]);
    (port, handle, client)
}

/// Each send has been reported once, in order; those that are not done with this error. The recv has not been reported, and
/// the farewell has come last.
fn check(port: &PortHandle<Probe>, handle: SocketHandle, undone: ErrorCode, reason: Result<(), ErrorCode>) {
    let (told, before) = port.handler().wait_for_end(handle);
    assert_eq!(told.map_err(|error| error.code()), reason);
    let sent: Vec<_> = before.iter().filter_map(Event::sent).collect();
    assert_eq!(sent.len(), before.len(), "a callback of the recv: {before:?}");
    assert_eq!(sent.iter().map(|(write, _)| *write).collect::<Vec<_>>(), (0..=SENDS).collect::<Vec<_>>());
    let whole = sent.iter().take_while(|(_, result)| result.is_ok()).count();
    assert!(whole < sent.len(), "all of them went to a peer that does not read");
    assert!(sent[whole..].iter().all(|(_, result)| result.map_err(|error| error.code()) == Err(undone)), "{sent:?}");
    for event in before {
        if let Event::Sent { result, bytes, .. } = event {
            assert!(bytes == BYTES || (result.is_err() && bytes < BYTES), "{bytes} bytes, {result:?}");
        }
    }
}

/// Every call with the handle is refused, also when others live where its socket did.
fn is_dead(lab: &Lab, port: &PortHandle<Probe>, handle: SocketHandle) {
    let mut clients = Vec::new();
    for number in 0..10 {
        let (socket, mut client) = lab.pair();
        let other = port.add_connected(socket, 2).expect("a connected socket");
        let closed = Err(ErrorCode::Closed);
        assert_eq!(port.recv(handle).map_err(|error| error.code()), closed);
        assert_eq!(port.send(handle, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
        assert_eq!(port.sync_send(handle, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
        assert_eq!(port.abort(handle).map_err(|error| error.code()), closed);
        // The newcomer has noticed nothing.
        port.send(other, vec![number], 0).expect("an open socket");
        assert_eq!(client.read_exact(1).expect("its byte"), [number]);
        clients.push(client);
    }
}

fn by_close_at_its_limit(lab: &Lab) {
    let (port, handle, mut client) = pending(lab);
    port.close(handle).expect("an open socket");
    check(&port, handle, ErrorCode::Cancelled, Err(ErrorCode::TimedOut));
    client.read_to_reset().expect("a reset");
    is_dead(lab, &port, handle);
}

fn by_abort(lab: &Lab) {
    let (port, handle, mut client) = pending(lab);
    port.abort(handle).expect("an open socket");
    check(&port, handle, ErrorCode::Cancelled, Err(ErrorCode::Cancelled));
    client.read_to_reset().expect("a reset");
    is_dead(lab, &port, handle);
}

fn by_remove(lab: &Lab) {
    let (port, handle, _client) = pending(lab);
    port.remove(handle).expect("an open socket");
    check(&port, handle, ErrorCode::Cancelled, Ok(()));
    assert_eq!(port.handler().take_returned().len(), 1);
    is_dead(lab, &port, handle);
}

fn by_delete(lab: &Lab) {
    let (port, handle, mut client) = pending(lab);
    let (listener, _) = lab.listen();
    port.add_listener(listener, 16, 3).expect("a listener");
    let kept = PortHandle::clone(&port);
    port.delete();
    check(&kept, handle, ErrorCode::Cancelled, Err(ErrorCode::Cancelled));
    let farewells = kept.handler().count(|event| matches!(event, Event::ListenerFarewell { listener: 3, .. }));
    assert_eq!(farewells, 1);
    client.read_to_reset().expect("a reset");
    assert_eq!(kept.recv(handle).map_err(|error| error.code()), Err(ErrorCode::Closed));
}

fn by_a_reset_of_the_peer(lab: &Lab) {
    let (port, handle, client) = pending(lab);
    client.reset();
    let (told, before) = port.handler().wait_for_end(handle);
    assert_eq!(told.map_err(|error| error.code()), Err(ErrorCode::Reset));
    let writes: Vec<_> = before.iter().filter_map(Event::sent).map(|(write, _)| write).collect();
    assert_eq!(writes, (0..=SENDS).collect::<Vec<_>>());
    assert_eq!(before.len(), writes.len(), "a callback of the recv: {before:?}");
    is_dead(lab, &port, handle);
}
