//! Calls of the system for a message, beside a hand-written loop.

use super::failure;
use crate::failure::Failure;
use crate::report;
use clap::Args;
use socket_iocp_bench::{CallOptions, MAX_CONNECTIONS, MAX_MESSAGE_BYTES, count_calls};
use std::process::ExitCode;

/// Counts the calls of Winsock and of the completion port that echo takes for a message, beside a hand-written IOCP
/// loop
///
/// Prints a Markdown table of calls a message and the ratio to the hand-written loop's, with completions of what
/// succeeds at once skipped and not, and with plain and idle reads.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Messages of each connection
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rounds: u64,

    /// Connections, each with one message under way, beside the comparison with one connection
    #[arg(long, short, value_name = "N", default_value = "50",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONNECTIONS as u64))]
    connections: u64,

    /// Bytes of a message
    #[arg(long, short, value_name = "BYTES", default_value = "64",
        value_parser = clap::value_parser!(u64).range(1..=MAX_MESSAGE_BYTES as u64))]
    size: u64,

    /// Print every count as JSON
    #[arg(long)]
    json: bool,
}

/// `socket-iocp bench`.
pub fn command(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let options = CallOptions {
        connections: args.connections as usize,
        rounds: args.rounds as usize,
        message_bytes: args.size as usize,
    };
    let found = count_calls(&options, &mut report::warn).map_err(failure)?;
    if args.json {
        report::print_json(&found)?;
    } else {
        report::print(&found.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
