//! What only descriptors in messages can do wrong: there is none, there is no room for it, or the channel forgets it. ("Other
//! sockets".)

#![cfg(unix)]

use socket_iocp::{ErrorCode, pass_socket, take_passed_socket};
use socket_iocp_testkit::{platform, tcp_pair};
use std::io::Write;

/// One test of a program of its own, since it changes the limit of its process.
#[test]
fn what_came_without_a_socket_is_told() {
    a_channel_of_another_family_is_refused();
    a_message_without_a_socket_is_refused();
    without_a_free_descriptor_the_next_message_is_whole();
}

fn a_channel_of_another_family_is_refused() {
    let ((sending, _receiving), (socket, _client)) = (tcp_pair(), tcp_pair());
    let refused = pass_socket(&sending, 0, &socket, b"").expect_err("it would lose the socket");
    assert_eq!(refused.code(), ErrorCode::InvalidArgument);
}

/// As a program would send it that knows the form and gives nothing.
fn a_message_without_a_socket_is_refused() {
    let (mut sending, receiving) = platform::pairs(1).remove(0);
    sending.write_all(b"soc1\0\0\0\0").expect("a reader");
    assert_eq!(take_passed_socket(&receiving).expect_err("no socket").code(), ErrorCode::InvalidArgument);
}

fn without_a_free_descriptor_the_next_message_is_whole() {
    let (sending, receiving) = platform::pairs(1).remove(0);
    let (socket, _client) = tcp_pair();
    for data in [b"first", b"again"] {
        pass_socket(&sending, 0, &socket, data).expect("a reader");
    }
    let limit = platform::number_of(&platform::null_device());
    set_limit(limit as libc::rlim_t);
    assert_eq!(take_passed_socket(&receiving).expect_err("no descriptor").code(), ErrorCode::NoDescriptors);
    set_limit(limit as libc::rlim_t + 1);
    assert_eq!(take_passed_socket(&receiving).expect("one descriptor").data, b"again");
}

/// No number from `limit` on is given out.
fn set_limit(limit: libc::rlim_t) {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit`.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut now) }, 0);
    now.rlim_cur = limit;
    // SAFETY: the call reads one `rlimit`.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &now) }, 0);
}
