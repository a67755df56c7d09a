//! The read buffer is an owned value: kept, sent to another thread, sent back without a copy on its own socket or on
//! another, and good after its port is gone.

use socket_iocp::{Context, Error, Farewell, Handler, Port, PortHandle, ReadBuffer, Sent, SocketHandle};
use socket_iocp_testkit::{BOUND, Client, Lab, on_every_backend};
use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

on_every_backend!(
    it_can_be_kept_while_others_come,
    it_is_sent_back_without_a_copy,
    it_is_sent_on_another_socket_without_a_copy,
    it_can_be_changed_on_another_thread,
    it_outlives_the_port,
);

/// Gives every read buffer and every buffer sent to the test.
struct Giver {
    received: Sender<ReadBuffer>,
    sent: Sender<(usize, Option<ReadBuffer>)>,
}

type Got = (Receiver<ReadBuffer>, Receiver<(usize, Option<ReadBuffer>)>);

fn giver() -> (Giver, Got) {
    let (received, receiver) = mpsc::channel();
    let (sent, sent_receiver) = mpsc::channel();
    (Giver { received, sent }, (receiver, sent_receiver))
}

impl Handler for Giver {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        unreachable!("nobody listens")
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut (), received: Result<ReadBuffer, Error>) {
        let buffer = received.expect("no recv is cancelled by itself");
        if !buffer.is_empty() {
            context.recv().expect("a live socket");
        }
        // The test may be over.
        let _ = self.received.send(buffer);
    }

    fn send(&self, _: &Context<'_, Self>, _: &mut (), sent: Sent<()>) {
        sent.result.expect("the peer reads");
        let _ = self.sent.send((sent.bytes, sent.buffer.into_read_buffer().ok()));
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

fn receiving(lab: &Lab, port: &PortHandle<Giver>) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    let socket = port.add_connected(socket, ()).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    (socket, client)
}

/// Sends a message and returns the read buffer that it comes in. At most 64 bytes: they are never cut.
fn exchange(client: &mut Client, buffers: &Receiver<ReadBuffer>, message: &[u8]) -> ReadBuffer {
    client.write_all(message).expect("a live connection");
    buffers.recv_timeout(BOUND).expect("a recv")
}

fn it_can_be_kept_while_others_come(lab: &Lab) {
    let (giver, (buffers, _)) = giver();
    let port = Port::new(giver, lab.options()).expect("a port");
    let (_socket, mut client) = receiving(lab, &port);
    // More than any pool holds ready at first.
    let kept: Vec<ReadBuffer> = (0..2_000u32).map(|round| exchange(&mut client, &buffers, &[round as u8])).collect();
    let places: HashSet<*const u8> = kept.iter().map(|buffer| buffer.as_ptr()).collect();
    assert_eq!(places.len(), kept.len(), "two of them lie in the same place");
    for (round, buffer) in kept.iter().enumerate() {
        assert_eq!(**buffer, [round as u8]);
    }
    drop(kept);
    assert_eq!(*exchange(&mut client, &buffers, b"z"), *b"z");
}

fn it_is_sent_back_without_a_copy(lab: &Lab) {
    let (giver, (buffers, sends)) = giver();
    let port = Port::new(giver, lab.options()).expect("a port");
    let (socket, mut client) = receiving(lab, &port);
    for round in 0..100u8 {
        let buffer = exchange(&mut client, &buffers, &[round]);
        let place = buffer.as_ptr();
        if round % 2 == 0 {
            port.send(socket, buffer, ()).expect("a live socket");
        } else {
            port.sync_send(socket, buffer, ()).expect("no other sync send");
        }
        assert_eq!(client.read_exact(1).expect("the byte"), [round]);
        let (bytes, back) = sends.recv_timeout(BOUND).expect("a send");
        let back = back.expect("the buffer given");
        assert_eq!((bytes, back.as_ptr(), &*back), (1, place, &[round][..]));
    }
}

fn it_is_sent_on_another_socket_without_a_copy(lab: &Lab) {
    let (giver, (buffers, sends)) = giver();
    let port = Port::new(giver, lab.options()).expect("a port");
    // They are on different workers: sockets are spread evenly.
    let (_first, mut first_client) = receiving(lab, &port);
    let (second, mut second_client) = receiving(lab, &port);
    for round in 0..100u8 {
        let buffer = exchange(&mut first_client, &buffers, &[round]);
        let place = buffer.as_ptr();
        port.send(second, buffer, ()).expect("a live socket");
        assert_eq!(second_client.read_exact(1).expect("the byte"), [round]);
        let (_, back) = sends.recv_timeout(BOUND).expect("a send");
        assert_eq!(back.expect("the buffer given").as_ptr(), place);
    }
}

fn it_can_be_changed_on_another_thread(lab: &Lab) {
    let (giver, (buffers, _sends)) = giver();
    let port = Port::new(giver, lab.options()).expect("a port");
    let (socket, mut client) = receiving(lab, &port);
    let mut buffer = exchange(&mut client, &buffers, b"0123456789");
    // What came in pieces is not this test's matter.
    let len = buffer.len();
    let handle = PortHandle::clone(&port);
    let changer = thread::spawn(move || {
        buffer.make_ascii_lowercase();
        buffer.iter_mut().for_each(|byte| *byte += 1);
        buffer.truncate(4);
        assert!(buffer.len() <= 4);
        handle.send(socket, buffer, ()).expect("a live socket");
    });
    changer.join().expect("no panic");
    let expected = &b"1234"[..len.min(4)];
    assert_eq!(client.read_exact(expected.len()).expect("the bytes"), expected);
}

fn it_outlives_the_port(lab: &Lab) {
    let (giver, (buffers, _sends)) = giver();
    let port = Port::new(giver, lab.options()).expect("a port");
    let (_socket, mut client) = receiving(lab, &port);
    let first = exchange(&mut client, &buffers, b"a");
    let mut second = exchange(&mut client, &buffers, b"b");
    port.delete();
    assert_eq!((&*first, &*second), (&b"a"[..], &b"b"[..]));
    second[0] = b'c';
    // Dropped on another thread, as the first is here; and a buffer of one port goes into another one.
    thread::spawn(move || drop(first)).join().expect("no panic");
    let (giver, (_, sends)) = self::giver();
    let port = Port::new(giver, lab.options()).expect("another port");
    let (socket, mut client) = receiving(lab, &port);
    port.send(socket, second, ()).expect("a live socket");
    assert_eq!(client.read_exact(1).expect("the byte"), b"c");
    let (_, back) = sends.recv_timeout(BOUND).expect("a send");
    assert_eq!(*back.expect("the buffer given"), *b"c");
}
