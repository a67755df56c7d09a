//! http and curl.

use crate::client::{run, run_for_text};
use crate::on_each_backend;
use crate::site::{INDEX, Site, large, split_response};
use std::os::unix::fs::symlink;
use std::path::Path;

on_each_backend!(
    curl_makes_several_requests_on_one_connection,
    head_and_old_versions,
    what_is_no_file_has_its_status,
    no_path_leads_out_of_the_directory,
    who_shuts_its_side_down_is_answered_first,
);

impl Site {
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
