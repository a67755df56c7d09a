//! A peer's program, and a process of it that serves.

use crate::client::{Outcome, PATIENCE};
use peer_common::Work;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that serves works.
pub struct Peer {
    program: PathBuf,
    name: String,
}

impl Peer {
    pub fn new(program: PathBuf) -> Peer {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Peer { program, name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says that it serves.
    pub fn works(&self) -> Result<Vec<Work>, Box<dyn Error>> {
        let output = Command::new(&self.program).arg("works").stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(format!("{}: works: {}", self.name, output.status).into());
        }
        let known = |name: &str| {
            let work = Work::ALL.into_iter().find(|work| work.name() == name);
            work.ok_or_else(|| format!("{}: no work has the name {name:?}", self.name).into())
        };
        String::from_utf8(output.stdout)?.lines().map(known).collect()
    }

    pub fn serve(&self, work: Work, read_buffer: usize, threads: usize) -> Result<Server, Box<dyn Error>> {
        let mut child = Command::new(&self.program)
            .args([work.name(), &read_buffer.to_string(), &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut server = Server { child, addresses: Vec::new() };
        BufReader::new(stdout).read_line(&mut line)?;
        server.addresses = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let wanted = if work == Work::FanOutThread { 2 } else { 1 };
        if server.addresses.len() != wanted {
            return Err(format!("{} {}: addresses: {line:?}", self.name, work.name()).into());
        }
        Ok(server)
    }

    /// Whether it ends with this code for these arguments.
    pub fn ends_with(&self, arguments: &[&str], code: i32) -> Outcome {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server { child: command.spawn()?, addresses: Vec::new() };
        server.expect_code(code).map_err(|error| format!("{arguments:?}: {error}").into())
    }
}

/// A process that serves. Dropping it kills it.
pub struct Server {
    child: Child,
    addresses: Vec<SocketAddr>,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where the publisher of `fan-out-thread` connects to.
    pub fn publisher_address(&self) -> SocketAddr {
        self.addresses[1]
    }

    /// Ends its standard input, while a connection is open.
    pub fn end(mut self) -> Outcome {
        let open = crate::client::Client::connect(self.address())?;
        drop(self.child.stdin.take());
        let outcome = self.expect_code(0);
        drop(open);
        outcome
    }

    /// Waits for the end of the process.
    fn expect_code(mut self, code: i32) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.code() == Some(code) => return Ok(()),
                Some(status) => return Err(format!("it ended with {status} where code {code} is asked for").into()),
                None if Instant::now() > deadline => return Err("it goes on".into()),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
