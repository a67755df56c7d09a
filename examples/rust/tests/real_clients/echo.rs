//! echo and nc.

use crate::client::run;
use crate::on_each_backend;
use crate::server::{ECHO, Server};

on_each_backend!(nc_gets_back_what_it_sends);

fn nc_gets_back_what_it_sends(backend: &str) {
    let server = Server::start(backend, ECHO, &[]);
    let sent: Vec<u8> = (0..3_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    // -N: nc shuts its side down at the end of its input, then the server ends the connection, then nc ends.
    let received = run("nc", &["-N", "127.0.0.1", &server.port()], &sent);
    assert!(received == sent, "{} bytes came back of {}, or others", received.len(), sent.len());
}
