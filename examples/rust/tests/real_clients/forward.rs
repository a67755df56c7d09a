//! forward in front of echo.

use crate::on_each_backend;
use crate::server::{ECHO, FORWARD, Server};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

on_each_backend!(
    it_hands_on_both_ways,
    a_target_that_is_not_there_ends_the_client,
    an_answer_after_the_last_word_arrives,
    the_target_may_be_a_name
);

fn it_hands_on_both_ways(backend: &str) {
    let echo = Server::start(backend, ECHO, &[]);
    let target = echo.address.to_string();
    let server = Server::start(backend, FORWARD, &[target.as_ref()]);
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let sent: Vec<u8> = (0..100_000).map(|place| (place % 251) as u8).collect();
    for stream in &mut clients {
        let mut reader = stream.try_clone().expect("a second descriptor");
        let mut read = vec![0; sent.len()];
        std::thread::scope(|scope| {
            scope.spawn(|| reader.read_exact(&mut read).expect("the echo"));
            stream.write_all(&sent).expect("a server that reads");
        });
        assert!(read == sent);
    }
}

fn a_target_that_is_not_there_ends_the_client(backend: &str) {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a loopback port").local_addr().expect("an address").to_string();
    let server = Server::start(backend, FORWARD, &[gone.as_ref()]);
    let mut byte = [0];
    // By FIN, or by reset if it is told while it speaks.
    assert!(!matches!(server.connect().read(&mut byte), Ok(1..)));
}

fn an_answer_after_the_last_word_arrives(backend: &str) {
    let target = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = target.local_addr().expect("an address").to_string();
    let server = Server::start(backend, FORWARD, &[address.as_ref()]);
    let mut client = server.connect();
    let (mut far, _) = target.accept().expect("a connection");
    client.write_all(b"question").expect("a server that reads");
    client.shutdown(Shutdown::Write).expect("a half-close");
    let mut question = Vec::new();
    far.read_to_end(&mut question).expect("the end of it");
    far.write_all(b"answer").expect("a server that reads");
    drop(far);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("the end of it");
    assert_eq!((question.as_slice(), answer.as_slice()), (&b"question"[..], &b"answer"[..]));
}

fn the_target_may_be_a_name(backend: &str) {
    let target = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let name = format!("localhost:{}", target.local_addr().expect("an address").port());
    let server = Server::start(backend, FORWARD, &[name.as_ref()]);
    let mut client = server.connect();
    client.write_all(b"hello").expect("a server that reads");
    let mut hello = [0; 5];
    target.accept().expect("a connection").0.read_exact(&mut hello).expect("what was said");
    assert_eq!(&hello, b"hello");
}
