//! One memory sent to many sockets: each send has one reference to it until it has been reported, and the last one frees it.

use socket_iocp::{ErrorCode, Port, PortHandle, SendBuffer, SocketHandle};
use socket_iocp_testkit::{Client, Event, Gate, Lab, Probe, on_every_backend};
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;

on_every_backend!(
    a_send_is_one_reference,
    from_many_threads_to_many_sockets,
    an_owner_is_dropped_when_its_send_is_reported,
    an_owner_has_its_bytes_within_itself,
    what_is_refused_comes_back,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;
const MEMBERS: usize = 6;

fn added(lab: &Lab, port: &PortHandle<Probe>) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, 1).expect("a connected socket"), client)
}

fn wait_for_sends(port: &PortHandle<Probe>, count: usize) {
    port.handler().wait_for_count("the sends", count, |event| matches!(event, Event::Sent { result: Ok(()), .. }));
}

/// Bytes of an `Arc`, and a gate that each of these values passes when it is dropped.
struct Part {
    bytes: Arc<[u8]>,
    range: Range<usize>,
    drops: Arc<Gate>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.drops.pass();
    }
}

fn a_send_is_one_reference(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(2)).expect("a port");
    let (sockets, mut clients): (Vec<_>, Vec<_>) = (0..MEMBERS).map(|_| added(lab, &port)).unzip();
    let message: Arc<[u8]> = (0..LARGE_BYTES / 4).map(|at| (at % 251) as u8).collect();
    for socket in &sockets {
        for write in 0..4 {
            port.send(*socket, message.clone(), write).expect("a live socket");
        }
    }
    // Nobody reads, so that the last sends of each socket are still there; some of the first may have been reported.
    assert!((1 + 3 * MEMBERS..=1 + 4 * MEMBERS).contains(&Arc::strong_count(&message)));
    for client in &mut clients {
        for _ in 0..4 {
            assert!(client.read_exact(message.len()).expect("the bytes") == *message);
        }
    }
    wait_for_sends(&port, 4 * MEMBERS);
    port.delete();
    assert_eq!(Arc::strong_count(&message), 1, "every reference is given back");
}

fn from_many_threads_to_many_sockets(lab: &Lab) {
    const THREADS: usize = 3;
    const MESSAGES: usize = 100;
    let port = Port::new(Probe::silent(), lab.options().threads(2)).expect("a port");
    let (sockets, mut clients): (Vec<_>, Vec<_>) = (0..MEMBERS).map(|_| added(lab, &port)).unzip();
    let drops = Arc::new(Gate::new());
    let speakers: Vec<_> = (0..THREADS as u8)
        .map(|speaker| {
            let (port, sockets, drops) = (PortHandle::clone(&port), sockets.clone(), drops.clone());
            thread::spawn(move || {
                for message in 0..MESSAGES {
                    let bytes: Arc<[u8]> = vec![speaker; message % 60 + 2].into();
                    for socket in &sockets {
                        let range = message % 2..bytes.len();
                        let part = Part { bytes: bytes.clone(), range, drops: drops.clone() };
                        let buffer = SendBuffer::from_owner(part).unwrap_or_else(|_| panic!("no memory"));
                        port.send(*socket, buffer, 0).expect("a live socket");
                    }
                }
            })
        })
        .collect();
    let each: usize = (0..MESSAGES).map(|message| message % 60 + 2 - message % 2).sum();
    for client in &mut clients {
        let bytes = client.read_exact(THREADS * each).expect("every message");
        for speaker in 0..THREADS as u8 {
            assert_eq!(bytes.iter().filter(|byte| **byte == speaker).count(), each);
        }
    }
    speakers.into_iter().for_each(|speaker| speaker.join().expect("every send is accepted"));
    drops.wait_for("every owner's drop", (THREADS * MESSAGES * MEMBERS) as u64);
}

