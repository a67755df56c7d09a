//! An accept callback runs on the accepted socket's worker, as all its later ones do; those of one listen socket may
//! overlap.

use socket_iocp::{Context, Port, SocketHandle};
use socket_iocp_testkit::{Event, Gate, Lab, Probe, on_every_backend};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

on_every_backend!(every_callback_of_a_socket_on_one_thread, two_accepts_at_once);

fn every_callback_of_a_socket_on_one_thread(lab: &Lab) {
    const CONNECTIONS: usize = 12;
    let threads: Arc<Mutex<HashMap<SocketHandle, Vec<ThreadId>>>> = Arc::default();
    let noted = threads.clone();
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        let context = context?;
        let mut noted = noted.lock().expect("no panic under this lock");
        noted.entry(context.handle()).or_default().push(thread::current().id());
        match event {
            Event::Accepted { .. } => context.recv().expect("a new socket"),
            Event::Received { result: Ok(bytes), .. } => context.send(bytes.clone(), 0).expect("a live socket"),
            Event::Sent { .. } => context.abort().expect("a live socket"),
            _ => {}
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options().threads(3)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 7).expect("a listener");
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| lab.connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"x").expect("a live connection");
    }
    let is_farewell = |event: &Event| matches!(event, Event::Farewell { .. });
    port.handler().wait_for_count("the farewells", CONNECTIONS, is_farewell);
    port.delete();
    let threads = threads.lock().expect("no panic under this lock");
    assert_eq!(threads.len(), CONNECTIONS);
    for callbacks in threads.values() {
        assert_eq!(callbacks.len(), 4, "accept, recv, send, farewell");
        assert!(callbacks.iter().all(|thread| *thread == callbacks[0]), "{callbacks:?}");
    }
}

fn two_accepts_at_once(lab: &Lab) {
    let together = Gate::new();
    let probe = Probe::reacting(move |_, _, event| {
        if matches!(event, Event::Accepted { .. }) {
            together.pass();
            assert!(together.reaches(2), "the other worker's accept callback did not run meanwhile");
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options().threads(2)).expect("a port");
    let (listener, address) = lab.listen();
    // All are there before anybody blocks: a worker that blocks may hold connections that it has taken from the kernel.
    let _clients: Vec<_> = (0..8).map(|_| lab.connect(address)).collect();
    port.add_listener(listener, 4, 7).expect("a listener");
    port.handler().wait_for_count("two accepts", 2, |event| matches!(event, Event::Accepted { .. }));
    port.delete();
}
