//! http, carrying much: a large file to curl, many requests from wrk.

use crate::client::{run, run_for_text};
use crate::on_each_backend;
use crate::server::{HTTP, Server};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

on_each_backend!(wrk_sees_no_error);

const LARGE: u64 = 300 << 20;

/// Writes a large file of which no two pieces are the same.
fn write_large(path: &Path) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..LARGE / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes()).expect("room for 300 MB");
    }
    out.flush().expect("room for 300 MB");
}

/// One test for both backends, so that there is one such file.
#[test]
fn curl_downloads_a_large_file_byte_for_byte() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (served, downloaded) = (directory.path().join("large"), directory.path().join("downloaded"));
    write_large(&served);
    let (served, downloaded) = (served.to_str().expect("text"), downloaded.to_str().expect("text"));
    for backend in ["io_uring", "readiness"] {
        let server = Server::start(backend, HTTP, &[directory.path().as_os_str()]);
        run("curl", &["-sSf", "-o", downloaded, &format!("http://{}/large", server.address)], b"");
        run("cmp", &[served, downloaded], b"");
        // It is sent in pieces, never held as a whole.
        assert!(server.peak_memory() < 64 << 20, "{} bytes on {backend}", server.peak_memory());
    }
}

fn wrk_sees_no_error(backend: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("index.html"), [b'x'; 1000]).expect("a file");
    let server = Server::start(backend, HTTP, &[directory.path().as_os_str()]);
    let printed = run_for_text("wrk", &["-t1", "-c50", "-d2s", &format!("http://{}/", server.address)]);
    assert!(!printed.contains("Socket errors") && !printed.contains("Non-2xx"), "{printed}");
    let requests = printed.lines().find_map(|line| line.trim().split_once(" requests in ")).expect("wrk's summary").0;
    assert!(requests.parse::<u64>().expect("a number") > 0, "{printed}");
}
