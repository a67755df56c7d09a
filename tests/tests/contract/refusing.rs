//! Refusing a connection in its accept callback, in each of the ways there are. ("Ending" 8.)

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};

on_every_backend!(
    none_closes_without_a_farewell,
    a_panic_in_accept_closes_without_a_farewell_and_the_port_serves_on,
    an_accept_that_aborts_its_socket_gets_a_farewell,
    an_accept_that_closes_its_socket_gets_a_farewell,
    an_accept_that_aborts_and_answers_none_gets_no_farewell,
    the_new_socket_is_found_by_its_number_in_its_accept_callback,
);

/// Echoes; what it does with the first connection is the test's.
fn first_is_special(
    special: impl Fn(&socket_iocp::Context<'_, Probe>) -> Option<u64> + Send + Sync + 'static,
) -> Probe {
    let served = AtomicBool::new(false);
    Probe::reacting(move |_, context, event| {
        let context = context?;
        match event {
            Event::Accepted { .. } if !served.swap(true, Ordering::SeqCst) => return special(context),
            Event::Accepted { .. } => context.recv().expect("a new socket"),
            Event::Received { result: Ok(bytes), .. } if !bytes.is_empty() => {
                context.send(bytes.clone(), 0).expect("an open socket");
                context.recv().expect("an open socket");
            }
            _ => {}
        }
        Some(1)
    })
}

/// What a refused client sees.
#[derive(PartialEq, Debug)]
enum End {
    Fin,
    Reset,
}

/// Connects one client for the special treatment and one that is served as always; answers how the first one's
/// connection ended, and its events after the port's deletion.
fn run(lab: &Lab, probe: Probe) -> (End, Vec<Event>, u64) {
    let port = Port::new(probe, lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut first = lab.connect(address);
    let refused = port.handler().wait_for_accept(0);
    let end = match first.read(&mut [0; 16]) {
        Ok(0) => End::Fin,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
        other => panic!("{other:?}, where the connection should have ended"),
    };
    drop(first);
    let mut second = lab.connect(address);
    second.write_all(b"served").expect("a live connection");
    assert_eq!(second.read_exact(6).expect("the echo"), b"served");
    let handle = (*port).clone();
    let panics = port.statistics().panics;
    port.delete();
    (end, handle.handler().history(refused), panics)
}

fn none_closes_without_a_farewell(lab: &Lab) {
    let (end, events, panics) = run(lab, first_is_special(|_| None));
    assert_eq!((end, panics), (End::Fin, 0));
    assert!(matches!(events[..], [Event::Accepted { .. }]), "{events:?}");
}

fn a_panic_in_accept_closes_without_a_farewell_and_the_port_serves_on(lab: &Lab) {
    let probe = first_is_special(|_| panic!("the accept callback panics, as the test wants"));
    let (_, events, panics) = run(lab, probe);
    assert_eq!(panics, 1);
    assert!(matches!(events[..], [Event::Accepted { .. }]), "{events:?}");
}

fn an_accept_that_aborts_its_socket_gets_a_farewell(lab: &Lab) {
    let probe = first_is_special(|context| {
        context.abort().expect("a new socket");
        assert_eq!(context.recv().map_err(|error| error.code()), Err(ErrorCode::Closed));
        Some(5)
    });
    let (end, events, _) = run(lab, probe);
    assert_eq!(end, End::Reset);
    let [Event::Accepted { .. }, Event::Farewell { state: 5, reason: Err(reason), .. }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(reason.code(), ErrorCode::Cancelled);
}

fn an_accept_that_closes_its_socket_gets_a_farewell(lab: &Lab) {
    let probe = first_is_special(|context| {
        context.close().expect("a new socket");
        Some(6)
    });
    let (end, events, _) = run(lab, probe);
    assert_eq!(end, End::Fin);
    assert!(matches!(events[..], [Event::Accepted { .. }, Event::Farewell { state: 6, .. }]), "{events:?}");
}

fn an_accept_that_aborts_and_answers_none_gets_no_farewell(lab: &Lab) {
    let probe = first_is_special(|context| {
        context.abort().expect("a new socket");
        None
    });
    let (end, events, _) = run(lab, probe);
    assert_eq!(end, End::Reset);
    assert!(matches!(events[..], [Event::Accepted { .. }]), "{events:?}");
}

fn the_new_socket_is_found_by_its_number_in_its_accept_callback(lab: &Lab) {
    let probe = first_is_special(|context| {
        assert_eq!(context.port().find(context.raw_socket()), Some(context.handle()));
        context.close().expect("a new socket");
        Some(6)
    });
    let (_, _, panics) = run(lab, probe);
    assert_eq!(panics, 0);
}