fn an_owner_is_dropped_when_its_send_is_reported(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port);
    let drops = Arc::new(Gate::new());
    let bytes: Arc<[u8]> = vec![7; LARGE_BYTES].into();
    let send = |range: Range<usize>| {
        let part = Part { bytes: bytes.clone(), range, drops: drops.clone() };
        let buffer = SendBuffer::from_owner(part).unwrap_or_else(|_| panic!("no memory"));
        port.send(socket, buffer, 0).expect("a live socket");
    };
    send(0..LARGE_BYTES);
    send(1..3);
    client.read_exact(LARGE_BYTES / 2).expect("the beginning");
    assert_eq!((drops.count(), Arc::strong_count(&bytes)), (0, 3), "the send goes on");
    client.read_exact(LARGE_BYTES / 2 + 2).expect("the rest");
    drops.wait_for("both drops", 2);
    // Also where the bytes never leave.
    send(0..LARGE_BYTES);
    send(0..0);
    send(0..LARGE_BYTES);
    port.abort(socket).expect("a live socket");
    port.handler().wait_for_farewell(socket).expect_err("an abort");
    drops.wait_for("every drop", 5);
    assert_eq!((drops.count(), Arc::strong_count(&bytes)), (5, 1));
}

/// Its bytes move when it does, but in a send buffer it stays where it is.
struct Inline([u8; 300]);

impl AsRef<[u8]> for Inline {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// More aligned than what is around it.
#[repr(align(64))]
struct Aligned([u8; 64]);

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        assert_eq!(self.0.as_ptr().addr() % 64, 0);
        &self.0[1..]
    }
}

fn an_owner_has_its_bytes_within_itself(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.send(socket, vec![7; LARGE_BYTES], 0).expect("a live socket");
    for write in 1..200 {
        let buffer = SendBuffer::from_owner(Inline([write as u8; 300])).unwrap_or_else(|_| panic!("no memory"));
        let moved = Box::new([buffer]);
        let [buffer] = *moved;
        if write % 3 == 0 {
            port.send_vectored(socket, [SendBuffer::default(), buffer], write).expect("a live socket");
        } else {
            port.send(socket, buffer, write).expect("a live socket");
        }
    }
    let buffer = SendBuffer::from_owner(Aligned([b'a'; 64])).unwrap_or_else(|_| panic!("no memory"));
    port.send(socket, buffer, 200).expect("a live socket");
    client.read_exact(LARGE_BYTES).expect("the bytes");
    for write in 1..200_u8 {
        assert_eq!(client.read_exact(300).expect("the bytes"), [write; 300]);
    }
    assert_eq!(client.read_exact(63).expect("the bytes"), [b'a'; 63]);
    wait_for_sends(&port, 201);
}

/// Has no bytes to give.
struct Panics(Arc<Gate>);

impl AsRef<[u8]> for Panics {
    fn as_ref(&self) -> &[u8] {
        panic!("expected by the test")
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.0.pass();
    }
}

fn what_is_refused_comes_back(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _client) = added(lab, &port);
    let drops = Arc::new(Gate::new());
    let part = Part { bytes: Arc::from(&b"abc"[..]), range: 1..3, drops: drops.clone() };
    let buffer = SendBuffer::from_owner(part).unwrap_or_else(|_| panic!("no memory"));
    port.abort(socket).expect("a live socket");
    port.handler().wait_for_farewell(socket).expect_err("an abort");
    let rejected = port.send(socket, buffer, 5).expect_err("a dead handle");
    assert_eq!((rejected.error.code(), rejected.buffer.as_slice()), (ErrorCode::Closed, Some(&b"bc"[..])));
    assert_eq!(drops.count(), 0);
    drop(rejected);
    assert_eq!(drops.count(), 1);
    // A panic of the owner's is its caller's, and the owner is dropped.
    let panics = Panics(drops.clone());
    assert!(panic::catch_unwind(AssertUnwindSafe(|| SendBuffer::from_owner(panics).is_ok())).is_err());
    assert_eq!(drops.count(), 2);
}
