//! `SOCKET_IOCP_BACKEND` and `SOCKET_IOCP_THREADS` override what the program asks for; a forced backend that is not to be
//! had makes `new` fail.

use socket_iocp::{BackendKind, ErrorCode, Options, Port};
use socket_iocp_testkit::{Probe, child, child_role, run_child};
use std::fmt::Write;

/// Runs the test again in a child with these variables, and says there which ports come of which options. Returns its
/// answers, one a line.
fn ports_with(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    if child_role().is_some() {
        // Lines with a mark, among those of the test harness.
        print!("{}", describe_ports());
        return None;
    }
    let mut command = child(test, "describe");
    command.envs(variables.iter().copied());
    let output = String::from_utf8(run_child(command).stdout).expect("text");
    let lines = output.lines().filter_map(|line| line.split_once("port: ").map(|(_, answer)| answer));
    Some(lines.collect::<Vec<_>>().join(", "))
}

fn describe_ports() -> String {
    let mut text = String::new();
    let asked =
        [Options::new(100), Options::new(100).threads(1).backend(BackendKind::Readiness), Options::new(100).threads(0)];
    for options in asked {
        let answer = match Port::new(Probe::silent(), options) {
            Ok(port) => format!("{} {}", port.backend().name(), port.threads()),
            Err(error) => format!("{:?}", error.code()),
        };
        writeln!(text, "\nport: {answer}").expect("a string grows");
    }
    text
}

/// One test for each line: variables, and what comes of no options, of one readiness worker, of a driven port.
macro_rules! cases {
    ($($name:ident: $variables:expr => $answers:expr;)+) => {
        $(#[test]
        fn $name() {
            if let Some(answers) = ports_with(stringify!($name), &$variables) {
                assert_eq!(answers, $answers);
            }
        })+
    };
}

const BACKEND: &str = "SOCKET_IOCP_BACKEND";
const THREADS: &str = "SOCKET_IOCP_THREADS";

// By default, one readiness worker, driven.
#[cfg(target_os = "linux")]
cases! {
    the_backend_is_overridden: [(BACKEND, "io_uring"), (THREADS, "2")] => "io_uring 2, io_uring 2, io_uring 0";
    the_other_backend_too: [(BACKEND, "readiness"), (THREADS, "2")] => "readiness 2, readiness 2, readiness 0";
    threads_alone_leave_the_backend: [(THREADS, "3")] => "io_uring 3, readiness 3, io_uring 0";
    empty_ones_are_as_good_as_none: [(BACKEND, ""), (THREADS, "")] => format!("io_uring {}, readiness 1, io_uring 0", parallelism());
    no_threads_are_refused: [(THREADS, "0")] => "InvalidArgument, InvalidArgument, io_uring 0";
    threads_that_are_no_number: [(THREADS, "two")] => "InvalidArgument, InvalidArgument, io_uring 0";
    negative_threads: [(THREADS, "-1")] => "InvalidArgument, InvalidArgument, io_uring 0";
    too_many_threads: [(THREADS, "1025")] => "InvalidArgument, InvalidArgument, io_uring 0";
    more_threads_than_a_number_holds: [(THREADS, "99999999999999999999999")] => "InvalidArgument, InvalidArgument, io_uring 0";
    a_backend_of_another_platform: [(BACKEND, "iocp")] => "BackendUnavailable, BackendUnavailable, BackendUnavailable";
}

#[cfg(windows)]
cases! {
    the_backend_is_overridden: [(BACKEND, "iocp"), (THREADS, "2")] => "iocp 2, iocp 2, iocp 0";
    threads_alone_leave_the_backend: [(THREADS, "3")] => "iocp 3, BackendUnavailable, iocp 0";
    empty_ones_are_as_good_as_none: [(BACKEND, ""), (THREADS, "")] => format!("iocp {}, BackendUnavailable, iocp 0", parallelism());
    no_threads_are_refused: [(THREADS, "0")] => "InvalidArgument, InvalidArgument, iocp 0";
    threads_that_are_no_number: [(THREADS, "two")] => "InvalidArgument, InvalidArgument, iocp 0";
    negative_threads: [(THREADS, "-1")] => "InvalidArgument, InvalidArgument, iocp 0";
    too_many_threads: [(THREADS, "1025")] => "InvalidArgument, InvalidArgument, iocp 0";
    more_threads_than_a_number_holds: [(THREADS, "99999999999999999999999")] => "InvalidArgument, InvalidArgument, iocp 0";
    a_backend_of_another_platform: [(BACKEND, "io_uring")] => "BackendUnavailable, BackendUnavailable, BackendUnavailable";
}

cases! {
    an_unknown_backend: [(BACKEND, "epoll")] => "BackendUnavailable, BackendUnavailable, BackendUnavailable";
    the_tests_own_backend: [(BACKEND, "sim")] => "BackendUnavailable, BackendUnavailable, BackendUnavailable";
}

fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn a_backend_that_is_not_to_be_had_is_an_error() {
    let elsewhere = if cfg!(windows) { BackendKind::IoUring } else { BackendKind::Iocp };
    let error = Port::new(Probe::silent(), Options::new(100).backend(elsewhere)).expect_err("another platform's");
    assert_eq!(error.code(), ErrorCode::BackendUnavailable);
    assert!(elsewhere.probe().is_err());
}
