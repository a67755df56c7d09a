//! A socket whose callbacks always have the next event ready does not keep its worker to itself.

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};

on_every_backend!(another_socket_is_served_meanwhile);

fn another_socket_is_served_meanwhile(lab: &Lab) {
    let probe = Probe::reacting(move |_, context, event| {
        if let (Event::Sent { write: 77, .. }, Some(context)) = (event, context) {
            // Refused at the end.
            let _ = context.send("", 77);
        }
        None
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (socket, _first) = lab.pair();
    let endless = port.add_connected(socket, 1).expect("added");
    port.send(endless, "", 77).expect("accepted");
    let (socket, mut client) = lab.pair();
    let other = port.add_connected(socket, 1).expect("added");
    port.recv(other).expect("a recv");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(other, 1), b"x");
    port.delete();
}
