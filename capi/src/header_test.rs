//! Holds `include/socket_iocp.h` to what the library does: error codes, numbers and versions are the same in both.

use crate::abi::{self, Operation};
use engine::{BackendKind, ErrorCode};
use std::collections::BTreeMap;
use std::ffi::c_int;

const HEADER: &str = include_str!(env!("SOCKET_IOCP_HEADER"));

/// The constants of the header with this prefix, defined by `=` or by `#define`.
fn constants(prefix: &str) -> BTreeMap<String, i64> {
    let lines = HEADER.lines().map(|line| line.trim().trim_start_matches("#define "));
    let named = lines.filter(|line| line.starts_with(prefix));
    named
        .filter_map(|line| {
            let value = line.split("/*").next().unwrap_or(line).replace(['=', '(', ')', ','], " ");
            let mut words = value.split_whitespace();
            let (name, number) = (words.next()?, words.next()?.parse().ok()?);
            assert_eq!(words.next(), None, "one constant a line: {line}");
            Some((name.to_owned(), number))
        })
        .collect()
}

#[test]
fn error_codes_are_the_same_in_header_engine_and_strerror() {
    let engine: BTreeMap<String, i64> =
        ErrorCode::ALL.iter().map(|code| (code.c_name().to_owned(), i64::from(*code as i32))).collect();
    assert_eq!(engine.len(), ErrorCode::ALL.len());
    assert_eq!(constants("SOCKET_IOCP_E_"), engine);
    for code in ErrorCode::ALL {
        let expected = format!("{}: {}", code.c_name(), code.text());
        assert_eq!(crate::strings::error_text(*code as c_int).to_str(), Ok(expected.as_str()));
    }
    for unknown in [1, c_int::MIN, c_int::MAX, -1 - ErrorCode::ALL.len() as c_int] {
        assert_eq!(crate::strings::error_text(unknown), c"unknown error code");
    }
    assert_eq!(crate::strings::error_text(0), c"success");
}

#[test]
fn operations_are_the_same() {
    let expected = [
        ("ACCEPT", Operation::Accept),
        ("FAREWELL", Operation::Farewell),
        ("LISTEN_FAREWELL", Operation::ListenFarewell),
        ("RECV", Operation::Recv),
        ("SEND", Operation::Send),
        ("WATERMARK", Operation::Watermark),
        ("TIMER", Operation::Timer),
        ("CONNECT", Operation::Connect),
    ]
    .map(|(name, operation)| (format!("SOCKET_IOCP_OPERATION_{name}"), operation as i64));
    assert_eq!(constants("SOCKET_IOCP_OPERATION_"), BTreeMap::from(expected));
}

#[test]
fn backends_and_threads_are_the_same() {
    let expected = [
        ("DEFAULT", 0),
        ("IO_URING", BackendKind::IoUring as i64),
        ("IOCP", BackendKind::Iocp as i64),
        ("READINESS", BackendKind::Readiness as i64),
    ]
    .map(|(name, number)| (format!("SOCKET_IOCP_BACKEND_{name}"), number));
    assert_eq!(constants("SOCKET_IOCP_BACKEND_"), BTreeMap::from(expected));
    let threads = [("DEFAULT", 0), ("NONE", i64::from(abi::THREADS_NONE))];
    let threads = threads.map(|(name, number)| (format!("SOCKET_IOCP_THREADS_{name}"), number));
    assert_eq!(constants("SOCKET_IOCP_THREADS_"), BTreeMap::from(threads));
}

#[test]
fn switches_are_the_same() {
    let switches = [("DEFAULT", 0), ("ON", abi::SWITCH_ON), ("OFF", abi::SWITCH_OFF)];
    let switches = switches.map(|(name, number)| (format!("SOCKET_IOCP_SWITCH_{name}"), number.into()));
    assert_eq!(constants("SOCKET_IOCP_SWITCH_"), BTreeMap::from(switches));
}

#[test]
fn the_limit_of_a_vectored_send_is_the_same() {
    let limit = engine::SendBuffer::MAX_PARTS as i64;
    assert_eq!(constants("SOCKET_IOCP_MAX_BUFFERS"), BTreeMap::from([("SOCKET_IOCP_MAX_BUFFERS".to_owned(), limit)]));
}

#[test]
fn the_limit_of_what_is_passed_with_a_socket_is_the_same() {
    let limit = engine::MAX_PASSED_DATA as i64;
    assert_eq!(
        constants("SOCKET_IOCP_MAX_PASSED"),
        BTreeMap::from([("SOCKET_IOCP_MAX_PASSED_DATA".to_owned(), limit)])
    );
}

#[test]
fn the_length_to_the_end_of_a_file_is_the_same() {
    assert!(HEADER.contains("\n#define SOCKET_IOCP_TO_THE_END UINT64_MAX\n"));
    assert_eq!(abi::TO_THE_END, u64::MAX);
}

#[test]
fn versions_are_the_same() {
    let parts = constants("SOCKET_IOCP_VERSION_");
    let part = |name: &str| parts[&format!("SOCKET_IOCP_VERSION_{name}")];
    let header = format!("{}.{}.{}", part("MAJOR"), part("MINOR"), part("PATCH"));
    assert_eq!(header, env!("CARGO_PKG_VERSION"));
    assert_eq!(crate::strings::VERSION.to_str(), Ok(header.as_str()));
}

#[test]
fn every_call_of_the_library_is_in_the_header() {
    let sources = [
        include_str!("calls.rs"),
        include_str!("connecting.rs"),
        include_str!("datagrams.rs"),
        include_str!("passing.rs"),
        include_str!("queries.rs"),
        include_str!("sends.rs"),
        include_str!("timed.rs"),
    ];
    let mut defined: Vec<&str> = sources.iter().flat_map(|source| functions(source, "extern \"C\" fn ")).collect();
    let mut declared: Vec<&str> = ["int ", "void ", "void *", "const char *"]
        .iter()
        .flat_map(|kind| HEADER.lines().filter_map(move |line| line.strip_prefix(kind)))
        .filter(|line| line.starts_with("socket_iocp_"))
        .filter_map(|line| line.split('(').next())
        .collect();
    defined.sort_unstable();
    declared.sort_unstable();
    assert_eq!(defined, declared);
}

fn functions<'s>(source: &'s str, before: &str) -> Vec<&'s str> {
    source.split(before).skip(1).filter_map(|rest| rest.split('(').next()).collect()
}
