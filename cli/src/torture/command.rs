//! The command: its arguments, and running what they say.

use super::summary::{Broken, Summary};
use crate::failure::{EXIT_FAILED, Failure, one_line};
use crate::progress::{Progress, TICK};
use crate::{report, signals};
use clap::Args;
use socket_iocp_torture::{Amount, Campaign, Program, Report};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

/// Random seeds are below this: short enough to be typed, more than enough to be new.
const RANDOM_SEEDS: u64 = 1 << 40;

/// Seeded random programs against the engine, every rule of the contract checked
///
/// A program does what programs do with a port, and worse, on a simulated network that delays, splits and fails as its seed
/// says; a model of the contract is shown every callback. The program of a seed is always the same, and programs have
/// consecutive seeds. One that breaks a rule is cut down to a short one that still breaks a rule, and both are printed.
#[derive(Args, Clone, Debug)]
pub struct TortureArgs {
    /// The seed of the first program [default: a random one]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Operations to do at least: calls, clients' actions, turns of workers
    #[arg(long, value_name = "N", default_value = "10000000", value_parser = clap::value_parser!(u64).range(1..))]
    operations: u64,

    /// Programs to run exactly, in place of a number of operations
    #[arg(long, value_name = "N", conflicts_with = "operations", value_parser = clap::value_parser!(u64).range(1..))]
    programs: Option<u64>,

    /// Threads that run programs, each its own [default: the parallelism available]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Option<u64>,

    /// Run one program that was printed, from a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "operations", "programs", "threads"])]
    program: Option<PathBuf>,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,

    /// Plant a bug in the engine
    #[cfg(socket_iocp_planted)]
    #[arg(long, value_name = "NAME", value_parser = bug)]
    plant: Option<socket_iocp::Bug>,
}

/// `socket-iocp torture`.
pub fn command(args: &TortureArgs) -> Result<ExitCode, Failure> {
    #[cfg(socket_iocp_planted)]
    socket_iocp::plant(args.plant);
    let summary = match &args.program {
        Some(file) => run_one(file)?,
        None => run_campaign(&args.campaign())?,
    };
    if args.json {
        report::print_json(&summary)?;
    } else {
        report::print(&summary.text())?;
    }
    Ok(if summary.failure.is_some() { EXIT_FAILED.into() } else { ExitCode::SUCCESS })
}

impl TortureArgs {
    fn campaign(&self) -> Campaign {
        Campaign {
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..RANDOM_SEEDS)),
            amount: self.programs.map_or(Amount::Operations(self.operations), Amount::Programs),
            threads: self
                .threads
                .map_or_else(|| thread::available_parallelism().map_or(1, usize::from), |threads| threads as usize),
        }
    }
}

/// Runs a campaign on threads of its own; this one shows how far it is. The first Ctrl-C ends it after the programs that
/// are being run.
fn run_campaign(campaign: &Campaign) -> Result<Summary, Failure> {
    let stop = signals::stop_flag()?;
    // At once, since what ends the process ends its summary too.
    report::warn(&format!("seed {}", campaign.seed));
    let mut progress = Progress::new("operations", false);
    let started = Instant::now();
    let run = Running::new(campaign.amount);
    let report = thread::scope(|scope| {
        // Dropped at the end of the campaign, also at one by a panic.
        let (ended, end) = mpsc::channel::<()>();
        let campaigning = scope.spawn(|| {
            let _ended = ended;
            campaign.run(|operations| run.program_ended(operations, &stop))
        });
        while end.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            progress.show(run.part_done(), started.elapsed(), run.operations.load(Ordering::Relaxed));
        }
        campaigning.join()
    });
    progress.finish();
    let report = report.map_err(|_| Failure::failed("the torture itself panicked"))?;
    Ok(summary(campaign, report, started, stop.load(Ordering::Relaxed)))
}

/// How far a campaign is.
struct Running {
    amount: Amount,
    operations: AtomicU64,
    programs: AtomicU64,
}

impl Running {
    fn new(amount: Amount) -> Running {
        Running { amount, operations: AtomicU64::new(0), programs: AtomicU64::new(0) }
    }

    fn program_ended(&self, operations: u64, stop: &AtomicBool) -> ControlFlow<()> {
        self.operations.fetch_max(operations, Ordering::Relaxed);
        self.programs.fetch_add(1, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// From 0 to 1.
    fn part_done(&self) -> f64 {
        let (done, all) = match self.amount {
            Amount::Operations(all) => (&self.operations, all),
            Amount::Programs(all) => (&self.programs, all),
        };
        done.load(Ordering::Relaxed) as f64 / all as f64
    }
}

fn summary(campaign: &Campaign, report: Report, started: Instant, interrupted: bool) -> Summary {
    Summary {
        seed: Some(campaign.seed),
        programs: report.programs,
        operations: report.operations,
        callbacks: report.callbacks,
        seconds: started.elapsed().as_secs_f64(),
        threads: campaign.threads as u64,
        interrupted,
        failure: report.failure.map(Broken::from),
    }
}

/// Runs one program from a file.
fn run_one(file: &Path) -> Result<Summary, Failure> {
    let cannot = |error: String| Failure::cannot_start(format!("cannot use {}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| cannot(error.to_string()))?;
    let program: Program = serde_json::from_str(&text).map_err(|error| cannot(error.to_string()))?;
    let started = Instant::now();
    let outcome = socket_iocp_torture::run(&program);
    Ok(Summary {
        seed: None,
        programs: 1,
        operations: outcome.operations,
        callbacks: outcome.callbacks,
        seconds: started.elapsed().as_secs_f64(),
        threads: 1,
        interrupted: false,
        failure: outcome.broken.map(|broken| Broken { seed: None, broken: one_line(&broken), shrunk: None }),
    })
}

#[cfg(socket_iocp_planted)]
fn bug(name: &str) -> Result<socket_iocp::Bug, String> {
    let found = socket_iocp::Bug::ALL.iter().find(|bug| format!("{bug:?}") == name);
    found.copied().ok_or_else(|| format!("the bugs are {:?}", socket_iocp::Bug::ALL))
}
