//! A resolver that hangs holds up nobody but the names that wait for it.

use socket_iocp::sim::Names;
use socket_iocp::{Error, ErrorCode, Port, SocketHandle};
use socket_iocp_testkit::{
    Event, Lab, Probe, in_own_process, on_every_backend, open_descriptors, threads, wait_for_threads,
};
use std::sync::Arc;
use std::time::Duration;

on_every_backend!(
    every_end_comes_at_once,
    delete_does_not_wait_for_it,
    delete_in_a_callback_does_not_wait_for_it,
    a_shutdown_ends_it_at_its_deadline,
);

// Real only: the simulated network needs no threads.
on_every_backend!(real:
    other_names_are_looked_up_meanwhile,
    a_name_that_waits_for_a_thread_can_be_cancelled,
    what_is_found_too_late_is_dropped,
    nothing_is_left_but_what_hangs,
);

const ANY: u16 = 9;
/// As many threads look names up.
const THREADS: usize = 8;

fn hanging() -> Arc<Names> {
    let names = Names::new();
    names.add_hanging("slow");
    names
}

fn port_with(lab: &Lab, names: &Arc<Names>) -> Port<Probe> {
    Port::new(Probe::silent(), lab.options().linger(Duration::from_secs(3600)).names(names.clone())).expect("a port")
}

