//! Ctrl-C and its relatives drain; a second one aborts.

mod common;

use common::{INTERRUPTS, Running, Server, Statistics, describe, json, on_each_backend, tool};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// A client of an echo server that has had one answer.
fn client_of(server: &Server) -> TcpStream {
    let mut client = TcpStream::connect(&server.address).expect("accepted");
    client.write_all(b"ping").expect("sent");
    let mut answer = [0; 4];
    client.read_exact(&mut answer).expect("answered");
    assert_eq!(&answer, b"ping");
    client
}

#[test]
fn a_server_closes_its_connections_and_exits_with_0() {
    on_each_backend(|backend| {
        for interrupt in INTERRUPTS {
            let server = Server::start(backend, "echo", &[]);
            let mut client = client_of(&server);
            server.running.signal(*interrupt);
            assert_eq!(client.read(&mut [0; 1]).expect("a clean end, no reset"), 0);
            let refused = TcpStream::connect(&server.address).expect_err("nobody listens");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            drop(client);
            let output = server.running.end();
            assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
            let statistics = Statistics::of(&output);
            assert_eq!((statistics.get("accepts"), statistics.get("farewells")), (1, 1));
            assert_eq!((statistics.get("finished"), statistics.get("aborted")), (1, 0));
            assert_eq!((statistics.get("received_bytes"), statistics.get("sent_bytes")), (4, 4));
        }
    });
}

#[test]
fn a_server_without_connections_exits_at_once() {
    on_each_backend(|backend| {
        let statistics = Server::start(backend, "discard", &[]).stop();
        assert_eq!(statistics.get("accepts"), 0);
    });
}

#[test]
fn a_second_interrupt_aborts() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &["--linger", "3600"]);
        let mut client = client_of(&server);
        server.running.interrupt();
        // The server has closed its side and waits for the client's.
        assert_eq!(client.read(&mut [0; 1]).expect("a clean end"), 0);
        server.running.interrupt();
        let output = server.running.end();
        assert_eq!(output.status.code(), Some(130), "{}", describe(&output));
        let statistics = Statistics::of(&output);
        assert_eq!((statistics.get("accepts"), statistics.get("aborted")), (1, 1));
    });
}

#[test]
fn what_is_left_after_the_grace_is_reset() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &["--linger", "3600", "--grace", "0.1"]);
        let mut client = client_of(&server);
        server.running.interrupt();
        // The client does not end its side. The reset may overtake the clean end before it.
        match client.read(&mut [0; 1]) {
            Ok(bytes) => assert_eq!(bytes, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        let output = server.running.end();
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        assert_eq!(Statistics::of(&output).get("aborted"), 1);
    });
}

#[test]
fn chargen_comes_to_an_end() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "chargen", &[]);
        let mut client = TcpStream::connect(&server.address).expect("accepted");
        client.read_exact(&mut [0; 10_000]).expect("lines");
        server.running.interrupt();
        client.read_to_end(&mut Vec::new()).expect("a clean end, no reset");
        drop(client);
        let output = server.running.end();
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        assert_eq!(Statistics::of(&output).get("finished"), 1);
    });
}

#[test]
fn an_interrupted_load_reports_what_it_has() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &[]);
        let mut load = Running::start(&mut tool(backend, &["load", &server.address, "--duration", "3600", "--json"]));
        let progress = load.stderr_line();
        assert!(progress.ends_with("messages/s"), "{progress}");
        load.interrupt();
        let output = load.end();
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        let report = json(&output);
        assert_eq!(report["interrupted"], true);
        assert!(report["messages"].as_u64() > Some(0), "{report}");
        assert_eq!(server.stop().get("received_bytes"), report["messages"].as_u64().expect("a number") * 64);
    });
}
