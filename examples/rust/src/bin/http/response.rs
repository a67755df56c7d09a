//! Responses, as bytes.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// What a response without a file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    BadRequest,
    NotFound,
    MethodNotAllowed,
    HeadTooLarge,
    Internal,
    VersionNotSupported,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::HeadTooLarge => "431 Request Header Fields Too Large",
            Status::Internal => "500 Internal Server Error",
            Status::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// The head of the response with this file.
pub fn head(out: &mut Vec<u8>, path: &Path, length: u64, last: bool) {
    write_head(out, "200 OK", media_type(path), length, last, "");
}

/// A whole response that says why there is no file.
pub fn error(out: &mut Vec<u8>, status: Status, head_only: bool, last: bool) {
    let line = status.line();
    let extra = if status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
    write_head(out, line, "text/plain; charset=utf-8", line.len() as u64 + 1, last, extra);
    if !head_only {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

fn write_head(out: &mut Vec<u8>, line: &str, media_type: &str, length: u64, last: bool, extra: &str) {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let connection = if last { "close" } else { "keep-alive" };
    write!(
        out,
        "HTTP/1.1 {line}\r\nDate: {date}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\
         Connection: {connection}\r\n{extra}\r\n"
    )
    .expect("writing to a vector does not fail");
}

fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
