//! An example as a process of its own.

use crate::platform::{peak_memory, spawn};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long any one thing may take before a test gives it up.
pub const LIMIT: Duration = Duration::from_secs(60);

pub const ECHO: &str = env!("CARGO_BIN_EXE_echo");
pub const CHAT: &str = env!("CARGO_BIN_EXE_chat");
pub const HTTP: &str = env!("CARGO_BIN_EXE_http");
#[cfg(unix)]
pub const HANDOVER: &str = env!("CARGO_BIN_EXE_handover");
pub const FILE: &str = env!("CARGO_BIN_EXE_file");
pub const FORWARD: &str = env!("CARGO_BIN_EXE_forward");
pub const KEEPALIVE: &str = env!("CARGO_BIN_EXE_keepalive");
#[cfg(unix)]
pub const METRICS: &str = env!("CARGO_BIN_EXE_metrics");
pub const REDIS: &str = env!("CARGO_BIN_EXE_redis");
pub const UDP_ECHO: &str = env!("CARGO_BIN_EXE_udp_echo");

/// A running example; killed and waited for when dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts an example on a port that the system chooses, and waits until it says which.
    pub fn start(backend: &str, program: &str, arguments: &[&OsStr]) -> Server {
        let mut command = Command::new(program);
        command.arg("127.0.0.1:0").args(arguments).env("SOCKET_IOCP_BACKEND", backend).stdout(Stdio::piped());
        let mut child = spawn(&mut command).unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let output = child.stdout.take().expect("a pipe");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            // The end of the output is an empty line, which is no address.
            let _ = BufReader::new(output).read_line(&mut line);
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(LIMIT);
        let address = line.as_ref().ok().and_then(|line| line.trim_end().strip_prefix("listening on ")?.parse().ok());
        let server = Server { child, address: address.unwrap_or(SocketAddr::from(([0; 4], 0))) };
        assert!(address.is_some(), "{program} did not say where it listens but {line:?}");
        server
    }

    /// The port's number, as clients take it.
    pub fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// A connection of the test's own, of which no step takes longer than the limit.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, LIMIT).expect("a server that listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        stream.set_write_timeout(Some(LIMIT)).expect("a limit");
        stream
    }

    /// Sends these bytes on a connection of its own, and returns what comes until the server ends it.
    pub fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).expect("a server that reads");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("a clean end");
        response
    }

    /// The most memory that the server had in use at once, in bytes.
    pub fn peak_memory(&self) -> u64 {
        peak_memory(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended, or been waited for, already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
