//! CPU time a message and memory a connection, beside hand-written loops.

use super::{failure, hostile};
use crate::arguments::{BackendName, positive_seconds};
use crate::failure::Failure;
use crate::{limits, report};
use clap::Args;
use socket_iocp::BackendKind;
use socket_iocp_bench::{MAX_CONNECTIONS, MAX_MESSAGE_BYTES, Options};
use std::process::ExitCode;
use std::time::Duration;

/// Rounds where none are asked for.
const ROUNDS: u64 = 5;

/// Compares echo with hand-written io_uring and epoll loops, and weighs idle connections
///
/// Prints a Markdown table of CPU time a message and its ratio to the hand-written loop's, from interleaved rounds. The
/// yardstick's ratio to itself shows the noise.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// How often each comparison is made; the figures are medians [default: 5; with --hostile 7]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: Option<u64>,

    /// How long each server is measured in a round; a round has three, with the load on another CPU and on the same one
    #[arg(long, short, value_name = "SECONDS", default_value = "0.5", value_parser = positive_seconds)]
    duration: Duration,

    /// Connections, each with one message under way
    #[arg(long, short, value_name = "N", default_value = "100",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONNECTIONS as u64))]
    connections: u64,

    /// Bytes of a message
    #[arg(long, short, value_name = "BYTES", default_value = "64",
        value_parser = clap::value_parser!(u64).range(1..=MAX_MESSAGE_BYTES as u64))]
    size: u64,

    /// Only this backend: io_uring or readiness
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendName>,

    /// Idle connections whose memory is measured; 0 for none
    #[arg(long, value_name = "N", default_value = "10000")]
    idle: u64,

    /// Print every round as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    hostile: hostile::HostileArgs,
}

/// The process that a bench starts from this program to measure it
#[derive(Args, Clone, Debug)]
pub struct BenchChildArgs {
    task: String,
}

/// `socket-iocp bench`.
pub fn command(args: &BenchArgs) -> Result<ExitCode, Failure> {
    limits::raise_descriptors();
    if args.hostile.hostile {
        return hostile::command(&args.hostile, args.common(), args.json);
    }
    limits::check_descriptors(args.connections.max(args.idle), 1, 1)?;
    let found = socket_iocp_bench::run(&args.options(), &mut report::warn).map_err(failure)?;
    if args.json {
        report::print_json(&found)?;
    } else {
        report::print(&found.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `socket-iocp bench-child`, which only `bench` starts.
pub fn child(args: &BenchChildArgs) -> Result<ExitCode, Failure> {
    socket_iocp_bench::serve_child(&args.task).map_err(failure)?;
    Ok(ExitCode::SUCCESS)
}

impl BenchArgs {
    fn common(&self) -> hostile::Common {
        let kinds = match self.backend {
            Some(BackendName(kind)) => vec![kind],
            None => vec![BackendKind::IoUring, BackendKind::Readiness],
        };
        hostile::Common {
            rounds: self.rounds,
            window: self.duration,
            connections: self.connections as usize,
            message_bytes: self.size as usize,
            backends: kinds.into_iter().map(|kind| kind.name().to_owned()).collect(),
        }
    }

    fn options(&self) -> Options {
        let hostile::Common { rounds, window, connections, message_bytes, backends } = self.common();
        let rounds = rounds.unwrap_or(ROUNDS) as usize;
        Options { rounds, window, connections, message_bytes, backends, idle_connections: self.idle as usize }
    }
}
