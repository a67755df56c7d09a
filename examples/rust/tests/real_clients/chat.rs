//! chat and nc.

use crate::client::Typist;
use crate::on_each_backend;
use crate::server::{CHAT, Server};

on_each_backend!(members_read_what_others_type, a_line_that_is_too_long_ends_its_member,);

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
