//! The scripts that are kept. A program of its own, since the target counts the descriptors of its process.

#![cfg(target_os = "linux")]

mod common;

use common::replay;

#[test]
fn no_script_finds_anything() {
    replay("interface", socket_iocp_fuzz::interface);
}

#[test]
fn scripts_make_every_call_of_the_header() {
    let sources = [
        include_str!("../src/interface/callbacks.rs"),
        include_str!("../src/interface/connecting.rs"),
        include_str!("../src/interface/files.rs"),
        include_str!("../src/interface/issue.rs"),
        include_str!("../src/interface/mail.rs"),
        include_str!("../src/interface/passing.rs"),
        include_str!("../src/interface/perform.rs"),
        include_str!("../src/interface/questions.rs"),
        include_str!("../src/interface/shutdown.rs"),
        include_str!("../src/interface/ways.rs"),
    ];
    let header = include_str!("../../../include/socket_iocp.h");
    let kinds = ["int ", "void ", "void *", "const char *"];
    let declared = header.lines().filter_map(|line| kinds.iter().find_map(|kind| line.strip_prefix(kind)));
    let calls = declared.filter(|line| line.starts_with("socket_iocp_")).filter_map(|line| line.split('(').next());
    let forgotten: Vec<_> =
        calls.filter(|call| !sources.iter().any(|source| source.contains(&format!("c::{call}(")))).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}
