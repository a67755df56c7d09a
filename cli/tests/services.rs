//! `serve discard` and `serve chargen`.

mod common;

use common::{Server, on_each_backend};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

#[test]
fn discard_reads_all_and_sends_nothing() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "discard", &[]);
        let mut client = TcpStream::connect(&server.address).expect("accepted");
        client.write_all(&vec![1; 1_000_000]).expect("read by the server");
        client.shutdown(Shutdown::Write).expect("FIN");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("a clean end");
        assert!(answer.is_empty());
        drop(client);
        let statistics = server.stop();
        assert_eq!((statistics.get("received_bytes"), statistics.get("sent_bytes")), (1_000_000, 0));
    });
}

#[test]
fn chargen_sends_its_lines_until_the_client_ends() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "chargen", &[]);
        let mut client = BufReader::new(TcpStream::connect(&server.address).expect("accepted"));
        for number in 0..1000 {
            let mut line = String::new();
            client.read_line(&mut line).expect("a line");
            assert_eq!(line.len(), 74, "line {number}: {line}");
            assert!(line.ends_with("\r\n"), "line {number}: {line}");
            assert_eq!(line.as_bytes()[0], b' ' + (number % 95) as u8, "line {number}: {line}");
        }
        client.get_ref().shutdown(Shutdown::Write).expect("FIN");
        std::io::copy(&mut client, &mut std::io::sink()).expect("what was queued, then a clean end");
        assert_eq!(server.stop().get("farewells"), 1);
    });
}
