//! What an issue call for a send refuses: nothing is queued then, and everything comes back.

use socket_iocp::{Context, ErrorCode, Port, PortHandle, Rejected, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::mpsc;

on_every_backend!(
    a_second_sync_send_is_busy,
    async_sends_are_without_limit_meanwhile,
    a_full_queue_refuses_and_goes_on,
    the_queue_limit_counts_async_sends_of_one_socket,
    the_limit_of_bytes_counts_whole_sends_until_their_callbacks,
    both_limits_hold_together,
    a_rejected_send_gives_everything_back,
    a_sync_send_in_its_own_callback_is_not_busy,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

fn added(lab: &Lab, port: &PortHandle<Probe>) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, 1).expect("a connected socket"), client)
}

fn code(result: Result<(), Rejected<u64>>) -> Result<(), ErrorCode> {
    result.map_err(|rejected| rejected.error.code())
}

fn wait_for_sends(port: &PortHandle<Probe>, count: usize) -> Vec<u64> {
    let sends = port.handler().wait_for_count("the sends", count, |event| matches!(event, Event::Sent { .. }));
    assert_eq!(sends.len(), count, "more reports than sends");
    sends
        .iter()
        .filter_map(Event::sent)
        .map(|(write, result)| result.map(|()| write).expect("the peer reads"))
        .collect()
}

fn a_second_sync_send_is_busy(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.sync_send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    for _ in 0..3 {
        assert_eq!(code(port.sync_send(socket, b"x", 2)), Err(ErrorCode::Busy));
    }
    client.read_exact(LARGE_BYTES).expect("the bytes");
    assert_eq!(wait_for_sends(&port, 1), [1]);
    port.sync_send(socket, b"y", 3).expect("none is outstanding");
    assert_eq!(client.read_exact(1).expect("the byte"), b"y", "nothing of the refused ones");
}

fn async_sends_are_without_limit_meanwhile(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.sync_send(socket, vec![7; LARGE_BYTES], 0).expect("the first");
    for write in 1..=1_000 {
        port.send(socket, b"x", write).expect("any number of async sends");
    }
    assert_eq!(code(port.sync_send(socket, b"x", 2)), Err(ErrorCode::Busy));
    client.read_exact(LARGE_BYTES + 1_000).expect("the bytes");
    assert_eq!(wait_for_sends(&port, 1_001), (0..=1_000).collect::<Vec<u64>>());
}

fn a_full_queue_refuses_and_goes_on(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_queued_sends(4)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    for write in 2..=4 {
        port.send(socket, b"x", write).expect("up to the limit");
    }
    for _ in 0..3 {
        assert_eq!(code(port.send(socket, b"y", 5)), Err(ErrorCode::QueueFull));
    }
    client.read_exact(LARGE_BYTES + 3).expect("the bytes");
    assert_eq!(wait_for_sends(&port, 4), [1, 2, 3, 4]);
    // Each report makes room for one more.
    for write in 5..50 {
        port.send(socket, b"z", write).expect("there is room again");
        assert_eq!(client.read_exact(1).expect("the byte"), b"z", "nothing of the refused ones");
        wait_for_sends(&port, write as usize);
    }
}

fn the_queue_limit_counts_async_sends_of_one_socket(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_queued_sends(1)).expect("a port");
    let (full, _full_client) = added(lab, &port);
    let (other, mut client) = added(lab, &port);
    port.send(full, vec![7; LARGE_BYTES], 1).expect("the first");
    assert_eq!(code(port.send(full, b"x", 2)), Err(ErrorCode::QueueFull));
    port.send(other, b"x", 3).expect("another socket's queue");
    assert_eq!(client.read_exact(1).expect("the byte"), b"x");
    // The room of a socket that has ended is not taken from the next one in its slot.
    port.abort(full).expect("a live socket");
    port.handler().wait_for_farewell(full).expect_err("an abort");
    for _ in 0..4 {
        let (socket, mut client) = added(lab, &port);
        port.send(socket, b"y", 4).expect("a queue of its own");
        assert_eq!(client.read_exact(1).expect("the byte"), b"y");
    }
}

