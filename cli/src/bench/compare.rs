//! socket-iocp beside hand-written loops and other libraries.

use super::{failure, hostile};
use crate::arguments::{BackendName, positive_seconds};
use crate::failure::Failure;
use crate::{limits, report};
use clap::Args;
use socket_iocp::BackendKind;
use socket_iocp_bench::{MAX_CONNECTIONS, MAX_MESSAGE_BYTES, Options, Report, Workload, draw};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Rounds where none are asked for.
const ROUNDS: u64 = 5;
/// Where the peers' own build puts them.
const PEERS: &str = "bench/peers/bin";

/// Compares socket-iocp with hand-written loops and with other libraries
///
/// Prints a Markdown table for each work: CPU time a message, messages a second, latencies, and socket-iocp's CPU time over
/// that of each other server, from interleaved rounds. The hand-written loops are measured twice a round: their ratio to
/// themselves is the noise. Other libraries are measured where their programs are: see bench/peers/README.md.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// How often each server is measured; the figures are medians [default: 5; with --hostile 7]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: Option<u64>,

    /// How long each server is measured in a round
    #[arg(long, short, value_name = "SECONDS", default_value = "0.5", value_parser = positive_seconds)]
    duration: Duration,

    /// Only this work, several times for several; "echo:CONNECTIONS:BYTES" and "idle:CONNECTIONS" with any numbers
    ///
    /// Others: echo:CONNECTIONS:BYTES:WORKERS, answer, answer-batched, fan-out, fan-out-thread, bulk-in, bulk-out,
    /// connections, wake. Without it, all that docs/benchmarks has.
    #[arg(long = "work", value_name = "NAME", conflicts_with = "hostile")]
    works: Vec<Workload>,

    /// Only this server, several times for several, by its name in the tables
    #[arg(long = "server", value_name = "NAME", conflicts_with = "hostile")]
    servers: Vec<String>,

    /// The folder of the other libraries' programs [default: bench/peers/bin, if it is there]
    #[arg(long, value_name = "FOLDER", conflicts_with = "hostile")]
    peers_in: Option<PathBuf>,

    /// Leave other libraries out
    #[arg(long, conflicts_with_all = ["hostile", "peers_in"])]
    no_peers: bool,

    /// Only this backend: io_uring or readiness
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendName>,

    /// Put the load on the server's CPU
    #[arg(long, conflicts_with = "hostile")]
    together: bool,

    /// Count system calls too, by strace
    #[arg(long, conflicts_with = "hostile")]
    system_calls: bool,

    /// Write SVG plots into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "hostile")]
    plots: Option<PathBuf>,

    /// Write every figure as JSON into this file, beside the tables
    #[arg(long, value_name = "FILE", conflicts_with = "hostile")]
    save: Option<PathBuf>,

    /// Measure nothing: print and draw what --save wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["hostile", "save", "works", "servers", "peers_in", "rounds"])]
    from: Option<PathBuf>,

    /// Print every figure as JSON instead of the tables
    #[arg(long)]
    json: bool,

    /// With --hostile: connections of the good load, each with one message under way
    #[arg(long, short, value_name = "N", default_value = "100", requires = "hostile",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONNECTIONS as u64))]
    connections: u64,

    /// With --hostile: bytes of a good message
    #[arg(long, short, value_name = "BYTES", default_value = "64", requires = "hostile",
        value_parser = clap::value_parser!(u64).range(1..=MAX_MESSAGE_BYTES as u64))]
    size: u64,

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
    let found = match &args.from {
        Some(file) => read(file)?,
        None => {
            let options = args.options();
            limits::check_descriptors(options.connections() as u64, 1, 1)?;
            socket_iocp_bench::run(&options, &mut report::warn).map_err(failure)?
        }
    };
    if let Some(file) = &args.save {
        save(&found, file)?;
    }
    if let Some(folder) = &args.plots {
        draw(&found, folder).map_err(failure)?;
    }
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

fn read(file: &Path) -> Result<Report, Failure> {
    let about = |error: &dyn std::fmt::Display| Failure::cannot_start(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| about(&error))?;
    serde_json::from_str(&text).map_err(|error| about(&error))
}

fn save(found: &Report, file: &Path) -> Result<(), Failure> {
    let about = |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", file.display()));
    let mut text = serde_json::to_string_pretty(found).map_err(|error| about(&error))?;
    text.push('\n');
    fs::write(file, text).map_err(|error| about(&error))
}

impl BenchArgs {
    fn backends(&self) -> Vec<String> {
        let kinds = match self.backend {
            Some(BackendName(kind)) => vec![kind],
            None => vec![BackendKind::IoUring, BackendKind::Readiness],
        };
        kinds.into_iter().map(|kind| kind.name().to_owned()).collect()
    }

    fn common(&self) -> hostile::Common {
        hostile::Common {
            rounds: self.rounds,
            window: self.duration,
            connections: self.connections as usize,
            message_bytes: self.size as usize,
            backends: self.backends(),
        }
    }

    fn options(&self) -> Options {
        let default_peers = || Some(PathBuf::from(PEERS)).filter(|folder| folder.is_dir());
        Options {
            rounds: self.rounds.unwrap_or(ROUNDS) as usize,
            window: self.duration,
            works: if self.works.is_empty() { Workload::standard() } else { self.works.clone() },
            backends: self.backends(),
            peers: if self.no_peers { None } else { self.peers_in.clone().or_else(default_peers) },
            only: self.servers.clone(),
            together: self.together,
            system_calls: self.system_calls,
        }
    }
}
