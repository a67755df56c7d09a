//! The cancel of a connect: its socket ends, unless it was connected before.

use socket_iocp::{Error, ErrorCode, Port, SocketHandle};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, tries};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

on_every_backend!(
    it_ends_the_socket,
    it_is_cancelled_in_a_callback,
    none_outstanding_is_an_error,
    a_socket_that_ends_has_none,
    a_close_that_follows_is_what_is_told,
    one_of_both_is_told,
);

fn is_connected(event: &Event) -> bool {
    matches!(event, Event::Connected { .. })
}

fn code(result: Result<(), Error>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

fn it_ends_the_socket(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let silent = lab.silent();
    let handle = port.connect(lab.unconnected(), &silent.address().into(), 0).expect("a socket to be connected");
    port.recv(handle).expect("a socket that is being connected");
    port.send(handle, &b"never"[..], 1).expect("the same");
    port.cancel_connect(handle).expect("it is outstanding");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(code(reason), Some(ErrorCode::Cancelled));
    let sent: Vec<_> = history.iter().filter_map(Event::sent).collect();
    assert_eq!((sent, history.len()), (vec![(1, Err(ErrorCode::Cancelled.into()))], 1));
    assert_eq!(code(port.cancel_connect(handle)), Some(ErrorCode::Closed));
    assert_eq!(port.statistics().connects, 0);
}

/// Of another socket, and of one whose connect begins in this very callback.
fn it_is_cancelled_in_a_callback(lab: &Lab) {
    let (silent, sockets) = (lab.silent(), Mutex::new(vec![lab.unconnected(), lab.unconnected()]));
    let address = silent.address().into();
    let probe = Probe::reacting(move |_, context, event| {
        if let (Some(context), Event::Timer { .. }) = (context, event) {
            let socket = sockets.lock().expect("no panic").pop().expect("two");
            let new = context.port().connect(socket, &address, 7).expect("a socket to be connected");
            context.port().cancel_connect(new).expect("it is outstanding");
            // Twice is as good as once.
            context.port().cancel_connect(context.handle()).expect("it is outstanding");
            context.port().cancel_connect(context.handle()).expect("it is outstanding");
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let handle = port.connect(lab.unconnected(), &silent.address().into(), 0).expect("a socket to be connected");
    port.timer(handle, Duration::ZERO).expect("a socket that is being connected");
    let cancelled = |event: &Event| matches!(event, Event::Farewell { reason: Err(error), .. } if error.code() == ErrorCode::Cancelled);
    port.handler().wait_for_count("both ends", 2, cancelled);
    assert_eq!(port.handler().count(is_connected), 0);
}

fn none_outstanding_is_an_error(lab: &Lab) {
    let probe = Probe::reacting(|_, context, event| {
        if let (Some(context), true) = (context, is_connected(event)) {
            let refused = context.port().cancel_connect(context.handle());
            assert_eq!(code(refused), Some(ErrorCode::NotOutstanding), "it is being told of");
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, _client) = lab.pair();
    let came = port.add_connected(socket, 0).expect("a connected socket");
    assert_eq!(code(port.cancel_connect(came)), Some(ErrorCode::NotOutstanding));
    let far = lab.far();
    let handle = port.connect(lab.unconnected(), &far.address().into(), 0).expect("a socket to be connected");
    let mut client = far.accept();
    port.handler().wait_for_count("the connect", 1, is_connected);
    assert_eq!(code(port.cancel_connect(handle)), Some(ErrorCode::NotOutstanding));
    port.send(handle, &b"still here"[..], 1).expect("a connected socket");
    assert_eq!(client.read_exact(10).expect("the send"), b"still here");
    assert_eq!(port.statistics().panics, 0);
}

fn a_socket_that_ends_has_none(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let silent = lab.silent();
    let connect = || port.connect(lab.unconnected(), &silent.address().into(), 0).expect("a socket to be connected");
    type End = fn(&Port<Probe>, SocketHandle) -> Result<(), Error>;
    let ends: [(End, Option<ErrorCode>); 3] = [
        (|port, handle| port.abort(handle), Some(ErrorCode::Cancelled)),
        (|port, handle| port.remove(handle), None),
        (|port, handle| port.close(handle), None),
    ];
    for (end, expected) in ends {
        let handle = connect();
        end(&port, handle).expect("a live socket");
        assert_eq!(code(port.cancel_connect(handle)), Some(ErrorCode::Closed));
        assert_eq!(code(port.handler().wait_for_farewell(handle)), expected);
    }
    let other = Port::new(Probe::silent(), lab.options()).expect("a port");
    assert_eq!(code(other.cancel_connect(connect())), Some(ErrorCode::WrongPort));
}

/// The port's worker has not been told of the cancel when it is told of the close, or has been; in any case the socket ends once.
fn a_close_that_follows_is_what_is_told(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let silent = lab.silent();
    for _ in 0..20 {
        let handle = port.connect(lab.unconnected(), &silent.address().into(), 0).expect("a socket to be connected");
        port.cancel_connect(handle).expect("it is outstanding");
        let closed = port.close(handle);
        let (reason, history) = port.handler().wait_for_end(handle);
        let expected: &[Option<ErrorCode>] =
            if closed.is_ok() { &[None, Some(ErrorCode::Cancelled)] } else { &[Some(ErrorCode::Cancelled)] };
        assert!(expected.contains(&code(reason)) && history.is_empty(), "{closed:?}: {reason:?} after {history:?}");
    }
}

/// A cancel that races the answer.
fn one_of_both_is_told(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let mut connected = 0;
    for round in 0..tries(200, 5000) {
        let far = lab.far();
        let handle = port.connect(lab.unconnected(), &far.address().into(), 0).expect("a socket to be connected");
        (0..round % 7).for_each(|_| thread::yield_now());
        let asked = port.cancel_connect(handle).is_ok();
        let ended = port.handler().wait_for("one or the other", |log| {
            let about = |event: &&Event| event.handle() == Some(handle);
            log.iter().find(about).map(|event| matches!(event, Event::Farewell { .. }))
        });
        if ended {
            let (reason, history) = port.handler().wait_for_end(handle);
            assert_eq!((asked, code(reason), history.len()), (true, Some(ErrorCode::Cancelled), 0));
        } else {
            let mut client = far.accept();
            port.send(handle, &b"on"[..], 1).expect("a connected socket");
            assert_eq!(client.read_exact(2).expect("the send"), b"on");
            port.abort(handle).expect("a live socket");
            let (_, history) = port.handler().wait_for_end(handle);
            assert_eq!(history.iter().filter(|event| is_connected(event)).count(), 1, "{history:?}");
            connected += 1;
        }
    }
    assert_eq!(port.statistics().connects, connected);
}
