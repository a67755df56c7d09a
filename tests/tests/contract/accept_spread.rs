//! Accepted sockets spread evenly over the workers, from however many listeners. ("Accepting".)

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::collections::HashMap;
use std::thread::{self, ThreadId};

on_every_backend!(one_after_the_other, all_at_once);

const WORKERS: usize = 4;
const CLIENTS: usize = 400;

fn check(port: &Port<Probe>) {
    let accepts = port.handler().wait_for_count("accepts", CLIENTS, |event| matches!(event, Event::Accepted { .. }));
    let mut counts: HashMap<ThreadId, usize> = HashMap::new();
    for event in accepts {
        if let Event::Accepted { thread, .. } = event {
            *counts.entry(thread).or_default() += 1;
        }
    }
    let counts: Vec<_> = counts.into_values().collect();
    let even = CLIENTS / WORKERS;
    assert_eq!(counts.len(), WORKERS, "{counts:?}");
    assert!(counts.iter().all(|count| (even - 5..=even + 5).contains(count)), "{counts:?}");
}

fn one_after_the_other(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(WORKERS)).expect("a port");
    let listeners: Vec<_> = (0..2).map(|_| lab.listen()).collect();
    let mut addresses = Vec::new();
    for (listener, address) in listeners {
        port.add_listener(listener, 8, 0).expect("a listener");
        addresses.push(address);
    }
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(lab.connect(addresses[number % 2]));
        port.handler().wait_for_accept(number);
    }
    check(&port);
}

fn all_at_once(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(WORKERS)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 64, 0).expect("a listener");
    let _clients: Vec<_> = thread::scope(|scope| {
        let connects = || (0..CLIENTS / 4).map(|_| lab.connect(address)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(connects)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("clients")).collect()
    });
    check(&port);
}
