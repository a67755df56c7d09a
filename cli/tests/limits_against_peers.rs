//! `serve --idle-timeout` and `serve echo --max-queued-bytes`.

mod common;

use common::{Server, cannot_start, on_each_backend, plain_tool};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

const READ_BUFFER_BYTES: usize = 4096;

fn exchange(client: &mut TcpStream) {
    client.write_all(b"hello").expect("a live connection");
    let mut echo = [0; 5];
    client.read_exact(&mut echo).expect("the echo");
    assert_eq!(&echo, b"hello");
}

#[test]
fn a_silent_client_is_reset_after_the_idle_timeout() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &["--idle-timeout", "1"]);
        let mut silent = TcpStream::connect(&server.address).expect("accepted");
        let ended = silent.read(&mut [0]).expect_err("a reset, and no FIN");
        assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
        exchange(&mut TcpStream::connect(&server.address).expect("accepted"));
        assert_eq!(server.stop().get("panics"), 0);
    });
}

#[test]
fn a_queueing_echo_stops_reading_and_loses_nothing() {
    on_each_backend(|backend| {
        let (read_buffer, limit) = (READ_BUFFER_BYTES.to_string(), (4 * READ_BUFFER_BYTES).to_string());
        let server = Server::start(backend, "echo", &["--read-buffer", &read_buffer, "--max-queued-bytes", &limit]);
        let mut client = TcpStream::connect(&server.address).expect("accepted");
        // More than the kernel and a server with this limit hold.
        let bytes: Vec<u8> = (0..32_usize << 20).map(|at| (at % 251) as u8).collect();
        let taken = write_until_stuck(&mut client, &bytes, || {
            exchange(&mut TcpStream::connect(&server.address).expect("the others are served"));
        });
        assert!(taken < bytes.len(), "the server takes everything");
        let mut reader = client.try_clone().expect("a second owner");
        let echo = thread::scope(|scope| {
            let echo = scope.spawn(|| {
                let mut echo = vec![0; bytes.len()];
                reader.read_exact(&mut echo).expect("every byte");
                echo
            });
            client.write_all(&bytes[taken..]).expect("taken, now that it is read");
            echo.join().expect("no panic")
        });
        assert!(echo == bytes, "the bytes are not those written");
    });
}

/// Writes until there is no room, though the server has served others since; how many bytes that was.
fn write_until_stuck(client: &mut TcpStream, bytes: &[u8], mut serve_others: impl FnMut()) -> usize {
    let (mut taken, mut idle_rounds) = (0, 0);
    client.set_nonblocking(true).expect("a nonblocking socket");
    while idle_rounds < 20 && taken < bytes.len() {
        match client.write(&bytes[taken..]) {
            Ok(count) => {
                taken += count;
                idle_rounds = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                idle_rounds += 1;
            }
        }
        serve_others();
    }
    client.set_nonblocking(false).expect("a blocking socket");
    taken
}

#[test]
fn a_queue_that_holds_no_read_buffer_is_refused() {
    let serve = ["serve", "echo", "--listen", "127.0.0.1:0", "--max-queued-bytes", "16383"];
    let line = cannot_start(&mut plain_tool(&serve));
    assert!(line.contains("at least a read buffer: 16384 bytes"), "{line}");
    let serve = ["serve", "discard", "--listen", "127.0.0.1:0", "--max-queued-bytes", "65536"];
    assert!(cannot_start(&mut plain_tool(&serve)).contains("for echo"));
}
