//! Clients from elsewhere, run as processes.

use crate::server::LIMIT;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Runs a program to its end, with this as its standard input. Panics if it is missing or takes too long.
pub fn output_of(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    // coreutils' timeout ends it, were it never to end by itself.
    let mut child = Command::new("timeout")
        .arg(LIMIT.as_secs().to_string())
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("timeout (of coreutils) does not start: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = thread::scope(|scope| {
        // A program that does not want it all is judged by what it prints.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("a child of this process")
    });
    match output.status.code() {
        Some(124) => panic!("{program} did not end within {LIMIT:?}: {output:?}"),
        Some(127) => panic!("{program} is not installed; ./test installs it"),
        _ => output,
    }
}

/// Runs a program that is to succeed, and returns what it prints.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = output_of(program, arguments, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} failed, {}: {error}", output.status);
    output.stdout
}

/// The same, for a program that prints text.
pub fn run_for_text(program: &str, arguments: &[&str]) -> String {
    String::from_utf8(run(program, arguments, b"")).expect("text")
}

/// `nc` with somebody typing into it and reading along; killed and waited for when dropped.
pub struct Typist {
    nc: Child,
    lines: Receiver<String>,
}

impl Typist {
    pub fn connect(port: &str) -> Typist {
        let mut nc = Command::new("nc")
            .args(["127.0.0.1", port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("nc does not start ({error}); ./test installs it"));
        let output = BufReader::new(nc.stdout.take().expect("a pipe"));
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Typist { nc, lines }
    }

    pub fn types(&mut self, text: &str) {
        self.nc.stdin.as_mut().expect("a pipe").write_all(text.as_bytes()).expect("nc that reads");
    }

    /// Waits for the next line, which is to be this one.
    pub fn reads(&self, line: &str) {
        assert_eq!(self.lines.recv_timeout(LIMIT).as_deref(), Ok(line));
    }

    /// Waits for the end of the connection; nothing more is to come before it.
    pub fn reads_end(&self) {
        assert_eq!(self.lines.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.nc.kill();
        let _ = self.nc.wait();
    }
}
