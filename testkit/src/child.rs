//! Tests that need a process of their own: the test's binary runs one of its tests again, with other surroundings.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Output};

/// Set in a child, to the name of what it is to do.
const ROLE: &str = "SOCKET_IOCP_TEST_ROLE";

/// The role of this process, if it is a child.
pub fn child_role() -> Option<String> {
    env::var(ROLE).ok()
}

/// A command that runs the test of this full name in a child with this role. The environment is the caller's, without the
/// library's own variables.
pub fn child(test: &str, role: &str) -> Command {
    let mut command = this_program();
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command.env_remove("SOCKET_IOCP_BACKEND").env_remove("SOCKET_IOCP_THREADS");
    command
}

/// The test's binary. Where the system cannot run it, `SOCKET_IOCP_TEST_RUNNER` names what can, an emulator with its arguments.
fn this_program() -> Command {
    let program = env::current_exe().expect("the test's binary");
    let runner = env::var("SOCKET_IOCP_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().map(OsString::from).chain([program.into_os_string()]);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words);
    command
}

/// Runs it to its end; the test in it must exist and pass.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn run_child(mut command: Command) -> Output {
    let output = command.output().expect("a child process");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && text.contains("1 passed");
    assert!(passed, "{command:?}: {}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}
