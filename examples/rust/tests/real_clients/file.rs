//! file, read by clients of several speeds.

use crate::on_each_backend;
use crate::server::{FILE, Server};
use std::fs;
use std::io::Read;

on_each_backend!(each_client_gets_the_whole_file);

fn each_client_gets_the_whole_file(backend: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sent");
    let content: Vec<u8> = (0..3_000_001).map(|at| (at % 251) as u8).collect();
    fs::write(&path, &content).expect("room for it");
    let server = Server::start(backend, FILE, &[path.as_ref()]);
    // All of them are served before the first is read.
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for mut client in clients {
        let mut read = Vec::new();
        client.read_to_end(&mut read).expect("a clean end");
        assert!(read == content, "{} bytes", read.len());
    }
}
