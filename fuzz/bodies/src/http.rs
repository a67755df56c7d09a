//! The parser of the http example.

use crate::pieces::{Parsed, parse_in_pieces};
use crate::request::{self, MAX_HEAD, Request};
use crate::response::Status;
use std::path::{Component, Path};

/// Requests are the same however they arrive, within their bounds, agree with `httparse`, and name files below the root.
pub fn http(input: &[u8]) {
    let found: Vec<Result<Request, Status>> = parse_in_pieces(input, MAX_HEAD, |input| match request::parse(input) {
        Ok(Some(request)) => {
            check(&request, input);
            let length = request.length;
            Parsed::Whole(Ok(request), length)
        }
        Ok(None) => Parsed::More,
        Err(status) => Parsed::Wrong(Err(status)),
    });
    drop(found);
}

fn check(request: &Request, input: &[u8]) {
    assert!(request.length <= MAX_HEAD, "a head of {} bytes", request.length);
    let mut fields = [httparse::EMPTY_HEADER; 1024];
    let mut head = httparse::Request::new(&mut fields);
    assert_eq!(head.parse(input), Ok(httparse::Status::Complete(request.length)));
    assert_eq!(request.head_only, head.method == Some("HEAD"));
    if let Ok(path) = &request.path {
        assert!(is_below_root(path), "{} leads elsewhere", path.display());
    }
}

fn is_below_root(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}
