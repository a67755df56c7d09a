//! redis, redis-benchmark, redis-cli and nc.

use crate::client::{run, run_for_text};
use crate::on_each_backend;
use crate::server::{REDIS, Server};

on_each_backend!(redis_benchmark_finishes_without_an_error, redis_cli_gets_its_replies, nc_types_inline_commands,);

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
