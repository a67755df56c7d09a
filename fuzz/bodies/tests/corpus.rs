//! The inputs that are kept, through the same functions: none of them panics.

mod common;

use common::replay;

#[test]
fn resp() {
    replay("resp", socket_iocp_fuzz::resp);
}

#[test]
fn http() {
    replay("http", socket_iocp_fuzz::http);
}

#[cfg(target_os = "linux")]
#[test]
fn options() {
    replay("options", socket_iocp_fuzz::options);
}
