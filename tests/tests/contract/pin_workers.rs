//! Workers that stay on one processor each, and those that are left alone.

use socket_iocp::{Context, Options, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, platform};
use std::sync::{Arc, Mutex};
use std::time::Duration;

on_every_backend!(
    each_worker_stays_on_its_processor,
    workers_are_left_alone_without_it,
    a_driven_port_leaves_its_callers_thread_alone,
);

/// Where the callbacks ran: the processors that each one's thread could use.
type Seen = Arc<Mutex<Vec<Vec<usize>>>>;

fn probe() -> (Probe, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let reaction = move |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(_), Event::Received { .. }) = (context, event) {
            noted.lock().expect("no panic").push(platform::processors());
        }
        None
    };
    (Probe::reacting(reaction), seen)
}

/// Gives each of `workers` a socket on which something comes, and says where the callbacks ran, in order.
fn where_workers_run(lab: &Lab, options: Options, workers: usize) -> Vec<Vec<usize>> {
    let (probe, seen) = probe();
    let port = Port::new(probe, options.threads(workers)).expect("a port");
    for _ in 0..workers {
        let (socket, mut client) = lab.pair();
        let handle = port.add_connected(socket, 1).expect("a connected socket");
        port.recv(handle).expect("a live socket");
        client.write_all(b"x").expect("a live connection");
        port.handler().wait_for("the byte", |log| log.iter().find(|event| event.handle() == Some(handle)).map(drop));
    }
    port.delete();
    let mut seen = std::mem::take(&mut *seen.lock().expect("no panic"));
    seen.sort();
    seen
}

fn each_worker_stays_on_its_processor(lab: &Lab) {
    // One worker more than there are, but on a large machine.
    let allowed = platform::processors();
    let workers = if allowed.is_empty() { 2 } else { allowed.len().min(15) + 1 };
    let mut expected: Vec<_> =
        (0..workers).map(|n| Vec::from_iter(allowed.get(n % allowed.len().max(1)).copied())).collect();
    expected.sort();
    let found = where_workers_run(lab, lab.options().pin_workers(true), workers);
    // Where the system does not tell, both are lists of nothing: that the workers serve has been seen.
    assert_eq!(found, expected);
    assert_eq!(platform::processors(), allowed, "the thread that makes the port is left alone");
}

fn workers_are_left_alone_without_it(lab: &Lab) {
    let allowed = platform::processors();
    assert_eq!(where_workers_run(lab, lab.options().pin_workers(false), 2), [allowed.clone(), allowed]);
}

fn a_driven_port_leaves_its_callers_thread_alone(lab: &Lab) {
    let (probe, seen) = probe();
    let port = Port::new(probe, lab.options().threads(0).pin_workers(true)).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    client.write_all(b"x").expect("a live connection");
    while port.handler().log().is_empty() {
        port.run(Some(Duration::from_secs(1))).expect("a driven port");
    }
    assert_eq!(*seen.lock().expect("no panic"), [platform::processors()]);
}
