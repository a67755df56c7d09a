//! A port's own workers run the callbacks: nothing else has to be called for them to arrive.

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::thread;

on_every_backend!(callbacks_arrive_without_any_other_call, workers_are_as_many_as_asked_for);

fn callbacks_arrive_without_any_other_call(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 7).expect("a listener");
    let mut client = lab.connect(address);
    client.write_all(b"ping").expect("a live connection");
    assert_eq!(client.read_exact(4).expect("the echo"), b"ping");
    // The accept callback came before the echo, and not on a thread of the caller's.
    let log = port.handler().log();
    let Some(Event::Accepted { listener: 7, thread: worker, .. }) = log.first() else {
        panic!("no accept callback first: {log:?}")
    };
    assert_ne!(*worker, thread::current().id());
}

fn workers_are_as_many_as_asked_for(lab: &Lab) {
    let probe = Probe::reader();
    let port = Port::new(probe, lab.options().threads(3)).expect("a port");
    assert_eq!(port.threads(), 3);
    let (listener, address) = lab.listen();
    port.add_listener(listener, 16, 7).expect("a listener");
    let _clients: Vec<_> = (0..30).map(|_| lab.connect(address)).collect();
    let accepts = port.handler().wait_for_count("30 accepts", 30, |event| matches!(event, Event::Accepted { .. }));
    let mut threads = Vec::new();
    for accept in accepts {
        if let Event::Accepted { thread, .. } = accept
            && !threads.contains(&thread)
        {
            threads.push(thread);
        }
    }
    assert_eq!(threads.len(), 3, "30 connections on 3 workers");
}
