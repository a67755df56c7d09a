//! A port with no threads of its own does nothing until it is run, and runs its callbacks inside that call.

use socket_iocp::{Context, Error, ErrorCode, Options, Port, PortHandle};
use socket_iocp_testkit::{BOUND, Client, Event, Gate, Lab, Probe, on_every_backend};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

on_every_backend!(
    callbacks_run_inside_run_and_nowhere_else,
    a_second_run_is_busy,
    a_run_inside_its_own_callback_is_busy,
    a_threaded_port_cannot_be_run,
    run_returns_when_the_time_has_passed,
    another_thread_may_take_over,
    a_foreign_issue_wakes_a_run_that_waits,
    delete_stops_a_run_and_finishes_the_job,
    delete_drives_the_loop_itself,
);

fn driven(lab: &Lab) -> Options {
    lab.options().threads(0)
}

/// Runs the port until the log holds what is looked for.
fn run_until(port: &PortHandle<Probe>, what: &str, found: impl Fn(&[Event]) -> bool) {
    for _ in 0..10_000 {
        if found(&port.handler().log()) {
            return;
        }
        port.run(Some(BOUND)).expect("a run");
    }
    panic!("10,000 runs without {what}");
}

fn added(lab: &Lab, port: &PortHandle<Probe>) -> (socket_iocp::SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, 1).expect("a connected socket"), client)
}

fn callbacks_run_inside_run_and_nowhere_else(lab: &Lab) {
    let (sender, threads) = mpsc::channel();
    let probe = Probe::reacting(move |_, _, _| {
        sender.send(thread::current().id()).expect("the test waits");
        None
    });
    let port = Port::new(probe, driven(lab)).expect("a port");
    assert_eq!(port.threads(), 0);
    let (socket, mut client) = added(lab, &port);
    client.write_all(b"x").expect("a live connection");
    port.recv(socket).expect("an issue outside run");
    port.send(socket, Vec::new(), 5).expect("an issue outside run");
    port.send(socket, b"y", 6).expect("an issue outside run");
    assert_eq!(port.handler().log(), [], "a callback with nobody running the port");
    run_until(&port, "three callbacks", |log| log.len() == 3);
    assert_eq!(client.read_exact(1).expect("the byte sent"), b"y");
    assert!(threads.try_iter().all(|thread| thread == thread::current().id()));
}

/// A handler whose recv callback says that it is entered, and waits for a gate.
fn blocking_probe(entered: Arc<Gate>, leave: Arc<Gate>) -> Probe {
    Probe::reacting(move |_, _, event| {
        if matches!(event, Event::Received { .. }) {
            entered.pass();
            assert!(leave.reaches(1), "the test never let the callback go");
        }
        None
    })
}

fn a_second_run_is_busy(lab: &Lab) {
    let (entered, leave) = (Arc::new(Gate::new()), Arc::new(Gate::new()));
    let port = Port::new(blocking_probe(entered.clone(), leave.clone()), driven(lab)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    let runner = PortHandle::clone(&port);
    let runner = thread::spawn(move || run_until(&runner, "a recv", |log| !log.is_empty()));
    entered.wait_for("the callback", 1);
    assert_eq!(port.run(Some(Duration::ZERO)), Err(Error::new(ErrorCode::Busy)));
    leave.pass();
    runner.join().expect("the runner saw its callback");
    assert_eq!(port.run(Some(Duration::ZERO)), Ok(()), "the run is over");
}

fn a_run_inside_its_own_callback_is_busy(lab: &Lab) {
    let (sender, answers) = mpsc::channel();
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, _| {
        let context = context.expect("a socket's callback");
        sender.send(context.port().run(Some(Duration::ZERO))).expect("the test waits");
        None
    });
    let port = Port::new(probe, driven(lab)).expect("a port");
    let (socket, _client) = added(lab, &port);
    port.send(socket, Vec::new(), 0).expect("a send");
    run_until(&port, "the send's callback", |log| !log.is_empty());
    assert_eq!(answers.try_recv().expect("an answer"), Err(Error::new(ErrorCode::Busy)));
}

