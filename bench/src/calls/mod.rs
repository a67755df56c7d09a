//! Calls of the system: how many of Winsock's and of the completion port's a server makes for a message.

mod counters;
mod exchange;
mod hooks;
mod imports;
mod report;
mod subject;

pub use report::{CallReport, Calls};

use crate::error::{Doing, Error};
use crate::{MAX_CONNECTIONS, MAX_MESSAGE_BYTES, yardstick};
use counters::count_this_thread;
use exchange::Exchange;
use hooks::Session;
use serde::{Deserialize, Serialize};
use socket_iocp::BackendKind;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

/// What to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallOptions {
    /// Connections beside the comparison with one, 1 to [`MAX_CONNECTIONS`].
    pub connections: usize,
    /// Messages of each connection.
    pub rounds: usize,
    /// Bytes of each message, 1 to [`MAX_MESSAGE_BYTES`].
    pub message_bytes: usize,
}

impl Default for CallOptions {
    fn default() -> CallOptions {
        CallOptions { connections: 50, rounds: 200, message_bytes: 64 }
    }
}

/// How a server uses its completion port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mode {
    /// What succeeds at once sends no completion.
    pub skip_on_success: bool,
    /// A connection waits for data without a buffer.
    pub idle_reads: bool,
}

impl Mode {
    /// All there are.
    pub const ALL: [Mode; 4] = [
        Mode { skip_on_success: true, idle_reads: false },
        Mode { skip_on_success: false, idle_reads: false },
        Mode { skip_on_success: true, idle_reads: true },
        Mode { skip_on_success: false, idle_reads: true },
    ];
}

/// Whose calls are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    /// The hand-written loop.
    Yardstick,
    /// socket-iocp.
    Subject,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Server::Yardstick => "yardstick",
            Server::Subject => "socket-iocp",
        })
    }
}

/// Counts. `progress` is told what is being counted.
///
/// From the first call on, this program's calls of Winsock and of completion ports go through counters.
///
/// Errors: an option out of range, a want of sockets, a wrong or missing echo.
pub fn count_calls(options: &CallOptions, progress: &mut dyn FnMut(&str)) -> Result<CallReport, Error> {
    options.check()?;
    let mut counted = Vec::new();
    let mut sizes = vec![1, options.connections];
    sizes.dedup();
    for connections in sizes {
        for mode in Mode::ALL {
            for server in [Server::Yardstick, Server::Subject] {
                progress(&format!("{server}, {mode}, connections: {connections}"));
                counted.push(measure(server, mode, connections, options)?);
            }
        }
    }
    Ok(CallReport { options: *options, counted, missed: hooks::missed() })
}

impl CallOptions {
    fn check(&self) -> Result<(), Error> {
        let connections_fit = (1..=MAX_CONNECTIONS).contains(&self.connections);
        let message_fits = (1..=MAX_MESSAGE_BYTES).contains(&self.message_bytes);
        if self.rounds == 0 || !connections_fit || !message_fits {
            return Err(Error::cannot_start(format!("out of range: {self:?}")));
        }
        Ok(())
    }
}

/// Counts one server's calls. It serves on a thread of this process, and ends with its connections.
fn measure(server: Server, mode: Mode, connections: usize, options: &CallOptions) -> Result<Calls, Error> {
    let session = Session::begin(mode.skip_on_success)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).needed("a listener on loopback")?;
    let address = listener.local_addr().needed("its address")?;
    let serving =
        thread::Builder::new().name("server".into()).spawn(move || serve(server, listener, connections, mode));
    let serving = serving.needed("a thread")?;
    let exchanged = Exchange::connect(address, connections, options.message_bytes)
        .and_then(|mut exchange| exchange.run(options.rounds, &session));
    // The exchange is over, or has failed: its connections are closed, which ends the server.
    let served = serving.join().unwrap_or_else(|_| Err(Error::failed("a server panicked")));
    let counts = match (exchanged, served) {
        (Ok(counts), Ok(())) => counts,
        // What the server says about it is nearer to the cause.
        (_, Err(error)) | (Err(error), Ok(())) => return Err(error),
    };
    Ok(Calls {
        server,
        mode,
        connections,
        messages: (connections * options.rounds) as u64,
        completions: counts.completions,
        calls: hooks::NAMES
            .iter()
            .zip(counts.calls)
            .filter(|(_, calls)| *calls > 0)
            .map(|(name, calls)| ((*name).to_owned(), calls))
            .collect(),
    })
}

fn serve(server: Server, listener: TcpListener, connections: usize, mode: Mode) -> Result<(), Error> {
    match server {
        Server::Yardstick => {
            count_this_thread();
            yardstick::iocp::serve(&listener, connections, mode)
        }
        Server::Subject => {
            let options =
                subject::options(BackendKind::Iocp).skip_on_success(mode.skip_on_success).idle_reads(mode.idle_reads);
            subject::serve(options, listener, connections, count_this_thread).map(drop)
        }
    }
}
