//! The bytes queued on a socket, and the marks that they cross. (`Options::high_watermark`, `PortHandle::queued_bytes`.)

use socket_iocp::{ErrorCode, Options, Port, PortHandle, SocketHandle, Watermark};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::thread;

on_every_backend!(
    each_comes_once_a_crossing_and_in_order,
    what_a_send_callback_queues_again_is_not_told,
    they_come_for_sends_of_other_threads,
    a_send_in_the_accept_callback_crosses_after_it,
    a_socket_that_takes_no_sends_crosses_none,
    queued_bytes_are_whole_sends_until_their_callbacks,
    queued_bytes_are_of_a_live_socket_of_a_port_that_counts,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;
const HIGH: u32 = LARGE_BYTES as u32 + 100;
const LOW: u32 = 50;

fn with_marks(lab: &Lab) -> Options {
    lab.options().high_watermark(HIGH).low_watermark(LOW)
}

fn added(lab: &Lab, port: &PortHandle<Probe>) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, 1).expect("a connected socket"), client)
}

/// What one socket was told, in short: the numbers of its sends, and marks.
fn told(port: &PortHandle<Probe>, socket: SocketHandle) -> Vec<String> {
    let short = |event: &Event| match event {
        Event::Sent { write, result: Ok(()), .. } => write.to_string(),
        Event::Sent { .. } => "failed".into(),
        Event::Watermark { mark, .. } => format!("{mark:?}"),
        Event::Accepted { .. } => "accepted".into(),
        Event::Farewell { .. } => "farewell".into(),
        other => panic!("{other:?}"),
    };
    port.handler().history(socket).iter().map(short).collect()
}

fn wait_for_marks(port: &PortHandle<Probe>, count: usize) {
    port.handler().wait_for_count("the marks", count, |event| matches!(event, Event::Watermark { .. }));
}

fn wait_for_sends(port: &PortHandle<Probe>, count: usize) {
    port.handler().wait_for_count("the sends", count, |event| matches!(event, Event::Sent { .. }));
}

fn each_comes_once_a_crossing_and_in_order(lab: &Lab) {
    let port = Port::new(Probe::silent(), with_marks(lab)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    let mut expected = Vec::new();
    for round in 1..=3 {
        port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
        port.send(socket, &[8; 100], 2).expect("just the high mark");
        port.send(socket, b"x", 3).expect("above it");
        wait_for_marks(&port, 2 * round - 1);
        port.send(socket, &[9; 40], 4).expect("still above it");
        client.read_exact(LARGE_BYTES + 141).expect("the bytes");
        wait_for_sends(&port, 4 * round);
        // 41 bytes are left when the second is reported.
        expected.extend(["High", "1", "2", "Low", "3", "4"]);
        assert_eq!(told(&port, socket), expected);
    }
}

fn what_a_send_callback_queues_again_is_not_told(lab: &Lab) {
    const ROUNDS: u64 = 5;
    let probe = Probe::reacting(|_, context, event| {
        if let (Some(context), Event::Sent { write: 1..ROUNDS, .. }) = (context, event) {
            let Event::Sent { write, .. } = event else { return None };
            context.send(vec![7; LARGE_BYTES + 101], write + 1).expect("an open socket");
        }
        Some(0)
    });
    let port = Port::new(probe, with_marks(lab)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.send(socket, vec![7; LARGE_BYTES + 101], 1).expect("the first");
    for _ in 0..ROUNDS {
        client.read_exact(LARGE_BYTES + 101).expect("the bytes");
    }
    wait_for_marks(&port, 2);
    assert_eq!(told(&port, socket), ["High", "1", "2", "3", "4", "5", "Low"]);
}

fn they_come_for_sends_of_other_threads(lab: &Lab) {
    const THREADS: usize = 3;
    const SENDS: usize = 2_000;
    let port = Port::new(Probe::silent(), lab.options().high_watermark(40).low_watermark(10)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for write in 0..SENDS as u64 {
                    port.send(socket, &[7; 9], write).expect("an open socket");
                }
            });
        }
        client.read_exact(THREADS * SENDS * 9).expect("the bytes");
    });
    wait_for_sends(&port, THREADS * SENDS);
    let turns = |log: &[Event]| {
        let mark = |event: &Event| if let Event::Watermark { mark, .. } = event { Some(*mark) } else { None };
        log.iter().filter_map(mark).collect::<Vec<_>>()
    };
    // Nothing is left, so the last was low, if there was any.
    let marks = port.handler().wait_for("an even number of marks", |log| {
        let marks = turns(log);
        marks.len().is_multiple_of(2).then_some(marks)
    });
    let expected = [Watermark::High, Watermark::Low].into_iter().cycle().take(marks.len());
    assert_eq!(marks, expected.collect::<Vec<_>>());
    assert_eq!(port.queued_bytes(socket), Ok(0));
}

