//! Statistics: of the port and of each worker, at any time, from anywhere. (`PortHandle::statistics`,
//! `PortHandle::worker_statistics`.)

use socket_iocp::{Port, PortHandle, SocketHandle, Statistics};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

on_every_backend!(
    the_workers_add_up_to_the_port,
    what_is_queued_is_counted_where_it_is_limited,
    what_time_has_ended_is_counted,
    they_are_read_while_a_callback_blocks,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

fn added(lab: &Lab, port: &PortHandle<Probe>) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, 1).expect("a connected socket"), client)
}

fn of_workers(port: &PortHandle<Probe>) -> Vec<Statistics> {
    (0..).map_while(|worker| port.worker_statistics(worker)).collect()
}

fn the_workers_add_up_to_the_port(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().threads(3)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut clients: Vec<_> = (0..6).map(|_| lab.connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"12345").expect("an open connection");
        client.read_exact(5).expect("the echo");
    }
    // The bytes may have come in pieces; the last piece is counted before its callback, which may be later than its arrival.
    while port.statistics().sent_bytes < 30 {
        thread::yield_now();
    }
    let (whole, workers) = (port.statistics(), of_workers(&port));
    assert_eq!((whole.workers_now, workers.len()), (3, 3));
    assert_eq!((whole.sockets_now, whole.listeners_now, whole.accepts), (6, 1, 6));
    assert_eq!((whole.received_bytes, whole.sent_bytes), (30, 30));
    let recvs = port.handler().count(|event| matches!(event, Event::Received { .. }));
    assert_eq!((whole.recvs, whole.sends), (recvs as u64, recvs as u64));
    assert_eq!((whole.queued_sends_now, whole.queued_bytes_now), (0, 0), "they are not counted");
    for (number, worker) in workers.iter().enumerate() {
        assert_eq!((worker.workers_now, worker.sockets_now, worker.received_bytes), (1, 2, 10), "worker {number}");
        assert!(worker.listeners_now <= 1, "worker {number}");
    }
    let sum = |count: fn(&Statistics) -> u64| workers.iter().map(count).sum::<u64>();
    assert_eq!((sum(|worker| worker.accepts), sum(|worker| worker.sent_bytes)), (6, 30));
    // One that found its work before it first waited may not have waited.
    assert!(sum(|worker| worker.waits) > 0 && sum(|worker| worker.listeners_now) >= 1);
    assert_eq!(port.worker_statistics(3), None);
    assert_eq!(port.worker_statistics(usize::MAX), None);
}

fn what_is_queued_is_counted_where_it_is_limited(lab: &Lab) {
    let plain = || lab.options().threads(2);
    for options in [
        plain().max_queued_sends(10),
        plain().max_queued_bytes(u32::MAX - 1),
        plain().max_port_queued_bytes(4 * LARGE_BYTES),
        plain().high_watermark(LARGE_BYTES as u32),
    ] {
        let port = Port::new(Probe::silent(), options).expect("a port");
        let mut ends: Vec<_> = (0..2).map(|_| added(lab, &port)).collect();
        for (socket, _) in &ends {
            port.send(*socket, vec![7; LARGE_BYTES], 1).expect("the first");
            port.send(*socket, b"four", 2).expect("the second");
            port.sync_send(*socket, b"not counted", 3).expect("a sync send");
        }
        let queued = |statistics: Statistics| (statistics.queued_sends_now, statistics.queued_bytes_now);
        // A worker counts what has reached it.
        while queued(port.statistics()) != (4, 2 * (LARGE_BYTES as u64 + 4)) {
            thread::yield_now();
        }
        for worker in of_workers(&port) {
            assert_eq!(queued(worker), (2, LARGE_BYTES as u64 + 4));
        }
        for (_, client) in &mut ends {
            client.read_exact(LARGE_BYTES + 15).expect("the bytes");
        }
        port.handler().wait_for_count("the sends", 6, |event| matches!(event, Event::Sent { .. }));
        assert_eq!(queued(port.statistics()), (0, 0));
    }
}

fn what_time_has_ended_is_counted(lab: &Lab) {
    let options = lab.options().linger(Duration::from_millis(1)).idle_timeout(Duration::from_millis(10));
    let port = Port::new(Probe::silent(), options.high_watermark(1)).expect("a port");
    let (lingering, _stays) = added(lab, &port);
    port.close(lingering).expect("an open socket");
    port.handler().wait_for_farewell(lingering).expect_err("its peer does not close");
    let (idle, _silent) = added(lab, &port);
    port.send(idle, b"more than the mark", 1).expect("an open socket");
    port.recv(idle).expect("an open socket");
    port.handler().wait_for_farewell(idle).expect_err("its peer says nothing");
    let statistics = port.statistics();
    assert_eq!((statistics.linger_timeouts, statistics.idle_timeouts, statistics.high_watermarks), (1, 1, 1));
    // Time limits of operations end no socket.
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (timed, _quiet) = added(lab, &port);
    port.timer(timed, Duration::from_millis(1)).expect("an open socket");
    port.recv_within(timed, Duration::from_millis(1)).expect("an open socket");
    port.handler().wait_for_count("the timer", 1, |event| matches!(event, Event::Timer { .. }));
    port.handler().wait_for_count("the recv", 1, |event| matches!(event, Event::Received { result: Err(_), .. }));
    let statistics = port.statistics();
    assert_eq!((statistics.timers, statistics.operation_timeouts, statistics.recvs), (1, 1, 0));
    assert_eq!((statistics.linger_timeouts, statistics.idle_timeouts), (0, 0));
}

fn they_are_read_while_a_callback_blocks(lab: &Lab) {
    let (entered, inside) = mpsc::channel();
    let (leave, left) = mpsc::channel::<()>();
    let left = std::sync::Mutex::new(left);
    let probe = Probe::reacting(move |_, _, event| {
        if matches!(event, Event::Sent { .. }) {
            entered.send(()).expect("the test waits");
            left.lock().expect("no panic").recv().expect("the test lets it go");
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options().threads(1)).expect("a port");
    let (socket, _client) = added(lab, &port);
    port.send(socket, b"x", 1).expect("an open socket");
    inside.recv().expect("the callback");
    assert_eq!((port.statistics().sends, of_workers(&port)[0].sends), (1, 1));
    leave.send(()).expect("the callback waits");
}
