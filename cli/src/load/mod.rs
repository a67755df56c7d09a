//! `socket-iocp load`: drives an echo server, checks every byte that comes back, and measures.

mod connect;
mod connection;
mod lane;
mod pattern;
mod schedule;
mod summary;
mod tally;
mod wait;

pub use connect::connect_all;
pub use summary::Summary;

use crate::address::Address;
use crate::arguments::{BackendName, positive_seconds, seconds};
use crate::failure::Failure;
use crate::progress::{Progress, TICK};
use crate::{limits, report, signals};
use clap::Args;
use connection::Work;
use lane::Lane;
use pattern::Pattern;
use schedule::{Rate, Share};
use socket_iocp::Options;
use std::convert::Infallible;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use summary::Setting;
use tally::Tally;

const MAX_MESSAGE_BYTES: i64 = 64 << 20;
/// What an open loop's connection may have on the way if nothing is said: this many messages or this many bytes.
const OPEN_LOOP_MESSAGES: u64 = 128;
const OPEN_LOOP_BYTES: u64 = 1 << 20;

/// Drives an echo server and checks every byte that comes back
///
/// Without --rate each connection sends its next message when an answer has come (closed loop). With --rate messages
/// are sent by a fixed schedule, and the latency of each is counted from the time when it was due, so that a server
/// that stalls cannot hide it (open loop). Exits with 1 if any message came back wrong, late beyond the timeout, or not
/// at all.
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// The server: `HOST:PORT`, `[IPV6]:PORT`
    #[cfg_attr(not(windows), doc = "or `unix:PATH`")]
    #[arg(value_name = "ADDR")]
    pub address: Address,

    #[command(flatten)]
    pub shape: ShapeArgs,

    /// Stop after so many seconds of measuring [default: 10]
    #[arg(long, short, value_name = "SECONDS", value_parser = positive_seconds)]
    pub duration: Option<Duration>,

    /// Stop after so many messages, all connections together
    #[arg(long, short = 'n', value_name = "N", conflicts_with_all = ["duration", "warmup"],
          value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: Option<u64>,

    /// Seconds of load before the measuring starts
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub warmup: Duration,

    /// Open loop: messages a second, all connections together
    #[arg(long, short, value_name = "MSG_PER_S")]
    pub rate: Option<NonZeroU64>,

    /// How long to wait for connections to be accepted, and for answers that do not come
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = positive_seconds)]
    pub timeout: Duration,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,

    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// The load's shape, common to `load` and `demo`.
#[derive(Args, Clone, Debug)]
pub struct ShapeArgs {
    /// Connections
    #[arg(long, short, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub connections: u64,

    /// Bytes a message
    #[arg(long, short, value_name = "BYTES", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=MAX_MESSAGE_BYTES as u64))]
    pub size: u64,

    /// Messages that a connection may have on the way [default: 1; for an open loop 128 within 1 MiB]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub pipeline: Option<u64>,

    /// Load threads, each with a port of its own that it drives itself
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub threads: u64,

    /// The backend [default: the best that the machine offers]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,
}

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    pub shape: ShapeArgs,
    pub rate: Option<NonZeroU64>,
    pub messages: Option<u64>,
    pub warmup: Duration,
    /// How long to measure; counts only without `messages`.
    pub duration: Duration,
    pub timeout: Duration,
}

/// `socket-iocp load`.
pub fn command(args: &LoadArgs) -> Result<ExitCode, Failure> {
    let connections = args.shape.connections as usize;
    limits::raise_descriptors();
    limits::check_descriptors(args.shape.connections, 1, args.shape.threads)?;
    let endpoints = args.address.resolve()?;
    let stop = signals::stop_flag()?;
    let (endpoint, sockets) = connect_all(&endpoints, connections, args.timeout)?;
    let summary = run(&args.plan(), endpoint.to_string(), sockets, &stop, Progress::new("messages", args.quiet))?;
    if args.json {
        report::print_json(&summary)?;
    } else {
        report::print(&summary.text())?;
    }
    Ok(exit_code(&summary))
}

/// Success only if every message came back right.
pub fn exit_code(summary: &Summary) -> ExitCode {
    if summary.is_clean() { ExitCode::SUCCESS } else { crate::failure::EXIT_FAILED.into() }
}

impl LoadArgs {
    fn plan(&self) -> Plan {
        Plan {
            shape: self.shape.clone(),
            rate: self.rate,
            messages: self.messages,
            warmup: self.warmup,
            duration: self.duration.unwrap_or(Duration::from_secs(10)),
            timeout: self.timeout,
        }
    }
}

