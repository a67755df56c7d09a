//! The examples, and clients that are nothing but sockets: what other clients do not do, on every platform.

use crate::on_each_backend;
use crate::platform::is_reset_told_as_fin;
use crate::server::{CHAT, ECHO, REDIS, Server};
use crate::site::{INDEX, Site, large, split_response};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

on_each_backend!(
    echo_sends_back_what_comes,
    a_member_that_does_not_read_is_dropped_and_holds_up_nobody,
    pipelined_requests_are_answered_in_order,
    a_request_may_come_byte_by_byte,
    what_is_no_request_has_its_status,
    no_name_is_more_than_a_name,
    long_replies_to_pipelined_commands_all_come,
    a_command_that_is_too_long_is_refused,
);

fn echo_sends_back_what_comes(backend: &str) {
    let server = Server::start(backend, ECHO, &[]);
    let sent: Vec<u8> = (0..3_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut stream = server.connect();
    let mut sender = stream.try_clone().expect("a second handle");
    let received = thread::scope(|scope| {
        scope.spawn(|| {
            sender.write_all(&sent).expect("a server that reads");
            sender.shutdown(Shutdown::Write).expect("a FIN");
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).expect("a clean end");
        received
    });
    assert!(received == sent, "{} bytes came back of {}, or others", received.len(), sent.len());
}

/// More than the kernel and the queue of a member hold together.
const MORE_THAN_FITS: usize = 256 << 20;

fn a_member_that_does_not_read_is_dropped_and_holds_up_nobody(backend: &str) {
    let server = Server::start(backend, CHAT, &[]);
    let mut sleeper = server.connect();
    let mut welcome = [0; "* you are guest-1\n".len()];
    sleeper.read_exact(&mut welcome).expect("the welcome");
    let mut reader = BufReader::new(server.connect());
    let mut line = String::new();
    reader.read_line(&mut line).expect("the welcome");
    let mut talker = server.connect();

    // The reader reads everything before the next round: it never has more waiting than a round.
    let round = format!("{}\n", "a".repeat(511)).repeat(32);
    let (mut dropped, mut bytes) = (false, 0);
    while !dropped && bytes < MORE_THAN_FITS {
        talker.write_all(round.as_bytes()).expect("a server that reads");
        bytes += round.len();
        let mut heard = 0;
        while heard < 32 {
            line.clear();
            reader.read_line(&mut line).expect("what the talker wrote");
            heard += usize::from(line.starts_with("guest-3: "));
            dropped |= line == "* guest-1 has left\n";
        }
    }
    assert!(dropped, "{bytes} bytes were kept for a member that reads nothing");
    match sleeper.read_to_end(&mut Vec::new()) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        Ok(bytes) => assert!(is_reset_told_as_fin(), "a clean end after {bytes} bytes"),
    }
}

fn pipelined_requests_are_answered_in_order(backend: &str) {
    const ROUNDS: usize = 20;
    let site = Site::open(backend);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let round =
        [get("/"), get("/large"), "HEAD /large HTTP/1.1\r\nHost: h\r\n\r\n".into(), get("/none"), get("/empty")];
    let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let all = format!("{}{last}{}", round.concat().repeat(ROUNDS), get("/after/the/last"));
    let responses = site.server.exchange(all.as_bytes());
    let (mut rest, ok, large) = (&responses[..], "HTTP/1.1 200 OK", large());
    for _ in 0..ROUNDS {
        assert_eq!(split_response(&mut rest, true), (ok.into(), true, INDEX.as_bytes()));
        assert!(split_response(&mut rest, true) == (ok.into(), true, &large));
        assert_eq!(split_response(&mut rest, false), (ok.into(), true, &b""[..]));
        assert_eq!(split_response(&mut rest, true), ("HTTP/1.1 404 Not Found".into(), true, &b"404 Not Found\n"[..]));
        assert_eq!(split_response(&mut rest, true), (ok.into(), true, &b""[..]));
    }
    assert_eq!(split_response(&mut rest, true), (ok.into(), false, INDEX.as_bytes()));
    assert_eq!(rest, b"");
}

fn a_request_may_come_byte_by_byte(backend: &str) {
    let site = Site::open(backend);
    let mut stream = site.server.connect();
    stream.set_nodelay(true).expect("an option");
    for byte in b"\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).expect("a server that reads");
    }
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("a clean end");
    assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n") && response.ends_with(INDEX.as_bytes()));
}

fn what_is_no_request_has_its_status(backend: &str) {
    let site = Site::open(backend);
    for (request, status) in [
        ("nonsense\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/3.0\r\n\r\n", "505 HTTP Version Not Supported"),
        // The second request is in the first one's body: it is not answered.
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\nGET /large HTTP/1.0\r\n\r\n", "200 OK"),
    ] {
        let response = String::from_utf8(site.server.exchange(request.as_bytes())).expect("text");
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{request}: {response}");
    }
}

/// Names that mean something beyond their directory, to one system or another.
fn no_name_is_more_than_a_name(backend: &str) {
    let site = Site::open(backend);
    for path in [
        "/../secret",
        "/sub/../../secret",
        "/..%2fsecret",
        "/..%5csecret",
        "/sub%5c..%5c..%5csecret",
        "/C:/Windows/win.ini",
        "/C:%5cWindows%5cwin.ini",
        "/C:index.html",
        "/index.html::$DATA",
        "/%5c%5clocalhost%5cc$",
        "/NUL",
        "/CON",
        "/sub/aux.txt",
    ] {
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        let response = String::from_utf8(site.server.exchange(request.as_bytes())).expect("text");
        let status = response.lines().next().unwrap_or_default();
        assert!(matches!(status, "HTTP/1.1 400 Bad Request" | "HTTP/1.1 404 Not Found"), "{path}: {response}");
    }
}

fn long_replies_to_pipelined_commands_all_come(backend: &str) {
    const TIMES: usize = 400;
    let server = Server::start(backend, REDIS, &[]);
    let before = server.peak_memory();
    let value = vec![b'v'; 100_000];
    let mut stream = server.connect();
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n").expect("a server that reads");
    stream.write_all(&value).expect("a server that reads");
    stream.write_all(b"\r\n").expect("a server that reads");
    // Nothing is read until all are written: the replies are more than the kernel holds.
    stream.write_all(&b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(TIMES)).expect("a server that reads");
    stream.write_all(b"QUIT\r\n").expect("a server that reads");
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).expect("a clean end");
    let one = [b"$100000\r\n", &value[..], b"\r\n"].concat();
    assert!(replies == [b"+OK\r\n", &one.repeat(TIMES)[..], b"+OK\r\n"].concat(), "{} bytes", replies.len());
    let grown = server.peak_memory() - before;
    assert!(grown < 16 << 20, "{grown} bytes");
}

fn a_command_that_is_too_long_is_refused(backend: &str) {
    let server = Server::start(backend, REDIS, &[]);
    for (command, reply) in [
        (&b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9999999\r\n"[..], "invalid bulk length"),
        (b"*9999999\r\n", "invalid multibulk length"),
        (&[b'a'; 10_000], "too big inline request"),
        (b"*1\r\n!", "expected a bulk string"),
    ] {
        let printed = server.exchange(command);
        assert_eq!(String::from_utf8_lossy(&printed), format!("-ERR Protocol error: {reply}\r\n"));
    }
    assert_eq!(server.exchange(b"PING\r\nQUIT\r\n"), b"+PONG\r\n+OK\r\n");
}
