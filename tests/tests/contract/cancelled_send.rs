//! A cancelled send reports the bytes that the system had taken: what the peer reads agrees with it. ("Completions" 4;
//! "Ending" 5.)

use socket_iocp::{Port, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend, platform};

on_every_backend!(a_peer_reads_what_was_reported, a_reset_leaves_a_beginning_of_it);

const SENDS: usize = 5;
/// More than the system takes at once.
const BYTES: usize = 8 << 20;

/// The byte at this place of everything that is sent.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// A socket in the midst of its sends.
fn sending(lab: &Lab) -> (Port<Probe>, SocketHandle, Client) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    for write in 0..SENDS {
        let bytes: Vec<u8> = (write * BYTES..(write + 1) * BYTES).map(pattern).collect();
        port.send(handle, bytes, write as u64).expect("an open socket");
    }
    // Some of it has been read, so that the system has taken more.
    let read = client.read_exact(BYTES / 4).expect("the beginning");
    assert!(read.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
    (port, handle, client)
}

/// The bytes that the send callbacks have reported.
fn reported(events: &[Event]) -> usize {
    let bytes = events.iter().map(|event| match event {
        Event::Sent { result, bytes, .. } => {
            assert!(*bytes == BYTES || (result.is_err() && *bytes < BYTES), "{bytes} bytes, {result:?}");
            *bytes
        }
        other => panic!("{other:?}"),
    });
    let bytes: Vec<usize> = bytes.collect();
    assert_eq!(bytes.len(), SENDS);
    // Whole ones, at most one in part, and then none.
    let first_partial = bytes.iter().position(|bytes| *bytes != BYTES).expect("not all of them");
    assert!(bytes[first_partial + 1..].iter().all(|bytes| *bytes == 0), "{bytes:?}");
    bytes.iter().sum()
}

fn check_beginning(rest: &[u8]) {
    let right = rest.iter().enumerate().all(|(at, byte)| *byte == pattern(BYTES / 4 + at));
    assert!(right, "the bytes are not those sent");
}

fn a_peer_reads_what_was_reported(lab: &Lab) {
    let (port, handle, mut client) = sending(lab);
    port.remove(handle).expect("an open socket");
    let (_, before) = port.handler().wait_for_end(handle);
    // Closed by its owner: what the system has taken arrives, and then the FIN.
    drop(port.handler().take_returned());
    let rest = client.read_to_end().expect("data and a clean end");
    check_beginning(&rest);
    let (read, reported) = (BYTES / 4 + rest.len(), reported(&before));
    // Windows may have sent more of a cancelled send than it says, see CancelIoEx.
    let agrees = if cfg!(windows) && !platform::is_wine() { reported <= read } else { reported == read };
    assert!(agrees, "{read} bytes read, {reported} reported");
}

fn a_reset_leaves_a_beginning_of_it(lab: &Lab) {
    let (port, handle, mut client) = sending(lab);
    port.abort(handle).expect("an open socket");
    let (_, before) = port.handler().wait_for_end(handle);
    let rest = client.read_to_reset().expect("a reset");
    check_beginning(&rest);
    let (read, reported) = (BYTES / 4 + rest.len(), reported(&before));
    // The reset destroys what was on its way.
    assert!(read <= reported || (cfg!(windows) && !platform::is_wine()), "{read} bytes read, {reported} reported");
}
