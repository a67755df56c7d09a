//! Every server under the load, in this process.

use crate::load::Load;
use crate::{subject, yardstick};
use socket_iocp::BackendKind;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 7;
const SHORT: Duration = Duration::from_millis(20);

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Loads a server twice, and compares its count with the load's.
fn check(serve: impl FnOnce(TcpListener) -> crate::child::Outcome + Send + 'static) {
    let (listener, address) = listen();
    let server = thread::spawn(move || serve(listener));
    let mut load = Load::connect(address, CONNECTIONS, 100).expect("connections");
    let counted = load.run_for(SHORT).expect("echoes") + load.run_for(SHORT).expect("echoes");
    load.finish().expect("the last echoes");
    let outcome = server.join().expect("no panic");
    assert!(counted > 0);
    // The load does not count what was under way at the end.
    assert!((counted..=counted + CONNECTIONS as u64).contains(&outcome.messages), "{counted} {outcome:?}");
    assert!((1..=outcome.messages + 2 * CONNECTIONS as u64 + 64).contains(&outcome.waits), "{outcome:?}");
}

#[test]
fn the_io_uring_yardstick_echoes() {
    check(|listener| yardstick::io_uring::serve(&listener, CONNECTIONS).expect("an io_uring"));
}

#[test]
fn the_epoll_yardstick_echoes() {
    check(|listener| yardstick::epoll::serve(&listener, CONNECTIONS).expect("an epoll"));
}

#[test]
fn the_subject_echoes_on_each_backend() {
    for kind in [BackendKind::IoUring, BackendKind::Readiness] {
        check(move |listener| {
            subject::serve(subject::options(kind), listener, CONNECTIONS, || {}).expect("a port").into()
        });
    }
}

#[test]
fn a_wrong_echo_is_an_error() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("the load");
        let mut message = [0; 64];
        socket.read_exact(&mut message).expect("a message");
        message[63] ^= 1;
        socket.write_all(&message).expect("a live load");
    });
    let mut load = Load::connect(address, 1, 64).expect("a connection");
    let error = load.run_for(Duration::from_secs(60)).expect_err("a wrong byte");
    assert!(error.to_string().contains("a wrong echo"), "{error}");
    assert!(error.had_started());
    server.join().expect("no panic");
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    let (listener, address) = listen();
    let server = thread::spawn(move || drop(listener.accept().expect("the load")));
    let mut load = Load::connect(address, 1, 64).expect("a connection");
    assert!(load.run_for(Duration::from_secs(60)).is_err());
    server.join().expect("no panic");
}