fn code(result: Result<(), Error>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

/// A connect of which the resolver says nothing, and has been asked.
fn connect(port: &Port<Probe>, names: &Names, nth: usize) -> SocketHandle {
    let handle = port.connect_host("slow", ANY, 0).expect("a name");
    names.wait_until_asked("slow", nth);
    handle
}

fn every_end_comes_at_once(lab: &Lab) {
    type End = fn(&Port<Probe>, SocketHandle) -> Result<(), Error>;
    let ends: [(End, Option<ErrorCode>); 4] = [
        (|port, handle| port.abort(handle), Some(ErrorCode::Cancelled)),
        (|port, handle| port.cancel_connect(handle), Some(ErrorCode::Cancelled)),
        (|port, handle| port.remove(handle), None),
        (|port, handle| port.close(handle), None),
    ];
    let names = hanging();
    let port = port_with(lab, &names);
    let mut nth = 0;
    for (end, expected) in ends {
        nth += 1;
        let handle = connect(&port, &names, nth);
        port.recv(handle).expect("a socket that is being connected");
        end(&port, handle).expect("a live socket");
        assert_eq!(port.handler().wait_for_end(handle), (expected.map_or(Ok(()), |code| Err(code.into())), vec![]));
    }
    let limited = port.connect_host_within("slow", ANY, Duration::from_millis(20), 0).expect("a name");
    names.wait_until_asked("slow", nth + 1);
    assert_eq!(code(port.handler().wait_for_farewell(limited)), Some(ErrorCode::TimedOut));
    assert!(port.handler().take_returned().is_empty());
    names.release();
}

fn delete_does_not_wait_for_it(lab: &Lab) {
    let names = hanging();
    let port = port_with(lab, &names);
    let kept = port.clone();
    let handles = [connect(&port, &names, 1), connect(&port, &names, 2)];
    port.delete();
    for handle in handles {
        let (reason, history) = kept.handler().wait_for_end(handle);
        assert_eq!((code(reason), history), (Some(ErrorCode::Cancelled), vec![]));
    }
    names.release();
}

fn delete_in_a_callback_does_not_wait_for_it(lab: &Lab) {
    let (names, holder) = (hanging(), Arc::new(std::sync::Mutex::new(None::<Port<Probe>>)));
    let held = holder.clone();
    let probe = Probe::reacting(move |_, _, event| {
        if let Event::Timer { .. } = event {
            drop(held.lock().expect("no panic").take());
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options().names(names.clone())).expect("a port");
    let kept = port.clone();
    let handle = connect(&port, &names, 1);
    *holder.lock().expect("no panic") = Some(port);
    kept.timer(handle, Duration::ZERO).expect("a socket that is being connected");
    assert_eq!(code(kept.handler().wait_for_farewell(handle)), Some(ErrorCode::Cancelled));
    names.release();
}

fn a_shutdown_ends_it_at_its_deadline(lab: &Lab) {
    let names = hanging();
    let port = port_with(lab, &names);
    let kept = port.clone();
    let handle = connect(&port, &names, 1);
    let ended = port.shutdown(Duration::from_millis(20));
    assert_eq!((ended.finished, ended.aborted, ended.pending), (0, 1, 0));
    assert_eq!(code(kept.handler().wait_for_farewell(handle)), Some(ErrorCode::Cancelled));
    names.release();
}

fn other_names_are_looked_up_meanwhile(lab: &Lab) {
    let (names, far) = (hanging(), lab.far());
    names.add("far", &[far.address()]);
    let port = port_with(lab, &names);
    for nth in 1..THREADS {
        connect(&port, &names, nth);
    }
    for _ in 0..3 {
        port.connect_host("far", ANY, 0).expect("a name");
        let _client = far.accept();
    }
    port.delete();
    names.release();
}

fn a_name_that_waits_for_a_thread_can_be_cancelled(lab: &Lab) {
    let (names, far) = (hanging(), lab.far());
    names.add("far", &[far.address()]);
    let port = port_with(lab, &names);
    for nth in 1..=THREADS {
        connect(&port, &names, nth);
    }
    let waits = [(); 2].map(|()| port.connect_host("far", ANY, 0).expect("a name"));
    // An address waits for nobody.
    let address = far.address();
    port.connect_host(&address.ip().to_string(), address.port(), 0).expect("an address");
    let _client = far.accept();
    port.cancel_connect(waits[0]).expect("it is outstanding");
    assert_eq!(code(port.handler().wait_for_farewell(waits[0])), Some(ErrorCode::Cancelled));
    // Those that hang are told of, and the other has its turn.
    names.release();
    let _late = far.accept();
    port.handler().wait_for_count("both connects", 2, |event| matches!(event, Event::Connected { .. }));
    assert!(matches!(port.handler().history(waits[1])[..], [Event::Connected { .. }]));
}

fn what_is_found_too_late_is_dropped(lab: &Lab) {
    let names = hanging();
    let port = port_with(lab, &names);
    let handle = connect(&port, &names, 1);
    port.abort(handle).expect("a live socket");
    assert_eq!(code(port.handler().wait_for_farewell(handle)), Some(ErrorCode::Cancelled));
    // Its slot is the next one's.
    let far = lab.far();
    names.add("far", &[far.address()]);
    let next = port.connect_host("far", ANY, 0).expect("a name");
    names.release();
    let mut client = far.accept();
    port.send(next, &b"mine"[..], 1).expect("a socket that is connected, or being so");
    assert_eq!(client.read_exact(4).expect("the send"), b"mine");
    assert_eq!(port.handler().history(handle).len(), 1);
}

fn nothing_is_left_but_what_hangs(lab: &Lab) {
    in_own_process("connect_host_hanging::nothing_is_left_but_what_hangs", lab, look_for_what_is_left);
}

fn look_for_what_is_left(lab: &Lab) {
    let (names, far, silent) = (hanging(), lab.far(), lab.silent());
    names.add("far", &[silent.address(), far.address()]);
    names.add("silent", &[silent.address(), silent.address()]);
    // What the process makes when a port is first made, and keeps, is there by then.
    drop(port_with(lab, &names));
    let before = (open_descriptors(), threads());
    for round in 1..=3 {
        let port = port_with(lab, &names);
        connect(&port, &names, round);
        port.connect_host("silent", ANY, 0).expect("a name");
        port.connect_host("far", ANY, 0).expect("a name");
        let client = far.accept();
        port.delete();
        drop(client);
        // Those that look names up end by themselves, a moment later; one a round cannot.
        assert_eq!(open_descriptors(), before.0);
        if before.1 != 0 {
            wait_for_threads(before.1 + round, "the resolver hangs");
        }
    }
    names.release();
    wait_for_threads(before.1, "the resolver has answered");
}
