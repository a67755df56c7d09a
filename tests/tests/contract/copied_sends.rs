//! A send of a copy: the bytes are the caller's again when the call returns; in all else it is an async send like another.

use socket_iocp::{
    Context, Error, ErrorCode, Farewell, Handler, Port, PortHandle, ReadBuffer, SendBuffer, Sent, SocketHandle,
};
use socket_iocp_testkit::{BOUND, Client, Event, Lab, Probe, on_every_backend};
use std::sync::mpsc::{self, Sender};

on_every_backend!(
    the_bytes_are_the_callers_at_once,
    what_is_refused_leaves_nothing,
    those_outstanding_at_the_end_are_reported,
    a_copy_that_comes_back_is_sent_again,
    writes_of_every_alignment,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

fn added<H: Handler<Socket = S>, S>(lab: &Lab, port: &PortHandle<H>, state: S) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, state).map_err(|refused| refused.error).expect("a connected socket"), client)
}

/// The writes and bytes of the sends reported, all of them successes.
fn wait_for_sends(port: &PortHandle<Probe>, count: usize) -> Vec<(u64, usize)> {
    let sends = port.handler().wait_for_count("the sends", count, |event| matches!(event, Event::Sent { .. }));
    let one = |event: &Event| match event {
        Event::Sent { write, result: Ok(()), bytes, .. } => (*write, *bytes),
        other => panic!("{other:?}"),
    };
    sends.iter().map(one).collect()
}

fn the_bytes_are_the_callers_at_once(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    // What follows waits in the queue, since nobody reads.
    port.send(socket, vec![7; LARGE_BYTES], 0).expect("a live socket");
    let mut bytes = [0; 300];
    let (mut expected, mut reports) = (Vec::new(), vec![(0, LARGE_BYTES)]);
    for write in 1..=400_u64 {
        let len = write as usize % (bytes.len() + 1);
        bytes[..len].fill(write as u8);
        if write.is_multiple_of(5) {
            port.send(socket, bytes[..len].to_vec(), write).expect("a live socket");
        } else {
            port.send_copy(socket, &bytes[..len], write).expect("a live socket");
        }
        expected.extend_from_slice(&bytes[..len]);
        reports.push((write, len));
    }
    bytes.fill(0);
    assert_eq!(client.read_exact(LARGE_BYTES).expect("the bytes")[0], 7);
    assert!(client.read_exact(expected.len()).expect("the bytes") == expected, "each as it was when it was issued");
    assert_eq!(wait_for_sends(&port, reports.len()), reports);
}

fn what_is_refused_leaves_nothing(lab: &Lab) {
    let limit = LARGE_BYTES as u32 + 2;
    let port = Port::new(Probe::silent(), lab.options().max_queued_bytes(limit)).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    let refusal = |bytes: &[u8], write| {
        let rejected = port.send_copy(socket, bytes, write).expect_err("a refusal");
        assert_eq!(rejected.write, write);
        rejected.error.code()
    };
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    assert_eq!(refusal(b"abc", 2), ErrorCode::QueueFull);
    port.send_copy(socket, b"de", 3).expect("just the limit");
    assert_eq!(refusal(b"f", 4), ErrorCode::QueueFull);
    assert_eq!(client.read_exact(LARGE_BYTES + 2).expect("the bytes")[LARGE_BYTES..], *b"de");
    assert_eq!(wait_for_sends(&port, 2), [(1, LARGE_BYTES), (3, 2)]);
    port.send_copy(socket, b"gh", 5).expect("room again");
    assert_eq!(client.read_exact(2).expect("the bytes"), b"gh");
    port.shutdown_send(socket).expect("a live socket");
    assert_eq!(refusal(b"i", 6), ErrorCode::Shutdown);
    port.abort(socket).expect("a live socket");
    port.handler().wait_for_farewell(socket).expect_err("an abort");
    assert_eq!(refusal(b"j", 7), ErrorCode::Closed);
    assert_eq!(wait_for_sends(&port, 3).len(), 3, "nothing of the refused ones");
}

