//! A wrong argument is one line on standard error and exit code 2.

mod common;

use common::{ABSENT_BACKEND, cannot_start, plain_tool};

#[test]
fn a_wrong_argument_is_one_line_and_exit_code_2() {
    for (arguments, part) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["nonsense"], "nonsense"),
        (&["serve"], "--listen"),
        (&["serve", "echo"], "--listen"),
        (&["serve", "echo", "--listen", "localhost"], "HOST:PORT"),
        (&["serve", "echo", "--listen", "::1:80"], "brackets"),
        (&["serve", "echo", "--listen", "127.0.0.1:0", "--read-buffer", "0"], "--read-buffer"),
        (&["load"], "<ADDR>"),
        (&["load", "127.0.0.1:99999"], "not a port"),
        (&["load", "127.0.0.1:1", "--rate", "fast"], "--rate"),
        (&["load", "127.0.0.1:1", "--messages", "5", "--duration", "5"], "--duration"),
        (&["probe", "--xml"], "--xml"),
    ] {
        let line = cannot_start(&mut plain_tool(arguments));
        assert!(line.contains(part), "{arguments:?}: {line}");
    }
}

#[test]
fn an_address_without_meaning_is_one_line_and_exit_code_2() {
    let line = cannot_start(&mut plain_tool(&["load", "no-such-host.invalid:80"]));
    assert!(line.contains("cannot resolve no-such-host.invalid:80"), "{line}");
    let long = format!("unix:/{}", "x".repeat(200));
    for arguments in [&["serve", "echo", "--listen", &long][..], &["load", &long]] {
        let line = cannot_start(&mut plain_tool(arguments));
        assert!(line.contains(&format!("cannot use {long}: ")), "{line}");
    }
}

#[test]
fn a_backend_that_is_not_to_be_had_is_one_line_and_exit_code_2() {
    for arguments in [&["serve", "echo", "--listen", "127.0.0.1:0"][..], &["demo"]] {
        let line = cannot_start(plain_tool(arguments).args(["--backend", ABSENT_BACKEND]));
        assert!(line.contains("backend"), "{line}");
        cannot_start(plain_tool(arguments).env("SOCKET_IOCP_BACKEND", "nonsense"));
    }
}
