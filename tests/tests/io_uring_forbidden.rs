//! io_uring forbidden by a seccomp filter, as container runtimes do it: the port falls back to readiness and says why.

#![cfg(target_os = "linux")]

use socket_iocp::{BackendKind, ErrorCode, Options, Port};
use socket_iocp_testkit::{Client, Lab, Probe, child, child_role, run_child};
use std::net::TcpListener;

/// Makes io_uring_setup fail with this error in this thread, and in all that it starts.
fn forbid_io_uring(errno: i32) {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    // The system call's number is the first field of what a filter sees, see seccomp(2).
    let mut filter = [
        statement(LOAD_NUMBER, 0),
        libc::sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: libc::SYS_io_uring_setup as u32 },
        statement(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: prctl with these numbers reads nothing of ours.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0, "PR_SET_NO_NEW_PRIVS");
    // SAFETY: the program and its filter live until the call has copied them.
    let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(installed, 0, "PR_SET_SECCOMP");
}

/// In a process of its own, since a filter never goes away.
fn falls_back(test: &str, errno: i32) {
    if child_role().as_deref() != Some(test) {
        run_child(child(test, test));
        return;
    }
    forbid_io_uring(errno);
    let refused = Port::new(Probe::silent(), Options::new(4096).backend(BackendKind::IoUring)).expect_err("forbidden");
    assert_eq!((refused.code(), refused.os_error()), (ErrorCode::BackendUnavailable, Some(errno)));
    assert_eq!(BackendKind::IoUring.probe().map_err(|error| error.os_error()), Err(Some(errno)));

    let port = Port::new(Probe::echo(), Options::new(4096)).expect("readiness");
    assert_eq!(port.backend(), BackendKind::Readiness);
    let reason = port.backend_reason();
    let cause = std::io::Error::from_raw_os_error(errno).to_string();
    assert!(reason.contains("io_uring") && reason.contains(&cause), "{reason:?}");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    port.add_listener(listener, 4, 0).expect("a listener");
    let mut client: Client = Lab::readiness().connect(address);
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
}

#[test]
fn by_eperm() {
    falls_back("by_eperm", libc::EPERM);
}

#[test]
fn by_enosys() {
    falls_back("by_enosys", libc::ENOSYS);
}

#[test]
fn without_a_filter_nothing_is_passed_over() {
    let test = "without_a_filter_nothing_is_passed_over";
    if child_role().as_deref() != Some(test) {
        run_child(child(test, test));
        return;
    }
    let port = Port::new(Probe::silent(), Options::new(4096)).expect("a port");
    match BackendKind::IoUring.probe() {
        Ok(()) => assert_eq!((port.backend(), port.backend_reason()), (BackendKind::IoUring, "")),
        Err(_) => assert!(port.backend_reason().contains("io_uring")),
    }
}