fn those_outstanding_at_the_end_are_reported(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _client) = added(lab, &port, 1);
    port.send(socket, vec![7; LARGE_BYTES], 0).expect("a live socket");
    for write in 1..=50 {
        port.send_copy(socket, b"never sent", write).expect("a live socket");
    }
    port.abort(socket).expect("a live socket");
    let (_, before) = port.handler().wait_for_end(socket);
    let sends: Vec<(u64, Result<(), ErrorCode>)> = before
        .iter()
        .filter_map(Event::sent)
        .map(|(write, result)| (write, result.map_err(|error| error.code())))
        .collect();
    assert_eq!(sends, (0..=50).map(|write| (write, Err(ErrorCode::Cancelled))).collect::<Vec<_>>());
}

/// Sends what comes back from a send again, as often as its write says.
struct Again(Sender<(SendBuffer, u64)>);

impl Handler for Again {
    type Listener = ();
    type Socket = ();
    type Write = u64;

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        None
    }

    fn recv(&self, _: &Context<'_, Self>, _: &mut (), _: Result<ReadBuffer, Error>) {}

    fn send(&self, context: &Context<'_, Self>, _: &mut (), sent: Sent<u64>) {
        if sent.write == 0 {
            let _ = self.0.send((sent.buffer, sent.write));
        } else {
            context.send(sent.buffer, sent.write - 1).expect("a live socket");
        }
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

fn a_copy_that_comes_back_is_sent_again(lab: &Lab) {
    let (sender, last) = mpsc::channel();
    let port = Port::new(Again(sender), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, ());
    port.send_copy(socket, b"again", 99).expect("a live socket");
    assert_eq!(client.read_exact(500).expect("the bytes"), b"again".repeat(100));
    let (buffer, _) = last.recv_timeout(BOUND).expect("the last report");
    assert_eq!(buffer.as_slice(), Some(&b"again"[..]));
    // Also by a sync send, and after that by an async one.
    port.sync_send(socket, buffer, 1).expect("none is outstanding");
    assert_eq!(client.read_exact(10).expect("the bytes"), b"againagain");
    let (buffer, _) = last.recv_timeout(BOUND).expect("the last report");
    port.delete();
    assert_eq!(buffer.as_slice(), Some(&b"again"[..]), "it outlives the port");
}

/// A handler with a write state of its own.
struct Writes<W>(Sender<W>);

impl<W: Send + 'static> Handler for Writes<W> {
    type Listener = ();
    type Socket = ();
    type Write = W;

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        None
    }

    fn recv(&self, _: &Context<'_, Self>, _: &mut (), _: Result<ReadBuffer, Error>) {}

    fn send(&self, _: &Context<'_, Self>, _: &mut (), sent: Sent<W>) {
        assert_eq!((sent.result, sent.bytes, sent.buffer.as_slice()), (Ok(()), 3, Some(&b"abc"[..])));
        let _ = self.0.send(sent.write);
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

fn writes_of_every_alignment(lab: &Lab) {
    fn with<W: Send + PartialEq + std::fmt::Debug + 'static>(lab: &Lab, write: W) {
        let (sender, writes) = mpsc::channel();
        let port = Port::new(Writes::<W>(sender), lab.options()).expect("a port");
        let (socket, mut client) = added(lab, &port, ());
        port.send_copy(socket, b"abc", write).map_err(|rejected| rejected.error).expect("a live socket");
        assert_eq!(client.read_exact(3).expect("the bytes"), b"abc");
        assert!(writes.recv_timeout(BOUND).is_ok());
    }
    with(lab, ());
    with(lab, 1_u8);
    with(lab, [1_u64; 9]);
    with(lab, 1_u128);
    with(lab, String::from("a write"));
}