fn the_limit_of_bytes_counts_whole_sends_until_their_callbacks(lab: &Lab) {
    let limit = LARGE_BYTES as u32 + 3;
    let port = Port::new(Probe::silent(), lab.options().max_queued_bytes(limit)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    assert_eq!(code(port.send(socket, vec![7; LARGE_BYTES + 4], 0)), Err(ErrorCode::QueueFull));
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    port.send(socket, b"xy", 2).expect("up to the limit");
    assert_eq!(code(port.send(socket, b"no", 3)), Err(ErrorCode::QueueFull));
    port.send(socket, b"z", 4).expect("just the limit");
    port.send(socket, b"", 5).expect("no bytes");
    assert_eq!(code(port.send(socket, b"n", 6)), Err(ErrorCode::QueueFull));
    // Only async sends are queued in any number.
    port.sync_send(socket, b"sync", 7).expect("a sync send counts for nothing");
    assert_eq!(client.read_exact(LARGE_BYTES + 7).expect("the bytes")[LARGE_BYTES..], *b"xyzsync");
    assert_eq!(wait_for_sends(&port, 5), [1, 2, 4, 5, 7]);
    port.send(socket, vec![8; LARGE_BYTES + 3], 8).expect("all the room again");
    assert_eq!(client.read_exact(LARGE_BYTES + 3).expect("the bytes")[0], 8);
    assert_eq!(wait_for_sends(&port, 6), [1, 2, 4, 5, 7, 8]);
}

fn both_limits_hold_together(lab: &Lab) {
    let options = lab.options().max_queued_sends(2).max_queued_bytes(LARGE_BYTES as u32 + 1);
    let port = Port::new(Probe::silent(), options).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    // What the limit of bytes refuses leaves no trace in the count of sends.
    for _ in 0..3 {
        assert_eq!(code(port.send(socket, b"no", 2)), Err(ErrorCode::QueueFull));
    }
    port.send(socket, b"x", 3).expect("the second");
    assert_eq!(code(port.send(socket, b"", 4)), Err(ErrorCode::QueueFull));
    assert_eq!(client.read_exact(LARGE_BYTES + 1).expect("the bytes")[LARGE_BYTES], b'x');
    assert_eq!(wait_for_sends(&port, 2), [1, 3]);
    // Nor the other way round.
    for write in 5..20 {
        port.send(socket, vec![8; LARGE_BYTES / 2], write).expect("room again");
        assert_eq!(client.read_exact(LARGE_BYTES / 2).expect("the bytes")[0], 8);
        wait_for_sends(&port, write as usize - 2);
    }
}

fn a_rejected_send_gives_everything_back(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_queued_sends(1)).expect("a port");
    let (socket, _client) = added(lab, &port);
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    let bytes = vec![1, 2, 3];
    let place = bytes.as_ptr();
    let rejected = port.send(socket, bytes, 42).expect_err("the queue is full");
    assert_eq!((rejected.error.code(), rejected.write), (ErrorCode::QueueFull, 42));
    let bytes = rejected.buffer.into_vec().expect("the vector given");
    port.shutdown_send(socket).expect("a live socket");
    let rejected = port.sync_send(socket, bytes, 43).expect_err("the sending side is shut down");
    assert_eq!((rejected.error.code(), rejected.write), (ErrorCode::Shutdown, 43));
    let bytes = rejected.buffer.into_vec().expect("the vector given");
    port.abort(socket).expect("a live socket");
    let rejected = port.send(socket, bytes, 44).expect_err("the socket has ended");
    assert_eq!((rejected.error.code(), rejected.write), (ErrorCode::Closed, 44));
    let bytes = rejected.buffer.into_vec().expect("the vector given");
    assert_eq!((bytes.as_slice(), bytes.as_ptr()), (&[1, 2, 3][..], place), "not even copied");
    // Nothing of the refused ones is ever reported.
    let (_, before) = port.handler().wait_for_end(socket);
    assert_eq!(before.iter().filter_map(Event::sent).map(|(write, _)| write).collect::<Vec<_>>(), [1]);
}

fn a_sync_send_in_its_own_callback_is_not_busy(lab: &Lab) {
    let (sender, answers) = mpsc::channel();
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        if let (Some(context), Event::Sent { write: 1, .. }) = (context, event) {
            let both = [code(context.sync_send(b"b", 2)), code(context.sync_send(b"c", 3))];
            sender.send(both).expect("the test waits");
        }
        None
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.sync_send(socket, b"a", 1).expect("the first");
    assert_eq!(client.read_exact(2).expect("the bytes"), b"ab");
    assert_eq!(wait_for_sends(&port, 2), [1, 2]);
    assert_eq!(answers.try_recv().expect("a callback"), [Ok(()), Err(ErrorCode::Busy)]);
}
