//! A listen socket's farewell comes once, when nobody accepts on it any more, whatever else happens to the port's listeners.

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, wait_until};
use std::thread;

// Real: the number of the freed port is asked for by connecting to it.
on_every_backend!(real: nobody_accepts_after_it);

/// Windows asks again and again where nobody listens: a connect that is refused takes it seconds.
const ROUNDS: u64 = if cfg!(windows) { 20 } else { 100 };

fn nobody_accepts_after_it(lab: &Lab) {
    let port = Port::new(Probe::reacting(|_, _, _| None), lab.options().threads(3)).expect("a port");
    for round in 0..ROUNDS {
        let (listener, address) = lab.listen();
        let handle = port.add_listener(listener, 64, round).expect("a listener");
        // News of other listeners, and of this one, while it ends.
        let changing = (*port).clone();
        let changes = thread::spawn(move || while changing.set_accept_backlog(handle, 64).is_ok() {});
        let other = (*port).clone();
        let (listener, _) = lab.listen();
        let comes_and_goes = thread::spawn(move || {
            let handle = other.add_listener(listener, 64, u64::MAX).expect("another listener");
            drop(other.remove_listener(handle).expect("it lives"));
        });
        drop(lab.connect(address));
        drop(port.remove_listener(handle).expect("it lives"));
        changes.join().expect("no panic");
        comes_and_goes.join().expect("no panic");
        let is_one = |event: &Event| matches!(event, Event::ListenerFarewell { listener, .. } if *listener == round);
        port.handler().wait_for_count("the farewell", 1, is_one);
        // The kernel gives up a file, and its queue with it, some time after the last of its operations has been told of.
        wait_until(|| lab.refuses(address), || format!("round {round}: somebody still listens"));
        let log = port.handler().log();
        let farewell = log.iter().position(is_one).expect("seen above");
        let is_late =
            |event: &Event| is_one(event) || matches!(event, Event::Accepted { listener, .. } if *listener == round);
        assert!(!log[farewell + 1..].iter().any(is_late), "round {round}: {log:?}");
    }
}
