//! What a load makes of a server that does it wrong.

use super::super::Workload;
use super::{Load, Tally};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// The error of a load on a server that does this with each connection.
fn error_of(workload: &str, serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("an address");
    let workload: Workload = workload.parse().expect("a work");
    let connections = workload.shape().connections;
    let server = thread::spawn(move || {
        let served: Vec<_> = (0..connections)
            .map(|_| listener.accept().expect("the load").0)
            .map(|socket| thread::spawn(move || serve(socket)))
            .collect();
        served.into_iter().for_each(|one| one.join().expect("no panic"));
    });
    let mut load = Load::connect(workload, &[address]).expect("connections");
    let error = load.run_for(LONG, &mut Tally::new()).expect_err("a server that does it wrong");
    assert!(error.had_started());
    drop(load);
    server.join().expect("no panic");
    error.to_string()
}

fn echo_wrong(mut socket: TcpStream) {
    let mut message = [0; 64];
    if socket.read_exact(&mut message).is_ok() {
        message[63] ^= 1;
        // The load may have gone because of another one's wrong byte.
        let _ = socket.write_all(&message);
    }
}

#[test]
fn a_wrong_echo_is_an_error() {
    let error = error_of("echo:3:64", echo_wrong);
    assert!(error.contains("a wrong echo of 64 bytes"), "{error}");
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    // A FIN or a reset, by how far the message has come.
    error_of("echo:1:64", drop);
}

#[test]
fn a_wrong_byte_of_a_stream_is_an_error() {
    let error = error_of("bulk-out", |mut socket| {
        let _ = socket.write_all(&[0, 1, 2, 4]);
    });
    assert!(error.contains("wrong bytes in stream"), "{error}");
}

#[test]
fn bytes_that_got_lost_are_an_error() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let read_all = |mut socket: TcpStream| {
            let count = std::io::copy(&mut socket, &mut std::io::sink()).expect("the load");
            socket.write_all(&(count - 1).to_le_bytes()).expect("the load waits for it");
        };
        let sockets: Vec<_> = listener.incoming().take(8).map(|socket| socket.expect("the load")).collect();
        let served: Vec<_> = sockets.into_iter().map(|socket| thread::spawn(move || read_all(socket))).collect();
        // The load goes at the first wrong count.
        served.into_iter().for_each(|one| drop(one.join()));
    });
    let mut load = Load::connect(Workload::BulkIn, &[address]).expect("connections");
    let mut tally = Tally::new();
    load.run_for(Duration::from_millis(20), &mut tally).expect("the server reads");
    let error = load.finish().expect_err("a byte is missing").to_string();
    assert!(error.contains("bytes have arrived") && tally.units > 0, "{error}");
    server.join().expect("no panic");
}
