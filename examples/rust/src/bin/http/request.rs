//! The head of a request: `httparse` takes it apart, here is what it means to a server of files.

use crate::response::Status;
use httparse::{EMPTY_HEADER, Header, Status::Complete, Status::Partial};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Bytes of a request's head at most.
pub const MAX_HEAD: usize = 16 << 10;
/// Header fields of a request at most.
const MAX_FIELDS: usize = 64;

/// One request, its head read.
#[derive(PartialEq, Eq, Debug)]
pub struct Request {
    /// Bytes of its head.
    pub length: usize,
    /// The file asked for, below the root; or the answer to give instead.
    pub path: Result<PathBuf, Status>,
    /// HEAD: the body is left out.
    pub head_only: bool,
    /// No request follows on this connection.
    pub last: bool,
}

/// Reads the request at the beginning of `input`; `None` if its head is not there as a whole. After an error nobody knows
/// where the next request begins.
pub fn parse(input: &[u8]) -> Result<Option<Request>, Status> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    // Nothing beyond the largest head is looked at: the answer must not depend on how much of the input is here by now.
    let length = match head.parse(&input[..input.len().min(MAX_HEAD)]) {
        Ok(Complete(length)) => length,
        Ok(Partial) if input.len() < MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Status::HeadTooLarge),
        Err(httparse::Error::Version) => return Err(Status::VersionNotSupported),
        Err(_) => return Err(Status::BadRequest),
    };
    let (method, target) = (head.method.unwrap_or_default(), head.path.unwrap_or_default());
    let is_new = head.version == Some(1);
    let hosts = named(head.headers, "host").count();
    if hosts > 1 || (is_new && hosts == 0) {
        return Err(Status::BadRequest);
    }
    let path = if matches!(method, "GET" | "HEAD") { path_of(target) } else { Err(Status::MethodNotAllowed) };
    let stays = if is_new { !has_option(head.headers, "close") } else { has_option(head.headers, "keep-alive") };
    // A body is never read: the connection ends instead, so that no body is taken for a request.
    Ok(Some(Request { length, path, head_only: method == "HEAD", last: !stays || has_body(head.headers) }))
}

fn named<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

fn has_option(fields: &[Header<'_>], option: &str) -> bool {
    named(fields, "connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|given| given.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
}

fn has_body(fields: &[Header<'_>]) -> bool {
    named(fields, "transfer-encoding").next().is_some() || named(fields, "content-length").any(|length| length != b"0")
}

/// What no name of a file has. On Windows a colon parts a file's name from that of a second content of it.
const FORBIDDEN: &[char] = if cfg!(windows) { &['\0', ':'] } else { &['\0'] };

/// The file of a request's target (`/path?query`, or a whole `http://` address), relative to the root.
fn path_of(target: &str) -> Result<PathBuf, Status> {
    let target = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let target = target.split('?').next().unwrap_or_default();
    let names = target.strip_prefix('/').ok_or(Status::BadRequest)?;
    let mut path = PathBuf::new();
    for name in names.split('/').filter(|name| !name.is_empty()) {
        let name = percent_decoded(name).ok_or(Status::BadRequest)?;
        if name.contains(FORBIDDEN) || !is_one_name(&name) {
            return Err(Status::BadRequest);
        }
        path.push(name);
    }
    if target.ends_with('/') {
        path.push("index.html");
    }
    Ok(path)
}

/// A name that is nothing else: not `..`, and no encoded separator within.
fn is_one_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    components.next() == Some(Component::Normal(OsStr::new(name))) && components.next().is_none()
}

fn percent_decoded(name: &str) -> Option<String> {
    let mut bytes = name.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str) -> Request {
        parse(head.as_bytes()).expect("a request").expect("a whole one")
    }

    #[test]
    fn a_request_is_read_up_to_its_end() {
        let head = "GET /a/b%20c.txt?q=/../ HTTP/1.1\r\nHost: h\r\n\r\n";
        let expected = Request { length: head.len(), path: Ok("a/b c.txt".into()), head_only: false, last: false };
        assert_eq!(request(&format!("{head}GET / HTTP")), expected);
        assert!((0..head.len()).all(|end| parse(&head.as_bytes()[..end]) == Ok(None)));
    }

    #[test]
    fn targets_give_paths_below_the_root_or_none() {
        for (target, path) in [
            ("/", "index.html"),
            ("/a/", "a/index.html"),
            ("//a//b", "a/b"),
            ("/%61", "a"),
            ("/...", "..."),
            ("http://host/a", "a"),
            ("HTTP://host", "index.html"),
        ] {
            assert_eq!(path_of(target), Ok(path.into()), "{target}");
        }
        for target in [
            "*",
            "a",
            "/..",
            "/a/../b",
            "/%2e%2e/b",
            "/a%2fb",
            "/a/.",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/%ff",
            "/a%2f",
            "https:/a",
            "http:/a",
        ] {
            assert_eq!(path_of(target), Err(Status::BadRequest), "{target}");
        }
    }

    #[test]
    fn what_ends_a_connection() {
        for (head, last) in [
            ("GET / HTTP/1.1\r\nHost: h\r\n", false),
            ("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n", true),
            ("GET / HTTP/1.0\r\n", true),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", false),
            ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n", false),
            ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n", true),
            ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n", true),
        ] {
            assert_eq!(request(&format!("{head}\r\n")).last, last, "{head}");
        }
    }

    #[test]
    fn methods() {
        assert!(request("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").head_only);
        assert_eq!(request("POST / HTTP/1.1\r\nHost: h\r\n\r\n").path, Err(Status::MethodNotAllowed));
    }

    #[test]
    fn heads_that_cannot_be_followed() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(MAX_HEAD));
        let endless = "\r\n".repeat(MAX_HEAD / 2);
        let long_and_wrong = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\0\r\n\r\n", "b".repeat(MAX_HEAD));
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS));
        for (head, status) in [
            ("GET / HTTP/1.1\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.1\r\nHost : h\r\n\r\n", Status::BadRequest),
            ("GET  / HTTP/1.1\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/2.0\r\n\r\n", Status::VersionNotSupported),
            (&long, Status::HeadTooLarge),
            (&long[..MAX_HEAD], Status::HeadTooLarge),
            (&long_and_wrong, Status::HeadTooLarge),
            (&endless, Status::HeadTooLarge),
            (&many, Status::HeadTooLarge),
        ] {
            assert_eq!(parse(head.as_bytes()), Err(status), "{}", &head[..head.len().min(60)]);
        }
    }
}
