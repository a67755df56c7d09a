//! More connections than descriptors is one line on standard error and exit code 2; a low soft limit is raised. Windows
//! has no such limit.
#![cfg(unix)]

mod common;

use common::{cannot_start, describe, on_each_backend, plain_tool, run, tool};
use std::process::Command;

/// The tool in a shell that sets a limit first.
fn limited(backend: &str, limit: &str, arguments: &[&str]) -> Command {
    let inner = tool(backend, arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]).arg(inner.get_program());
    command.args(inner.get_args()).env("SOCKET_IOCP_BACKEND", backend);
    command
}

#[test]
fn connections_above_the_hard_limit_cannot_start() {
    on_each_backend(|backend| {
        for arguments in [&["load", "127.0.0.1:9", "--connections", "500"][..], &["demo", "--connections", "250"]] {
            let line = cannot_start(&mut limited(backend, "-n 300", arguments));
            assert!(line.contains(" connections need ") && line.contains("this process may have 300"), "{line}");
        }
    });
}

#[test]
fn a_soft_limit_below_the_need_is_raised() {
    on_each_backend(|backend| {
        let arguments = ["demo", "--connections", "200", "--duration", "0.2"];
        let output = run(&mut limited(backend, "-S -n 64", &arguments));
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
    });
}

#[test]
fn probe_tells_the_limits() {
    let output = run(Command::new("sh")
        .args(["-c", "ulimit -S -n 77 && exec \"$0\" probe --json"])
        .arg(plain_tool(&[]).get_program()));
    assert_eq!(common::json(&output)["descriptors"]["soft"], 77);
}
