//! A load that cannot connect is one line on standard error and exit code 2.

mod common;

use common::{REFUSED, cannot_start, on_each_backend, tool};
use std::net::TcpListener;

#[test]
fn a_load_on_a_port_where_nobody_listens_cannot_start() {
    on_each_backend(|backend| {
        // The listener is gone when the load comes, and its port was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let line = cannot_start(&mut tool(backend, &["load", &address.to_string()]));
        assert!(line.contains(&format!("cannot connect to {address}: ")) && line.contains(REFUSED), "{line}");
    });
}
