//! What http serves in the tests.

use crate::server::{HTTP, Server};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A directory with a few files in it; beside it a secret.
pub struct Site {
    directory: TempDir,
    pub server: Server,
}

const SECRET: &str = "nobody is to read this";
pub const INDEX: &str = "<p>welcome</p>\n";

impl Site {
    pub fn open(backend: &str) -> Site {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        fs::create_dir_all(path.join("root/sub")).expect("a directory");
        fs::write(path.join("secret"), SECRET).expect("a file");
        fs::write(path.join("root/index.html"), INDEX).expect("a file");
        fs::write(path.join("root/sub/a b.txt"), "spaced\n").expect("a file");
        fs::write(path.join("root/empty"), "").expect("a file");
        fs::write(path.join("root/large"), large()).expect("a file");
        let server = Server::start(backend, HTTP, &[path.join("root").as_os_str()]);
        Site { directory, server }
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }
}

/// Several pieces, and not a whole number of them.
pub fn large() -> Vec<u8> {
    (0..300_001u32).map(|number| (number / 7) as u8).collect()
}

/// A response without its date: the status, the connection, the body.
pub fn split_response<'a>(bytes: &mut &'a [u8], has_body: bool) -> (String, bool, &'a [u8]) {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of a head") + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("text");
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
    let length: usize = field("Content-Length: ").parse().expect("a number");
    let status = head.lines().next().expect("a line").to_string();
    let stays = field("Connection: ") == "keep-alive";
    let (body, rest) = bytes[end..].split_at(if has_body { length } else { 0 });
    *bytes = rest;
    (status, stays, body)
}
