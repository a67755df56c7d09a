//! Servers that share an address by `--reuse-port` share its connections. Nobody else gets in.
#![cfg(target_os = "linux")]

mod common;

use common::{IN_USE, Server, cannot_start, describe, on_each_backend, run, tool};

const CONNECTIONS: u64 = 400;

#[test]
fn two_processes_share_the_connections_of_an_address() {
    on_each_backend(|backend| {
        let first = Server::start(backend, "echo", &["--reuse-port", "--workers", "1"]);
        let second = Server::start_on(backend, "echo", &first.address, &["--reuse-port", "--workers", "1"]);
        assert_eq!(second.address, first.address);
        let connections = CONNECTIONS.to_string();
        let load = ["load", &first.address, "--quiet", "--messages", "4000", "--connections", &connections];
        let output = run(&mut tool(backend, &load));
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        let accepts = [first, second].map(|server| server.stop().get("accepts"));
        assert_eq!(accepts[0] + accepts[1], CONNECTIONS);
        // By a hash of the addresses: a quarter is ten standard deviations below the half.
        assert!(accepts.iter().all(|accepts| *accepts > CONNECTIONS / 4), "{accepts:?}");
    });
}

#[test]
fn whoever_does_not_share_is_refused() {
    on_each_backend(|backend| {
        for (shares, joins) in [(&["--reuse-port"][..], &[][..]), (&[], &["--reuse-port"])] {
            let first = Server::start(backend, "echo", shares);
            let line = cannot_start(tool(backend, &["serve", "echo", "--listen", &first.address]).args(joins));
            assert!(line.contains(IN_USE), "{line}");
            first.stop();
        }
    });
}
