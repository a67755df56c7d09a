//! chat and nc.

use crate::client::Typist;
use crate::on_both_backends;
use crate::server::{CHAT, Server};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};

on_both_backends!(
    members_read_what_others_type,
    a_line_that_is_too_long_ends_its_member,
    a_member_that_does_not_read_is_dropped_and_holds_up_nobody,
);

fn members_read_what_others_type(backend: &str) {
    let server = Server::start(backend, CHAT, &[]);
    let mut first = Typist::connect(&server.port());
    first.reads("* you are guest-1");
    let second = Typist::connect(&server.port());
    second.reads("* you are guest-2");
    first.reads("* guest-2 has joined");
    let mut third = Typist::connect(&server.port());
    third.reads("* you are guest-3");
    first.reads("* guest-3 has joined");
    second.reads("* guest-3 has joined");
    first.types("hel");
    first.types("lo\nand\x1b[2J more\r\n");
    for other in [&second, &third] {
        other.reads("guest-1: hello");
        other.reads("guest-1: and[2J more");
    }
    drop(second);
    first.reads("* guest-2 has left");
    third.reads("* guest-2 has left");
    third.types("bye\n");
    // Its own lines did not come back to it in between.
    first.reads("guest-3: bye");
}

fn a_line_that_is_too_long_ends_its_member(backend: &str) {
    let server = Server::start(backend, CHAT, &[]);
    let other = Typist::connect(&server.port());
    other.reads("* you are guest-1");
    let mut talker = Typist::connect(&server.port());
    talker.reads("* you are guest-2");
    talker.types(&format!("{}\n", "a".repeat(511)));
    talker.types(&"b".repeat(513));
    talker.reads("* that line is too long");
    talker.reads_end();
    other.reads("* guest-2 has joined");
    other.reads(&format!("guest-2: {}", "a".repeat(511)));
    other.reads("* guest-2 has left");
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
    let end = sleeper.read_to_end(&mut Vec::new());
    assert_eq!(end.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
}
