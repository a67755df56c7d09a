//! After the farewell a handle is dead for ever, even when its slot and its descriptor number are in use again.
//! ("Ending" 6.)

use socket_iocp::{ErrorCode, Port, PortHandle, RawSocket, SocketHandle};
use socket_iocp_testkit::{BOUND, Client, Event, Lab, Probe, in_own_process, on_every_backend};
use std::sync::mpsc;

on_every_backend!(a_handle_stays_dead_when_slot_and_number_are_used_again, in_its_farewell_it_is_dead_to_every_port,);

/// A raw handle's lower half is the slot.
fn slot_of(handle: SocketHandle) -> usize {
    handle.into_raw() & 0xffff_ffff
}

/// Adds sockets and aborts them until one has this slot and this number.
fn successor(lab: &Lab, port: &PortHandle<Probe>, old: SocketHandle, number: RawSocket) -> (SocketHandle, Client) {
    for _ in 0..100_000 {
        let (socket, client) = lab.pair();
        let found = socket.as_raw();
        let handle = port.add_connected(socket, 2).expect("a connected socket");
        if found == number && slot_of(handle) == slot_of(old) {
            return (handle, client);
        }
        port.abort(handle).expect("an open socket");
        port.handler().wait_for_farewell(handle).expect_err("aborted");
    }
    panic!("slot and number were never used again together");
}

fn a_handle_stays_dead_when_slot_and_number_are_used_again(lab: &Lab) {
    // Descriptor numbers are the process's: another test might keep the one that is to come back.
    in_own_process("dead_handle::a_handle_stays_dead_when_slot_and_number_are_used_again", lab, check);
}

fn check(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().threads(1)).expect("a port");
    let (socket, client) = lab.pair();
    let number = socket.as_raw();
    let old = port.add_connected(socket, 1).expect("a connected socket");
    port.abort(old).expect("an open socket");
    port.handler().wait_for_farewell(old).expect_err("aborted");
    drop(client);

    let (new, mut client) = successor(lab, &port, old, number);
    assert_ne!(old, new);
    let closed = Err(ErrorCode::Closed);
    let all_refuse = || {
        assert_eq!(port.recv(old).map_err(|error| error.code()), closed);
        assert_eq!(port.send(old, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
        assert_eq!(port.sync_send(old, &b"x"[..], 0).map_err(|rejected| rejected.error.code()), closed);
        assert_eq!(port.shutdown_send(old).map_err(|error| error.code()), closed);
        assert_eq!(port.close(old).map_err(|error| error.code()), closed);
        assert_eq!(port.abort(old).map_err(|error| error.code()), closed);
        assert_eq!(port.remove(old).map_err(|error| error.code()), closed);
    };
    all_refuse();
    // The one that lives there now has noticed nothing.
    assert_eq!(port.find(number), Some(new));
    port.recv(new).expect("an open socket");
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    all_refuse();
    client.shutdown_write();
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    assert_eq!(port.handler().wait_for_farewell(new), Ok(()));
    let old_events = port.handler().history(old);
    assert!(matches!(old_events[..], [Event::Farewell { state: 1, .. }]), "{old_events:?}");
}

fn in_its_farewell_it_is_dead_to_every_port(lab: &Lab) {
    let other = Port::new(Probe::silent(), lab.options()).expect("a port");
    let stranger = other.clone();
    let (sender, answers) = mpsc::channel();
    let probe = Probe::reacting(move |_, context, event| {
        if let (Some(context), Event::Farewell { handle, .. }) = (context, event) {
            sender.send([context.recv(), stranger.recv(*handle)]).expect("the test waits");
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    assert_eq!(other.recv(handle).map_err(|error| error.code()), Err(ErrorCode::WrongPort));
    port.abort(handle).expect("an open socket");
    let answers = answers.recv_timeout(BOUND).expect("the farewell");
    assert_eq!(answers.map(|answer| answer.map_err(|error| error.code())), [Err(ErrorCode::Closed); 2]);
}