impl Plan {
    fn work(&self) -> Work {
        let warmup_ns = nanoseconds(self.warmup);
        Work {
            connections: self.shape.connections,
            pattern: Pattern::new(self.shape.size as usize),
            limit: self.limit() as usize,
            rate: self.rate.map(Rate),
            messages: self.messages,
            warmup_ns,
            end_ns: self.messages.is_none().then(|| warmup_ns.saturating_add(nanoseconds(self.duration))),
            timeout_ns: nanoseconds(self.timeout),
        }
    }

    fn limit(&self) -> u64 {
        let by_default = match self.rate {
            None => 1,
            Some(_) => (OPEN_LOOP_BYTES / self.shape.size).clamp(1, OPEN_LOOP_MESSAGES),
        };
        self.shape.pipeline.unwrap_or(by_default)
    }

    fn port_options(&self) -> Options {
        // A read buffer takes what a connection may have on the way, within reason.
        let read_buffer_size = self.shape.size.saturating_mul(self.limit()).clamp(4096, 65_536) as usize;
        let options = Options::new(read_buffer_size);
        match self.shape.backend {
            Some(BackendName(kind)) => options.backend(kind),
            None => options,
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Runs the load over sockets that are connected already, as many as the plan says.
pub fn run(
    plan: &Plan,
    address: String,
    sockets: Vec<socket2::Socket>,
    stop: &AtomicBool,
    mut progress: Progress,
) -> Result<Summary, Failure> {
    let work = Arc::new(plan.work());
    let lanes = make_lanes(plan, &work, sockets)?;
    let (backend, backend_reason) = (lanes[0].backend().name(), lanes[0].backend_reason().to_owned());
    let threads = lanes.len() as u64;
    let tally = run_lanes(lanes, &work, stop, &mut progress);
    progress.finish();
    let interrupted = stop.load(Ordering::Relaxed);
    let setting = Setting { address, backend, backend_reason, threads, interrupted };
    Ok(Summary::new(setting, &work, tally?))
}

fn make_lanes(plan: &Plan, work: &Arc<Work>, sockets: Vec<socket2::Socket>) -> Result<Vec<Lane>, Failure> {
    let lanes = plan.shape.threads.min(work.connections);
    let mut shares: Vec<Vec<socket2::Socket>> = (0..lanes).map(|_| Vec::new()).collect();
    for (number, socket) in sockets.into_iter().enumerate() {
        shares[number % lanes as usize].push(socket);
    }
    let share_of = |lane| Share { lane, lanes, connections: work.connections };
    shares
        .into_iter()
        .zip(0..)
        .map(|(sockets, lane)| Lane::new(work, share_of(lane), sockets, plan.port_options()))
        .collect()
}

fn run_lanes(lanes: Vec<Lane>, work: &Work, stop: &AtomicBool, progress: &mut Progress) -> Result<Tally, Failure> {
    let counters: Vec<Arc<AtomicU64>> = lanes.iter().map(Lane::progress).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        // Nothing is ever sent: the channel is closed when the last lane has ended.
        let (running, ended) = mpsc::channel::<Infallible>();
        let mut threads = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let running = running.clone();
            threads.push(spawn_lane(scope, lane, start, stop, running)?);
        }
        drop(running);
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            show(progress, work, &counters, start);
        }
        let mut sum = Tally::new();
        for thread in threads {
            sum.add(thread.join().unwrap_or_else(|_| Err(Failure::failed("a load thread panicked")))?);
        }
        Ok(sum)
    })
}

type LaneThread<'scope> = thread::ScopedJoinHandle<'scope, Result<Tally, Failure>>;

fn spawn_lane<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    lane: Lane,
    start: Instant,
    stop: &'scope AtomicBool,
    running: mpsc::Sender<Infallible>,
) -> Result<LaneThread<'scope>, Failure> {
    let run = move || {
        let _running = running;
        // One lane that fails ends the run, since what the others measure is not what was asked for.
        lane.run(start, stop).inspect_err(|_| stop.store(true, Ordering::Relaxed))
    };
    thread::Builder::new().name("load".into()).spawn_scoped(scope, run).map_err(|error| {
        stop.store(true, Ordering::Relaxed);
        Failure::cannot_start(format!("cannot start a thread: {error}"))
    })
}

fn show(progress: &mut Progress, work: &Work, counters: &[Arc<AtomicU64>], start: Instant) {
    let elapsed = start.elapsed();
    let messages: u64 = counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum();
    let done = match (work.messages, work.end_ns) {
        (Some(all), _) => messages as f64 / all as f64,
        (None, Some(end_ns)) => elapsed.as_nanos() as f64 / end_ns as f64,
        (None, None) => 0.0,
    };
    progress.show(done, elapsed, messages);
}