fn a_send_in_the_accept_callback_crosses_after_it(lab: &Lab) {
    let probe = Probe::reacting(|_, context, event| {
        if let (Some(context), Event::Accepted { .. }) = (context, event) {
            context.send(vec![7; LARGE_BYTES + 101], 1).expect("a new socket");
        }
        Some(0)
    });
    let port = Port::new(probe, with_marks(lab)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 8, 0).expect("a listener");
    let mut client = lab.connect(address);
    client.read_exact(LARGE_BYTES + 101).expect("the bytes");
    wait_for_marks(&port, 2);
    let socket = port.handler().wait_for_accept(0);
    assert_eq!(told(&port, socket), ["accepted", "High", "1", "Low"]);
}

fn a_socket_that_takes_no_sends_crosses_none(lab: &Lab) {
    type End = fn(&PortHandle<Probe>, SocketHandle) -> Result<(), socket_iocp::Error>;
    let ends: [End; 3] = [PortHandle::shutdown_send, PortHandle::close, PortHandle::abort];
    for (number, end) in ends.into_iter().enumerate() {
        let port = Port::new(Probe::silent(), with_marks(lab)).expect("a port");
        let (socket, mut client) = added(lab, &port);
        port.send(socket, vec![7; LARGE_BYTES + 101], 1).expect("the first");
        wait_for_marks(&port, 1);
        end(&port, socket).expect("an open socket");
        // After an abort a reset, else every byte.
        let _ = client.read_to_end();
        drop(client);
        if number == 0 {
            wait_for_sends(&port, 1);
            port.abort(socket).expect("a socket that is open the other way");
        }
        let _ = port.handler().wait_for_farewell(socket);
        let marks = told(&port, socket).into_iter().filter(|told| told == "Low" || told == "High");
        assert_eq!(marks.collect::<Vec<_>>(), ["High"], "ending {number}");
    }
}

fn queued_bytes_are_whole_sends_until_their_callbacks(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_queued_bytes(u32::MAX - 1)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    assert_eq!(port.queued_bytes(socket), Ok(0));
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    client.read_exact(1000).expect("some of it");
    port.send(socket, b"four", 2).expect("the second");
    port.sync_send(socket, b"not counted", 3).expect("a sync send");
    assert_eq!(port.queued_bytes(socket), Ok(LARGE_BYTES + 4));
    client.read_exact(LARGE_BYTES - 1000 + 15).expect("the rest");
    wait_for_sends(&port, 3);
    assert_eq!(port.queued_bytes(socket), Ok(0));
}

fn queued_bytes_are_of_a_live_socket_of_a_port_that_counts(lab: &Lab) {
    let plain = Port::new(Probe::silent(), lab.options()).expect("a port");
    let counting = Port::new(Probe::silent(), lab.options().high_watermark(1)).expect("a port");
    let code = |port: &PortHandle<Probe>, socket| port.queued_bytes(socket).map_err(|error| error.code());
    let (uncounted, _uncounted_client) = added(lab, &plain);
    let (socket, _client) = added(lab, &counting);
    assert_eq!(code(&plain, uncounted), Err(ErrorCode::Unsupported));
    assert_eq!(code(&plain, socket), Err(ErrorCode::WrongPort));
    assert_eq!(code(&counting, socket), Ok(0));
    counting.abort(socket).expect("an open socket");
    counting.handler().wait_for_farewell(socket).expect_err("an abort");
    // The handle is dead when its farewell has returned.
    while code(&counting, socket) == Ok(0) {
        thread::yield_now();
    }
    assert_eq!(code(&counting, socket), Err(ErrorCode::Closed));
    assert_eq!(code(&plain, uncounted), Err(ErrorCode::Unsupported));
}
