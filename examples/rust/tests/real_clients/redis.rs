//! redis, redis-benchmark, redis-cli and nc.

use crate::client::{run, run_for_text};
use crate::on_both_backends;
use crate::server::{REDIS, Server};
use std::io::{Read, Write};

on_both_backends!(
    redis_benchmark_finishes_without_an_error,
    redis_cli_gets_its_replies,
    nc_types_inline_commands,
    long_replies_to_pipelined_commands_all_come,
    a_command_that_is_too_long_is_refused,
);

fn redis_benchmark_finishes_without_an_error(backend: &str) {
    let server = Server::start(backend, REDIS, &[]);
    let load = ["-P", "16", "-c", "50", "-n", "100000", "-t", "ping,set,get,incr", "-q"];
    let printed = run_for_text("redis-benchmark", &[&["-p", &server.port()], &load[..]].concat());
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"] {
        let is_result = |line: &str| line.starts_with(&format!("{test}: ")) && line.contains("requests per second");
        assert!(printed.split(['\r', '\n']).any(is_result), "no result of {test} in: {printed}");
    }
    assert!(!printed.to_lowercase().contains("err") && !printed.contains("WARNING"), "{printed}");
    // Each of the requests was served once: the counter tells.
    assert_eq!(run_for_text("redis-cli", &["-p", &server.port(), "get", "counter:__rand_int__"]), "100000\n");
}

fn redis_cli_gets_its_replies(backend: &str) {
    let server = Server::start(backend, REDIS, &[]);
    for (command, reply) in [
        (&["PING"][..], "PONG\n"),
        (&["ECHO", "a b"], "a b\n"),
        (&["GET", "none"], "\n"),
        (&["SET", "k", "v"], "OK\n"),
        (&["GET", "k"], "v\n"),
        (&["INCR", "n"], "1\n"),
        (&["INCR", "n"], "2\n"),
        (&["INCR", "k"], "ERR value is not an integer or out of range\n\n"),
        (&["DEL", "k", "n", "none"], "2\n"),
        (&["CONFIG", "GET", "save"], "save\n\n"),
        (&["COMMAND", "DOCS"], "\n"),
        (&["-3", "PING"], "PONG\n"),
        (&["FLY"], "ERR unknown command 'FLY'\n\n"),
    ] {
        assert_eq!(run_for_text("redis-cli", &[&["-p", &server.port()], command].concat()), reply, "{command:?}");
    }
    // As many on one connection, from the standard input.
    let replies = run("redis-cli", &["-p", &server.port()], &b"INCR many\n".repeat(1000));
    let expected: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    assert!(replies == expected.as_bytes());
}

fn nc_types_inline_commands(backend: &str) {
    let server = Server::start(backend, REDIS, &[]);
    let replies = run("nc", &["127.0.0.1", &server.port()], b"set k v\r\n\r\nGET k\nquit\r\nGET k\r\n");
    assert_eq!(String::from_utf8_lossy(&replies), "+OK\r\n$1\r\nv\r\n+OK\r\n");
}

fn long_replies_to_pipelined_commands_all_come(backend: &str) {
    const TIMES: usize = 400;
    let server = Server::start(backend, REDIS, &[]);
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
    assert!(server.peak_memory() < 32 << 20, "{} bytes", server.peak_memory());
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
