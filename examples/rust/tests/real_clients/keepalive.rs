//! keepalive, and clients that say nothing or something.

use crate::on_each_backend;
use crate::server::{KEEPALIVE, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A client is dropped when it has said nothing for so many times as long as it takes to be asked.
const PATIENCE: u32 = 5;

on_each_backend!(a_client_that_says_nothing_is_dropped, a_client_that_answers_is_kept);

fn a_client_that_says_nothing_is_dropped(backend: &str) {
    let server = Server::start(backend, KEEPALIVE, &["20".as_ref()]);
    let mut said = String::new();
    server.connect().read_to_string(&mut said).expect("a clean end");
    let pings = said.strip_suffix("bye\n").expect("a last word");
    assert!(!pings.is_empty() && pings.split_terminator('\n').all(|line| line == "ping"), "{said:?}");
}

fn a_client_that_answers_is_kept(backend: &str) {
    // One that the system kept from answering in time is dropped rightly; it tries again with more time.
    let times = [100, 500, 2500].map(Duration::from_millis);
    assert!(times.iter().any(|quiet| is_kept_while_it_answers(backend, *quiet)), "never in time");
}

/// Whether it was, for longer than a silent one is; false if it was dropped and had indeed been late.
fn is_kept_while_it_answers(backend: &str, quiet: Duration) -> bool {
    let server = Server::start(backend, KEEPALIVE, &[quiet.as_millis().to_string().as_ref()]);
    let mut last_said = Instant::now();
    let mut stream = server.connect();
    for _ in 0..6 {
        let Some(answering) = answer_a_ping(&mut stream) else {
            assert!(last_said.elapsed() >= PATIENCE * quiet, "after {:?} of {quiet:?}", last_said.elapsed());
            return false;
        };
        last_said = answering;
    }
    true
}

/// When the answer to a ping that was heard was begun; nothing if the connection ended instead.
fn answer_a_ping(stream: &mut TcpStream) -> Option<Instant> {
    let mut said = [0; 5];
    stream.read_exact(&mut said).ok()?;
    assert_eq!(&said, b"ping\n");
    let answering = Instant::now();
    stream.write_all(b"!").ok()?;
    stream.read_exact(&mut said[..1]).ok()?;
    (said[0] == b'!').then_some(answering)
}
