//! The accepts that are kept ready stay as many as the backlog, however many connections come and are reset; and a worker
//! that is in a callback does not keep the system from taking as many connections. ("Accepting".)

use socket_iocp::{ListenerHandle, Port};
use socket_iocp_testkit::{
    Event, Gate, Lab, Probe, in_own_process, on_every_backend, open_descriptors, platform, wait_until,
};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{iter, thread};

// Real only: what is counted is the process's descriptors, and what the system has left.
on_every_backend!(real: ten_thousand_connections_that_are_reset);

const BACKLOG: usize = 16;
const CONNECTIONS: usize = 10_000;
const THREADS: usize = 4;

/// Connections that are reset: as soon as they are made, after some bytes, or when they have been served.
fn reset_them(lab: &Lab, address: SocketAddr, connections: usize) {
    let some = || {
        for number in 0..connections / THREADS {
            let mut client = lab.connect(address);
            if number % 3 != 0 {
                client.write_all(b"hello").expect("a live connection");
            }
            if number % 3 == 2 {
                assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
            }
            client.reset();
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(some);
        }
    });
}

/// One connection from its start to its end.
fn exchange(lab: &Lab, address: SocketAddr) {
    let mut client = lab.connect(address);
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    client.shutdown_write();
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
}

fn ten_thousand_connections_that_are_reset(lab: &Lab) {
    in_own_process("ten_thousand_connections_that_are_reset", lab, |lab| {
        let (port, hold, go_on) = holding(lab);
        // What the system makes once for a process, or a thread, that has sockets has been made when this listener has gone.
        let (socket, address) = lab.listen();
        let listener = port.add_listener(socket, BACKLOG, 0).expect("a listener");
        reset_them(lab, address, THREADS);
        exchange(lab, address);
        drop(port.remove_listener(listener).expect("a listener"));
        wait_for_farewells(&port, 1);
        wait_until(|| port.statistics().sockets_now == 0, || format!("{:?}", port.statistics()));

        let (socket, address) = lab.listen();
        let before = open_descriptors();
        let listener = port.add_listener(socket, BACKLOG, 0).expect("a listener");
        // The library's own one of the listener; and the ready sockets of the accepts, where the system wants such.
        let ready = before + 1 + if cfg!(windows) { BACKLOG } else { 0 };
        let all_are_ready = || port.statistics().sockets_now == 0 && open_descriptors() == ready;
        let difference = || format!("{} descriptors, not {ready}; {:?}", open_descriptors(), port.statistics());
        wait_until(all_are_ready, difference);
        reset_them(lab, address, CONNECTIONS);
        // It is served after all the others, which have been accepted by then, or left out by the system.
        exchange(lab, address);
        wait_until(all_are_ready, difference);

        hold.store(true, Ordering::SeqCst);
        take_without_the_worker(lab, &port, listener, address, &go_on);
        port.delete();
    });
}

fn wait_for_farewells(port: &Port<Probe>, count: usize) {
    let is_one = |event: &Event| matches!(event, Event::ListenerFarewell { .. });
    port.handler().wait_for_count("a listener's farewell", count, is_one);
}

/// A port that echoes; its accept callbacks wait when the gate is shut.
fn holding(lab: &Lab) -> (Port<Probe>, Arc<AtomicBool>, Arc<Gate>) {
    let (hold, go_on) = (Arc::new(AtomicBool::new(false)), Arc::new(Gate::new()));
    let (held, gate, echo) = (hold.clone(), go_on.clone(), Probe::echo());
    let probe = Probe::reacting(move |_, context, event| {
        if matches!(event, Event::Accepted { .. }) && held.load(Ordering::SeqCst) {
            gate.wait_for("the test", 1);
        }
        echo.react(context, event)
    });
    (Port::new(probe, lab.options().threads(1)).expect("a port"), hold, go_on)
}

/// The worker is in an accept callback: what is taken now, the system takes for the accepts that are ready.
fn take_without_the_worker(lab: &Lab, port: &Port<Probe>, listener: ListenerHandle, address: SocketAddr, go_on: &Gate) {
    let accepted = port.handler().count(|event| matches!(event, Event::Accepted { .. }));
    let mut clients = vec![lab.connect(address)];
    port.handler().wait_for_accept(accepted);
    clients.extend((0..3 * BACKLOG).map(|_| lab.connect(address)));
    let listener =
        TcpListener::from(platform::owned(port.remove_listener(listener).expect("a listener")).expect("a real one"));
    listener.set_nonblocking(true).expect("a flag");
    let left = iter::from_fn(|| listener.accept().ok()).count();
    let taken = clients.len() - left;
    assert!(taken <= 1 + BACKLOG, "{taken} taken");
    // One of them was the one whose callback waits. (A ring or epoll takes nothing while its worker is elsewhere.)
    assert!(!cfg!(windows) || taken >= BACKLOG, "{taken} taken");
    go_on.pass();
    wait_for_farewells(port, 2);
    let told = port.handler().count(|event| matches!(event, Event::Accepted { .. })) - accepted;
    assert_eq!(told, taken, "connections that were taken and never told");
}
