//! Sends of one socket, sync and async mixed, leave and are reported in the order in which they were issued, whole and
//! once, whether the peer reads or not.

use socket_iocp::{ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{BOUND, Client, Event, Lab, Probe, on_every_backend};
use std::sync::mpsc::{self, Receiver};
use std::thread;

on_every_backend!(twenty_thousand_with_a_reader, twenty_thousand_before_anything_is_read);

const SENDS: u64 = 20_000;
/// Lengths go round from 0 to this.
const MAX_BYTES: u64 = 1_600;

/// What is sent with this number: its length and every byte depend on the number.
fn bytes_of(write: u64) -> Vec<u8> {
    (0..(write * 37) % (MAX_BYTES + 1)).map(|at| (write.wrapping_mul(31) ^ at) as u8).collect()
}

/// A socket, its client, and the numbers of the sends reported.
fn sending(lab: &Lab) -> (Port<Probe>, SocketHandle, Client, Receiver<u64>) {
    let (sender, reported) = mpsc::channel();
    let probe = Probe::reacting(move |_, _, event| {
        if let Event::Sent { write, result, bytes, .. } = event {
            assert_eq!((*result, *bytes), (Ok(()), bytes_of(*write).len()));
            sender.send(*write).expect("the test waits");
        }
        None
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    (port, socket, client, reported)
}

/// Issues every send, a sync one whenever none is outstanding; how many were sync.
fn issue_all(port: &PortHandle<Probe>, socket: SocketHandle) -> usize {
    let mut sync = 0;
    for write in 0..SENDS {
        let bytes = match port.sync_send(socket, bytes_of(write), write) {
            Ok(()) => {
                sync += 1;
                continue;
            }
            Err(rejected) => {
                assert_eq!((rejected.error.code(), rejected.write), (ErrorCode::Busy, write));
                rejected.buffer.into_vec().expect("the vector given")
            }
        };
        assert_eq!(bytes, bytes_of(write), "what is rejected comes back as it was");
        port.send(socket, bytes, write).expect("any number of async sends");
    }
    sync
}

fn check_bytes(client: &mut Client) {
    for write in 0..SENDS {
        let expected = bytes_of(write);
        assert!(client.read_exact(expected.len()).expect("the bytes") == expected, "the bytes of send {write}");
    }
}

fn check_reports(reported: &Receiver<u64>) {
    for write in 0..SENDS {
        assert_eq!(reported.recv_timeout(BOUND), Ok(write), "reports in order, each once");
    }
    assert!(reported.try_recv().is_err(), "a send reported twice");
}

fn twenty_thousand_with_a_reader(lab: &Lab) {
    let (port, socket, mut client, reported) = sending(lab);
    let reader = thread::spawn(move || {
        check_bytes(&mut client);
        client
    });
    assert!(issue_all(&port, socket) > 0);
    check_reports(&reported);
    reader.join().expect("the right bytes");
}

fn twenty_thousand_before_anything_is_read(lab: &Lab) {
    let (port, socket, mut client, reported) = sending(lab);
    assert!(issue_all(&port, socket) > 0);
    // 16 MB: more than the kernel takes, so most of it waits in the queue.
    check_bytes(&mut client);
    check_reports(&reported);
    port.close(socket).expect("a live socket");
    assert_eq!(client.read_to_end().expect("a clean end"), b"", "more bytes than were sent");
}
