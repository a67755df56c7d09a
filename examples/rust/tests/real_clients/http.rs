//! http and curl, and what curl does not do.

use crate::client::{run, run_for_text};
use crate::on_both_backends;
use crate::server::{HTTP, Server};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

on_both_backends!(
    curl_makes_several_requests_on_one_connection,
    head_and_old_versions,
    what_is_no_file_has_its_status,
    no_path_leads_out_of_the_directory,
    pipelined_requests_are_answered_in_order,
    a_request_may_come_byte_by_byte,
    who_shuts_its_side_down_is_answered_first,
);

/// A directory with a few files in it; beside it a secret.
struct Site {
    directory: TempDir,
    server: Server,
}

const SECRET: &str = "nobody is to read this";
const INDEX: &str = "<p>welcome</p>\n";

impl Site {
    fn open(backend: &str) -> Site {
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

    fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("root")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// What curl prints for these requests: each body, then the status and how many connections it opened.
    fn curl(&self, options: &[&str], paths: &[&str]) -> String {
        let urls: Vec<String> = paths.iter().map(|path| self.url(path)).collect();
        let mut arguments = vec!["-s", "--path-as-is", "-w", "%{http_code} %{num_connects}\n"];
        arguments.extend(options.iter().copied().chain(urls.iter().map(String::as_str)));
        run_for_text("curl", &arguments)
    }
}

/// Several pieces, and not a whole number of them.
fn large() -> Vec<u8> {
    (0..300_001u32).map(|number| (number / 7) as u8).collect()
}

fn curl_makes_several_requests_on_one_connection(backend: &str) {
    let site = Site::open(backend);
    let paths = ["/", "/sub/a%20b.txt?query", "/none", "/empty", "/index.html"];
    let expected = format!("{INDEX}200 1\nspaced\n200 0\n404 Not Found\n404 0\n200 0\n{INDEX}200 0\n");
    assert_eq!(site.curl(&[], &paths), expected);
    let closing = site.curl(&["-H", "Connection: close"], &["/", "/"]);
    assert_eq!(closing, format!("{INDEX}200 1\n{INDEX}200 1\n"));
}

fn head_and_old_versions(backend: &str) {
    let site = Site::open(backend);
    let head = site.curl(&["-I"], &["/large", "/none"]);
    assert!(head.contains("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 300001\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n404 0\n"), "no body, and the connection lives: {head}");
    let old = site.curl(&["-0", "-i"], &["/", "/"]);
    assert_eq!(old.matches("Connection: close\r\n").count(), 2, "{old}");
    assert_eq!(old.matches("200 1\n").count(), 2, "{old}");
    let kept = site.curl(&["-0", "-H", "Connection: keep-alive"], &["/", "/"]);
    assert_eq!(kept, format!("{INDEX}200 1\n{INDEX}200 0\n"));
}

fn what_is_no_file_has_its_status(backend: &str) {
    let site = Site::open(backend);
    let posted = site.curl(&["-i", "-d", "a=b"], &["/"]);
    assert!(posted.contains("Allow: GET, HEAD\r\n") && posted.ends_with("405 1\n"), "{posted}");
    let long = format!("X-Long: {}", "a".repeat(20_000));
    assert!(site.curl(&["-H", &long], &["/"]).ends_with("431 1\n"));
    assert!(site.curl(&[], &["/sub"]).ends_with("404 1\n"), "a directory");
    assert!(site.curl(&[], &[&format!("/{}", "a".repeat(300))]).ends_with("404 1\n"), "longer than names are");
    for (request, status) in [
        ("nonsense\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/3.0\r\n\r\n", "505 HTTP Version Not Supported"),
        // The second request is in the first one's body: it is not answered.
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\nGET /large HTTP/1.0\r\n\r\n", "200 OK"),
    ] {
        let response = String::from_utf8(site.server.exchange(request.as_bytes())).expect("text");
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{request}: {response}");
    }
}

fn no_path_leads_out_of_the_directory(backend: &str) {
    let site = Site::open(backend);
    let root = site.root();
    let outside = root.with_file_name("secret");
    for (name, target) in [
        ("inner", Path::new("sub/a b.txt")),
        ("relative", Path::new("../secret")),
        ("absolute", &outside),
        ("up", Path::new("..")),
        ("sub/further", Path::new("../../secret")),
        ("itself", Path::new("itself")),
    ] {
        symlink(target, root.join(name)).expect("a link");
    }
    run("mkfifo", &[root.join("fifo").to_str().expect("text")], b"");
    assert_eq!(site.curl(&[], &["/inner"]), "spaced\n200 1\n");
    for path in [
        "/relative",
        "/absolute",
        "/up/secret",
        "/sub/further",
        "/up/root/../secret",
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/%2E./secret",
        "/..%2fsecret",
        "/..%5csecret",
        "/sub%2f..%2f..%2fsecret",
        "/%252e%252e/secret",
        "//etc/passwd",
        "/etc/passwd",
        "/%2fetc%2fpasswd",
        "/secret%00.html",
        "/fifo",
    ] {
        let printed = site.curl(&[], &[path]);
        assert!(matches!(printed.as_str(), "400 Bad Request\n400 1\n" | "404 Not Found\n404 1\n"), "{path}: {printed}");
    }
    assert!(!site.curl(&[], &["/itself"]).contains("200"));
}

/// A response without its date: the status, the connection, the body.
fn split_response<'a>(bytes: &mut &'a [u8], has_body: bool) -> (String, bool, &'a [u8]) {
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

fn pipelined_requests_are_answered_in_order(backend: &str) {
    const ROUNDS: usize = 20;
    let site = Site::open(backend);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let round =
        [get("/"), get("/large"), "HEAD /large HTTP/1.1\r\nHost: h\r\n\r\n".into(), get("/none"), get("/empty")];
    let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let all = format!("{}{last}{}", round.concat().repeat(ROUNDS), get("/after/the/last"));
    let responses = site.server.exchange(all.as_bytes());
    let (mut rest, ok, large) = (&responses[..], "HTTP/1.1 200 OK", large());
    for _ in 0..ROUNDS {
        assert_eq!(split_response(&mut rest, true), (ok.into(), true, INDEX.as_bytes()));
        assert!(split_response(&mut rest, true) == (ok.into(), true, &large));
        assert_eq!(split_response(&mut rest, false), (ok.into(), true, &b""[..]));
        assert_eq!(split_response(&mut rest, true), ("HTTP/1.1 404 Not Found".into(), true, &b"404 Not Found\n"[..]));
        assert_eq!(split_response(&mut rest, true), (ok.into(), true, &b""[..]));
    }
    assert_eq!(split_response(&mut rest, true), (ok.into(), false, INDEX.as_bytes()));
    assert_eq!(rest, b"");
}

fn a_request_may_come_byte_by_byte(backend: &str) {
    let site = Site::open(backend);
    let mut stream = site.server.connect();
    stream.set_nodelay(true).expect("an option");
    for byte in b"\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).expect("a server that reads");
    }
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("a clean end");
    assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n") && response.ends_with(INDEX.as_bytes()));
}

fn who_shuts_its_side_down_is_answered_first(backend: &str) {
    let site = Site::open(backend);
    let request = b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n".repeat(10);
    let responses = run("nc", &["-N", "127.0.0.1", &site.server.port()], &request);
    let mut rest = &responses[..];
    for _ in 0..10 {
        assert!(split_response(&mut rest, true).2 == large());
    }
    assert_eq!(rest, b"");
}
