//! Workers that look for work before they sleep: they need no waking, and keep their hours.

use socket_iocp::{ErrorCode, MAX_BUSY_POLL, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::time::{Duration, Instant};

// Workers of the simulated network sleep at once, in its own time.
on_every_backend!(real: a_worker_that_is_awake_needs_no_waking);
on_every_backend!(
    what_comes_is_served_asleep_or_awake,
    timers_are_not_waited_past,
    a_driven_port_waits_as_its_caller_says
);

fn a_worker_that_is_awake_needs_no_waking(lab: &Lab) {
    const SENDS: u64 = 100;
    let port = Port::new(Probe::silent(), lab.options().threads(1).busy_poll(MAX_BUSY_POLL)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    for write in 0..SENDS {
        port.send(handle, b"x", write).expect("a live socket");
        client.read_exact(1).expect("the byte");
        port.handler().wait_for_count("its callback", write as usize + 1, |event| event.sent().is_some());
    }
    // It has slept only where this thread took a second between two sends.
    let statistics = port.statistics();
    assert!(statistics.wakeups < SENDS / 2, "{} wake-ups", statistics.wakeups);
    assert!(statistics.waits > 0, "no looks");
}

fn what_comes_is_served_asleep_or_awake(lab: &Lab) {
    // Far shorter than a turn of the test, and far longer.
    for time in [Duration::from_nanos(1), Duration::from_micros(50), MAX_BUSY_POLL] {
        let port = Port::new(Probe::echo(), lab.options().busy_poll(time)).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 4, 7).expect("a listener");
        let mut clients: Vec<_> = (0..4).map(|_| lab.connect(address)).collect();
        for _ in 0..20 {
            for client in &mut clients {
                client.write_all(b"hello").expect("a live connection");
                assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
            }
        }
        port.delete();
        for client in &mut clients {
            client.read_to_reset().expect("a reset");
        }
    }
}

fn timers_are_not_waited_past(lab: &Lab) {
    const ROUNDS: u32 = 10;
    let idle = Duration::from_millis(10);
    let options = lab.options().threads(1).idle_timeout(idle).busy_poll(MAX_BUSY_POLL);
    let port = Port::new(Probe::silent(), options).expect("a port");
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let (socket, _client) = lab.pair();
        let handle = port.add_connected(socket, 1).expect("a connected socket");
        port.recv(handle).expect("a live socket");
        let reason = port.handler().wait_for_farewell(handle);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    }
    // A worker that looked on would be late by a second each time.
    assert!(start.elapsed() < MAX_BUSY_POLL * ROUNDS / 2, "{:?}", start.elapsed());
}

fn a_driven_port_waits_as_its_caller_says(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(0).busy_poll(MAX_BUSY_POLL)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    let before = port.statistics().waits;
    port.run(Some(Duration::ZERO)).expect("a driven port");
    assert!(port.statistics().waits <= before + 2, "a run that looks looks once");
    client.write_all(b"x").expect("a live connection");
    while !port.handler().log().iter().any(|event| matches!(event, Event::Received { .. })) {
        port.run(Some(Duration::from_secs(1))).expect("a driven port");
    }
}
