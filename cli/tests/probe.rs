//! `socket-iocp probe`.

mod common;

use common::{describe, json, on_each_backend, plain_tool, run, tool};
use std::process::Stdio;

#[test]
fn an_override_is_told_and_hides_no_backend() {
    let free = json(&run(&mut plain_tool(&["probe", "--json"])));
    assert_eq!(free["overrides"].as_array().map(Vec::len), Some(0));
    assert_eq!(free["version"], env!("CARGO_PKG_VERSION"));
    on_each_backend(|backend| {
        let output = run(&mut tool(backend, &["probe", "--json"]));
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        let forced = json(&output);
        assert_eq!(forced["default_backend"], backend);
        assert_eq!(forced["backends"], free["backends"]);
        assert_eq!(forced["overrides"][0]["value"], backend);
    });
}

#[test]
fn an_override_that_makes_no_port_is_told() {
    let output = run(&mut tool("nonsense", &["probe"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
    assert!(text.contains("a port here  cannot be made: "), "{text}");
    assert!(text.contains("environment  SOCKET_IOCP_BACKEND=nonsense"), "{text}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    for arguments in [&["probe"][..], &["probe", "--json"], &["--help"]] {
        let mut child = plain_tool(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", describe(&output));
    }
}
