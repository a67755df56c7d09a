//! keepalive, and clients that say nothing or something.

use crate::on_each_backend;
use crate::server::{KEEPALIVE, Server};
use std::io::{Read, Write};

on_each_backend!(a_client_that_says_nothing_is_dropped, a_client_that_answers_is_kept);

fn a_client_that_says_nothing_is_dropped(backend: &str) {
    let server = Server::start(backend, KEEPALIVE, &["20".as_ref()]);
    let mut said = String::new();
    server.connect().read_to_string(&mut said).expect("a clean end");
    let pings = said.strip_suffix("bye\n").expect("a last word");
    assert!(!pings.is_empty() && pings.split_terminator('\n').all(|line| line == "ping"), "{said:?}");
}

fn a_client_that_answers_is_kept(backend: &str) {
    // It has four times as long to answer each.
    let server = Server::start(backend, KEEPALIVE, &["500".as_ref()]);
    let mut stream = server.connect();
    for _ in 0..6 {
        let mut ping = [0; 5];
        stream.read_exact(&mut ping).expect("a ping");
        assert_eq!(&ping, b"ping\n");
        stream.write_all(b"!").expect("a server that reads");
        let mut answer = [0];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"!");
    }
}
