//! Remove: the socket comes back from the port open, whole and with nothing lost. ("Ending" 4.)

use socket_iocp::{ErrorCode, Port, PortHandle, Socket, SocketHandle};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, platform};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

on_every_backend!(
    a_removed_socket_is_handed_back_and_can_be_added_again,
    no_byte_is_lost_between_the_port_and_its_caller,
    outstanding_sends_are_reported_before_the_farewell,
    another_port_takes_it_inside_the_farewell,
);

/// Removes a socket and takes it from its farewell.
fn removed(port: &PortHandle<Probe>, handle: SocketHandle) -> Socket {
    port.remove(handle).expect("an open socket");
    let (reason, _) = port.handler().wait_for_end(handle);
    assert_eq!(reason, Ok(()));
    let mut returned = port.handler().take_returned();
    assert_eq!(returned.len(), 1, "handed back with the farewell");
    returned.remove(0)
}

fn a_removed_socket_is_handed_back_and_can_be_added_again(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let number = socket.as_raw();
    let first = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(first).expect("an open socket");
    client.write_all(b"before").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(first, 6), b"before");
    let socket = removed(&port, first);
    assert_eq!(socket.as_raw(), number);
    assert_eq!(port.find(number), None);

    let second = port.add_connected(socket, 2).expect("the same socket again");
    assert_eq!(port.recv(first).map_err(|error| error.code()), Err(ErrorCode::Closed));
    port.recv(second).expect("an open socket");
    client.write_all(b"after").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(second, 5), b"after");
    port.send(second, &b"back"[..], 0).expect("an open socket");
    assert_eq!(client.read_exact(4).expect("what was sent"), b"back");
    assert_eq!(port.find(number), Some(second));
}

fn no_byte_is_lost_between_the_port_and_its_caller(lab: &Lab) {
    const LEN: usize = 2000;
    let expected: Vec<u8> = (0..LEN).map(|index| index as u8).collect();
    let first_port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let second_port = Port::new(Probe::reader(), lab.options()).expect("a port");
    for round in 0..200 {
        let (socket, mut client) = lab.pair();
        let first = first_port.add_connected(socket, 0).expect("a connected socket");
        first_port.recv(first).expect("an open socket");
        // The removal comes somewhere among the pieces, in each round a little later.
        for (number, piece) in expected.chunks(100).enumerate() {
            if number == round % 20 {
                first_port.remove(first).expect("an open socket");
            }
            client.write_all(piece).expect("a live connection");
        }
        assert_eq!(first_port.handler().wait_for_farewell(first), Ok(()));
        let mut bytes = first_port.handler().wait_for_bytes(first, 0);
        let socket = first_port.handler().take_returned().remove(0);
        let second = second_port.add_connected(socket, 0).expect("a connected socket");
        second_port.recv(second).expect("an open socket");
        bytes.extend(second_port.handler().wait_for_bytes(second, LEN - bytes.len()));
        assert_eq!(bytes, expected, "round {round}");
        second_port.abort(second).expect("an open socket");
    }
}

fn outstanding_sends_are_reported_before_the_farewell(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    for write in 0..32 {
        port.send(handle, vec![4; 1 << 20], write).expect("an open socket");
    }
    client.read_exact(1).expect("the first byte");
    drop(removed(&port, handle));
    let sent: Vec<_> = port.handler().history(handle).iter().filter_map(Event::sent).collect();
    assert_eq!(sent.iter().map(|(write, _)| *write).collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
    let whole = sent.iter().take_while(|(_, result)| result.is_ok()).count();
    assert!(whole < 32, "32 MiB went to a peer that does not read");
    assert!(sent[whole..].iter().all(|(_, result)| result.map_err(|error| error.code()) == Err(ErrorCode::Cancelled)));
}

fn another_port_takes_it_inside_the_farewell(lab: &Lab) {
    let heir = Port::new(Probe::echo(), lab.options()).expect("a port");
    let heir_handle = (*heir).clone();
    let inherited = Mutex::new(None);
    let probe = Probe::reacting(move |probe, _, event| {
        if matches!(event, Event::Farewell { .. }) {
            let socket = probe.take_returned().remove(0);
            let handle = heir_handle.add_connected(socket, 0).expect("the socket is the caller's here");
            heir_handle.recv(handle).expect("an open socket");
            *inherited.lock().expect("no panic") = Some(handle);
        }
        None
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.remove(handle).expect("an open socket");
    client.write_all(b"to the heir").expect("a live connection");
    assert_eq!(client.read_exact(11).expect("the echo"), b"to the heir");
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
    // The old port's end must not touch what is the other's now.
    port.delete();
    client.write_all(b"still").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"still");
}

// Real only: it is about what std can do with the descriptor.
on_every_backend!(real: a_removed_socket_is_an_ordinary_stream);

fn a_removed_socket_is_an_ordinary_stream(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    let owned = platform::owned(removed(&port, handle)).expect("a real one");
    // The port is gone: what it had to do with the socket is over.
    port.delete();
    let mut stream = TcpStream::from(owned);
    stream.write_all(b"from the caller").expect("an open socket");
    assert_eq!(client.read_exact(15).expect("what was written"), b"from the caller");
    client.write_all(b"to the caller").expect("a live connection");
    client.shutdown_write();
    let mut read = String::new();
    stream.read_to_string(&mut read).expect("a blocking socket, as it was");
    assert_eq!(read, "to the caller");
}
