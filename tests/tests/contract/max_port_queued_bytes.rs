//! The limit of bytes queued in the whole port: what would exceed it is refused, and nothing of it is queued.
//! (`Options::max_port_queued_bytes`.)

use socket_iocp::{ErrorCode, Port, PortHandle, Rejected, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

on_every_backend!(
    it_counts_the_async_sends_of_all_sockets,
    what_the_socket_refuses_does_not_count,
    it_comes_before_the_limits_of_the_socket,
    a_socket_that_ends_gives_its_bytes_back,
    refused_connections_give_theirs_back,
    the_count_is_exact_from_any_thread,
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

fn wait_for_sends(port: &PortHandle<Probe>, count: usize) {
    port.handler().wait_for_count("the sends", count, |event| matches!(event, Event::Sent { .. }));
}

fn it_counts_the_async_sends_of_all_sockets(lab: &Lab) {
    let limit = LARGE_BYTES + 3;
    let port = Port::new(Probe::silent(), lab.options().max_port_queued_bytes(limit)).expect("a port");
    let (first, mut first_client) = added(lab, &port);
    let (second, mut second_client) = added(lab, &port);
    assert_eq!(code(port.send(first, vec![7; LARGE_BYTES + 4], 0)), Err(ErrorCode::Limit));
    port.send(first, vec![7; LARGE_BYTES], 1).expect("the first");
    // Each round takes all the room that is left, and gives it back with its callback.
    for round in 1..=10 {
        assert_eq!(code(port.send(second, b"more", 2)), Err(ErrorCode::Limit));
        port.send(second, b"xyz", 3).expect("just the limit");
        assert_eq!(second_client.read_exact(3).expect("the bytes"), b"xyz", "nothing of the refused ones");
        wait_for_sends(&port, round);
    }
    port.sync_send(second, b"sync", 4).expect("a sync send counts for nothing");
    port.send(second, b"", 5).expect("no bytes");
    assert_eq!(second_client.read_exact(4).expect("the bytes"), b"sync");
    first_client.read_exact(LARGE_BYTES).expect("the bytes");
    wait_for_sends(&port, 13);
    port.send(second, vec![8; limit], 6).expect("all the room again");
    assert_eq!(second_client.read_exact(limit).expect("the bytes")[0], 8);
}

fn what_the_socket_refuses_does_not_count(lab: &Lab) {
    let options = lab.options().max_queued_sends(2).max_queued_bytes(LARGE_BYTES as u32 + 10);
    let port = Port::new(Probe::silent(), options.max_port_queued_bytes(LARGE_BYTES + 100)).expect("a port");
    let (full, _full_client) = added(lab, &port);
    let (other, mut client) = added(lab, &port);
    port.send(full, vec![7; LARGE_BYTES], 1).expect("the first");
    for _ in 0..5 {
        assert_eq!(code(port.send(full, &[7; 50], 2)), Err(ErrorCode::QueueFull), "for its bytes");
    }
    port.send(full, b"x", 2).expect("the second");
    for _ in 0..5 {
        assert_eq!(code(port.send(full, &[7; 5], 2)), Err(ErrorCode::QueueFull), "for its number");
    }
    port.send(other, &[7; 99], 3).expect("all that is left of the port's room");
    client.read_exact(99).expect("the bytes");
    port.shutdown_send(other).expect("an open socket");
    assert_eq!(code(port.send(other, &[7; 99], 4)), Err(ErrorCode::Shutdown));
}

fn it_comes_before_the_limits_of_the_socket(lab: &Lab) {
    let options = lab.options().max_queued_bytes(10).max_port_queued_bytes(20);
    let port = Port::new(Probe::silent(), options).expect("a port");
    let (socket, _client) = added(lab, &port);
    assert_eq!(code(port.send(socket, &[7; 21], 1)), Err(ErrorCode::Limit));
    assert_eq!(code(port.send(socket, &[7; 20], 1)), Err(ErrorCode::QueueFull));
    let rejected = port.send(socket, [1, 2, 3].repeat(7), 42).expect_err("more than the port takes");
    assert_eq!((rejected.write, rejected.buffer.len()), (42, 21), "everything comes back");
}

fn a_socket_that_ends_gives_its_bytes_back(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_port_queued_bytes(LARGE_BYTES)).expect("a port");
    for _ in 0..4 {
        let (socket, _client) = added(lab, &port);
        port.send(socket, vec![7; LARGE_BYTES], 1).expect("all the room");
        assert_eq!(code(port.send(socket, b"x", 2)), Err(ErrorCode::Limit));
        port.abort(socket).expect("an open socket");
        port.handler().wait_for_farewell(socket).expect_err("an abort");
    }
}

fn refused_connections_give_theirs_back(lab: &Lab) {
    let probe = Probe::reacting(|_, context, event| {
        let (Some(context), Event::Accepted { .. }) = (context, event) else { return None };
        context.send(vec![7; 100], 1).expect("all the room");
        None
    });
    let port = Port::new(probe, lab.options().max_port_queued_bytes(100)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 1, 0).expect("a listener");
    for _ in 0..10 {
        let mut client = lab.connect(address);
        let _ = client.read_to_end();
    }
    let (socket, mut client) = added(lab, &port);
    // The last one's end is seen before its bytes are given back.
    while code(port.send(socket, &[8; 100], 2)) == Err(ErrorCode::Limit) {
        thread::yield_now();
    }
    assert_eq!(client.read_exact(100).expect("the bytes"), [8; 100]);
}

fn the_count_is_exact_from_any_thread(lab: &Lab) {
    const THREADS: usize = 3;
    const ROOM: usize = 10_000;
    let limit = 2 * LARGE_BYTES + ROOM;
    let port = Port::new(Probe::silent(), lab.options().max_port_queued_bytes(limit)).expect("a port");
    let sockets = [(); 2].map(|()| added(lab, &port));
    for (socket, _) in &sockets {
        port.send(*socket, vec![7; LARGE_BYTES], 0).expect("what holds the others up");
    }
    let accepted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (port, sockets, accepted) = (&port, &sockets, &accepted);
            scope.spawn(move || {
                let mut turn = thread;
                while code(port.send(sockets[turn % 2].0, b"x", 1)).is_ok() {
                    accepted.fetch_add(1, Ordering::Relaxed);
                    turn += 1;
                }
            });
        }
    });
    assert_eq!(accepted.into_inner(), ROOM);
}