fn a_threaded_port_cannot_be_run(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    assert_eq!(port.run(Some(Duration::ZERO)), Err(Error::new(ErrorCode::WrongContext)));
}

fn run_returns_when_the_time_has_passed(lab: &Lab) {
    let port = Port::new(Probe::silent(), driven(lab)).expect("a port");
    let (socket, _client) = added(lab, &port);
    port.recv(socket).expect("a recv with nothing to read");
    for timeout_ms in [0, 1, 5] {
        assert_eq!(port.run(Some(Duration::from_millis(timeout_ms))), Ok(()));
    }
    assert_eq!(port.handler().log(), []);
}

fn another_thread_may_take_over(lab: &Lab) {
    let port = Port::new(Probe::echo(), driven(lab)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.recv(socket).expect("a first recv");
    for round in 1..=20 {
        client.write_all(b"x").expect("a live connection");
        let handle = PortHandle::clone(&port);
        let runner = thread::spawn(move || {
            run_until(&handle, "an echo", |log| {
                log.iter().filter(|event| matches!(event, Event::Sent { .. })).count() == round
            });
        });
        runner.join().expect("the runner saw its callbacks");
        assert_eq!(client.read_exact(1).expect("the echo"), b"x");
    }
}

fn a_foreign_issue_wakes_a_run_that_waits(lab: &Lab) {
    let port = Port::new(Probe::silent(), driven(lab)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    let handle = PortHandle::clone(&port);
    let runner = thread::spawn(move || {
        while !handle.handler().log().iter().any(|event| matches!(event, Event::Sent { write: 99, .. })) {
            handle.run(None).expect("a run");
        }
    });
    // Each is issued while the other thread waits for ever, or is about to.
    for write in 0..100 {
        port.send(socket, b"x", write).expect("a send");
        assert_eq!(client.read_exact(1).expect("the byte"), b"x");
    }
    runner.join().expect("the last completion was run");
}

fn delete_stops_a_run_and_finishes_the_job(lab: &Lab) {
    let (entered, leave) = (Arc::new(Gate::new()), Arc::new(Gate::new()));
    let port = Port::new(blocking_probe(entered.clone(), leave.clone()), driven(lab)).expect("a port");
    let (socket, mut client) = added(lab, &port);
    port.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    let handle = PortHandle::clone(&port);
    let runner = thread::spawn(move || {
        loop {
            if let Err(error) = handle.run(None) {
                return error;
            }
        }
    });
    // The run is in progress for sure: its callback waits.
    entered.wait_for("the callback", 1);
    let handle = PortHandle::clone(&port);
    let deleter = thread::spawn(move || port.delete());
    leave.pass();
    deleter.join().expect("delete returned");
    let error = runner.join().expect("run returned");
    assert!(matches!(error.code(), ErrorCode::Closed | ErrorCode::Busy), "{error}");
    assert_eq!(handle.handler().wait_for_farewell(socket), Err(Error::new(ErrorCode::Cancelled)));
}

fn delete_drives_the_loop_itself(lab: &Lab) {
    let (sender, farewells) = mpsc::channel();
    let probe = Probe::reacting(move |_, _, event| {
        if let Event::Farewell { handle, reason, .. } = event {
            sender.send((*handle, *reason)).expect("the test waits");
        }
        None
    });
    let port = Port::new(probe, driven(lab)).expect("a port");
    let (first, _first_client) = added(lab, &port);
    let (second, _second_client) = added(lab, &port);
    port.recv(first).expect("a recv that nobody has run");
    port.delete();
    let cancelled = Err(Error::new(ErrorCode::Cancelled));
    let mut told: Vec<_> = farewells.try_iter().collect();
    told.sort_by_key(|(handle, _)| *handle != first);
    assert_eq!(told, [(first, cancelled), (second, cancelled)]);
}
