//! metrics and curl: a scrape, held against the text format of Prometheus.

use crate::client::run_for_text;
use crate::on_each_backend;
use crate::server::{METRICS, Server};
use std::collections::HashMap;

on_each_backend!(a_scrape_is_in_the_text_format, the_counters_are_those_of_the_port, other_requests_have_their_status);

/// One scrape: the head and the body.
fn scrape(server: &Server) -> (String, String) {
    let url = format!("http://{}/metrics", server.address);
    let answer = run_for_text("curl", &["-s", "-i", "--fail", &url]);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// A name of a metric or a label: letters, digits and underscores, the first no digit.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().enumerate().all(|(at, byte)| letter(byte) || at > 0 && byte.is_ascii_digit()) && !name.is_empty()
}

/// The samples by name and labels, after every rule of the format has been looked at.
fn samples(body: &str) -> HashMap<String, f64> {
    assert!(body.ends_with('\n'), "the last line ends too");
    let (mut samples, mut types) = (HashMap::new(), HashMap::new());
    let mut family = None;
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a name and a text");
            assert!(is_name(name) && !text.is_empty() && !types.contains_key(name), "{line}");
            family = Some(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            assert!(Some(name) == family && matches!(kind, "counter" | "gauge"), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert_eq!(types.insert(name, kind), None, "{line}");
        } else {
            let (series, value) = line.split_once(' ').expect("a series and a value");
            let (name, labels) = series.split_once('{').expect("labels");
            let (label, text) = labels.strip_suffix("\"}").and_then(|one| one.split_once("=\"")).expect("one label");
            assert!(Some(name) == family && types.contains_key(name) && is_name(label), "{line}");
            assert!(text.bytes().all(|byte| byte.is_ascii_digit()), "{line}");
            let value = value.parse().expect("a number");
            assert_eq!(samples.insert(series.to_owned(), value), None, "a series twice: {line}");
        }
    }
    samples
}

fn sum(samples: &HashMap<String, f64>, name: &str) -> f64 {
    let of_name = |series: &String| series.split('{').next() == Some(name);
    samples.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| value).sum()
}

fn a_scrape_is_in_the_text_format(backend: &str) {
    let server = Server::start(backend, METRICS, &[]);
    let (head, body) = scrape(&server);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    let samples = samples(&body);
    let workers = samples.keys().filter(|series| series.starts_with("socket_iocp_accepts_total{")).count();
    assert!(workers > 0 && samples.len().is_multiple_of(workers), "{body}");
}

fn the_counters_are_those_of_the_port(backend: &str) {
    let server = Server::start(backend, METRICS, &[]);
    let scrapes: Vec<_> = (0..5).map(|_| samples(&scrape(&server).1)).collect();
    for (number, scrape) in (1..).zip(&scrapes) {
        assert_eq!(sum(scrape, "socket_iocp_accepts_total"), f64::from(number), "its own connection is the last");
        assert!(sum(scrape, "socket_iocp_recvs_total") >= f64::from(number));
        assert!(sum(scrape, "socket_iocp_sockets") >= 1.0);
        assert!(sum(scrape, "socket_iocp_waits_total") > 0.0);
        assert_eq!(sum(scrape, "socket_iocp_panics_total"), 0.0);
    }
    let sent = |scrape| sum(scrape, "socket_iocp_sent_bytes_total");
    assert!(scrapes.windows(2).all(|two| sent(&two[0]) <= sent(&two[1])), "counters only grow");
    assert!(sent(&scrapes[4]) > 0.0);
}

fn other_requests_have_their_status(backend: &str) {
    let server = Server::start(backend, METRICS, &[]);
    let status = |request: &[u8]| String::from_utf8_lossy(&server.exchange(request)[..12]).into_owned();
    assert_eq!(status(b"GET /other HTTP/1.1\r\n\r\n"), "HTTP/1.1 404");
    assert_eq!(status(b"POST /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405");
    assert_eq!(status(b"nonsense\r\n\r\n"), "HTTP/1.1 400");
    assert_eq!(status(&[b'x'; 9000]), "HTTP/1.1 400");
}
