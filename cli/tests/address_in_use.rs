//! An address that another server has is one line on standard error and exit code 2.

mod common;

use common::{IN_USE, Server, cannot_start, on_each_backend, tool};

#[test]
fn a_second_server_on_an_address_cannot_start() {
    on_each_backend(|backend| {
        let path = std::env::temp_dir().join(format!("socket-iocp-in-use-{}-{backend}", std::process::id()));
        let addresses = ["127.0.0.1:0".to_owned(), format!("unix:{}", path.display())];
        // Unix sockets are not supported on Windows.
        for address in addresses.into_iter().take(if cfg!(unix) { 2 } else { 1 }) {
            let first = Server::start_on(backend, "echo", &address, &[]);
            let line = cannot_start(&mut tool(backend, &["serve", "echo", "--listen", &first.address]));
            assert!(line.contains(&format!("cannot listen on {}", first.address)), "{line}");
            assert!(line.contains(IN_USE), "{line}");
            first.stop();
        }
        assert!(!path.exists(), "the server removes its file");
    });
}
