//! Runs the tool, once for every backend of this machine.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

/// A child that runs longer than this hangs, and is killed so that its test fails.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// Calls `test` for every backend that this machine has.
pub fn on_each_backend(test: impl Fn(&str)) {
    let probe = plain_tool(&["probe", "--json"]).output().expect("the tool starts");
    let findings = json(&probe);
    let backends = findings["backends"].as_array().expect("a list");
    let mut tried = 0;
    for backend in backends {
        let name = backend["name"].as_str().expect("a name");
        if backend["available"] == true {
            eprintln!("on {name}");
            test(name);
            tried += 1;
        } else {
            eprintln!("not on {name}: {}", backend["reason"]);
        }
    }
    assert!(tried > 0, "this machine has no backend: {findings}");
}

/// The tool with the environment's overrides taken away.
pub fn plain_tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_socket-iocp"));
    command.args(arguments).env_remove("SOCKET_IOCP_BACKEND").env_remove("SOCKET_IOCP_THREADS");
    command
}

/// The tool on a backend.
pub fn tool(backend: &str, arguments: &[&str]) -> Command {
    let mut command = plain_tool(arguments);
    command.env("SOCKET_IOCP_BACKEND", backend);
    command
}

/// Runs the tool to its end.
pub fn run(command: &mut Command) -> Output {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())).expect("it starts");
    let _watchdog = Watchdog::of(&child);
    child.wait_with_output().expect("it ends")
}

/// The JSON document on standard output.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error} in {}", describe(output)))
}

/// Asserts exit code 2, nothing on stdout and one line on stderr, and returns that line.
pub fn cannot_start(command: &mut Command) -> String {
    let output = run(command);
    let stderr = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{}", describe(&output));
    assert!(output.stdout.is_empty(), "{}", describe(&output));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("socket-iocp: ") && stderr.ends_with('\n'), "{stderr}");
    stderr.trim_end().to_owned()
}

/// An output as a test failure shows it.
pub fn describe(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\nstdout: {stdout}\nstderr: {stderr}", output.status)
}

/// Kills a child that hangs. Dropped in time, it does nothing.
struct Watchdog {
    _ended: Sender<()>,
}

impl Watchdog {
    fn of(child: &Child) -> Watchdog {
        let (ended, end) = mpsc::channel();
        let killer = Killer::of(child);
        thread::spawn(move || {
            if end.recv_timeout(HANGS_AFTER) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("killing a child that hangs");
                killer.kill();
            }
        });
        Watchdog { _ended: ended }
    }
}

/// A tool that runs until it is told to end.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    _watchdog: Watchdog,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command).expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Running { _watchdog: Watchdog::of(&child), child, stdout, stderr }
    }

    /// The next line on standard error; waits for it.
    pub fn stderr_line(&mut self) -> String {
        line_of(&mut self.stderr)
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(INTERRUPTS[0]);
    }

    /// Ctrl-C, or one of its relatives.
    pub fn signal(&self, interrupt: Interrupt) {
        send(interrupt, &self.child);
    }

    /// Waits for the end; what was not read of stdout and stderr comes with it.
    pub fn end(mut self) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.stdout.read_to_end(&mut stdout).expect("readable");
        self.stderr.read_to_end(&mut stderr).expect("readable");
        let status: ExitStatus = self.child.wait().expect("it ends");
        Output { status, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `end` there is nothing to kill; after a failed assertion there is.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line_of(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("readable");
    line.trim_end().to_owned()
}

/// A `socket-iocp serve` that listens.
pub struct Server {
    pub running: Running,
    /// Where it listens.
    pub address: String,
    pub workers: u64,
}

impl Server {
    /// Serves on a port of loopback that the system chooses.
    pub fn start(backend: &str, service: &str, more: &[&str]) -> Server {
        Server::start_on(backend, service, "127.0.0.1:0", more)
    }

    /// Serves on an address and waits for the line that says so.
    pub fn start_on(backend: &str, service: &str, address: &str, more: &[&str]) -> Server {
        let mut running = Running::start(tool(backend, &["serve", service, "--listen", address]).args(more));
        let line = line_of(&mut running.stdout);
        let words: Vec<&str> = line.split(' ').collect();
        let ["listening", "on", address, in_use, workers] = words[..] else {
            panic!("'{line}'; {}", describe(&running.end()));
        };
        assert_eq!(in_use, format!("backend={backend}"));
        let workers = workers.strip_prefix("workers=").and_then(|number| number.parse().ok()).expect("a number");
        Server { running, address: address.to_owned(), workers }
    }

    /// Ctrl-C, then the statistics once it has drained; asserts exit code 0.
    pub fn stop(self) -> Statistics {
        self.running.interrupt();
        let output = self.running.end();
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        Statistics::of(&output)
    }
}

/// The counts that a server prints at its end.
#[derive(Debug)]
pub struct Statistics(String);

impl Statistics {
    pub fn of(output: &Output) -> Statistics {
        let stdout = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        assert!(stdout.starts_with("statistics ") && stdout.lines().count() == 1, "{}", describe(output));
        Statistics(stdout.trim_end().to_owned())
    }

    pub fn get(&self, name: &str) -> u64 {
        let found = self.0.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in '{}'", self.0))
    }
}
