//! What is aimed at. A limit is missed only where the whole interval lies above it.

use super::report::{Report, Work};
use super::{Workload, subject_name, yardstick_name};
use crate::interval::Interval;
use socket_iocp::BackendKind;

/// An aim, and what was measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// In words.
    pub aim: String,
    /// The most that it may be.
    pub limit: f64,
    measured: Measured,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Measured {
    Ratio(Interval),
    Figure(f64),
}

impl Verdict {
    fn ratio(aim: impl Into<String>, limit: f64, measured: Option<Interval>) -> Option<Verdict> {
        Some(Verdict { aim: aim.into(), limit, measured: Measured::Ratio(measured?) })
    }

    /// The ratio measured, if it is one.
    pub fn interval(&self) -> Option<Interval> {
        match self.measured {
            Measured::Ratio(interval) => Some(interval),
            Measured::Figure(_) => None,
        }
    }

    /// What was measured; of a ratio the median.
    pub fn figure(&self) -> f64 {
        match self.measured {
            Measured::Ratio(interval) => interval.median,
            Measured::Figure(figure) => figure,
        }
    }

    /// Whether the limit is missed.
    pub fn is_missed(&self) -> bool {
        let least = match self.measured {
            Measured::Ratio(interval) => interval.low,
            Measured::Figure(figure) => figure,
        };
        least > self.limit
    }
}

const URING: BackendKind = BackendKind::IoUring;
const READINESS: BackendKind = BackendKind::Readiness;

fn echo(connections: usize, bytes: usize) -> Workload {
    Workload::Echo { connections, bytes, workers: 1 }
}

/// The verdict on every aim of which there are figures.
pub(super) fn verdicts(report: &Report) -> Vec<Verdict> {
    let with = |workload, judge: fn(&Report, &Work) -> Vec<Option<Verdict>>| {
        report.work(workload).map(|work| judge(report, work)).unwrap_or_default()
    };
    let all = [
        with(echo(100, 64), |_, work| small_echo(work)),
        with(echo(1000, 64), |report, work| {
            let mut verdicts = small_echo(work);
            verdicts.extend(["libuv", "libevent"].map(|peer| against(work, URING, peer, 0.65)));
            verdicts.extend([URING, READINESS].map(|kind| growth(report, work, kind)));
            verdicts
        }),
        with(echo(100, 64 << 10), |_, work| peers(work).map(|peer| against(work, URING, &peer, 1.0)).collect()),
        with(Workload::Answer, |_, work| {
            ["libuv", "tokio"].map(|peer| against(work, URING, peer, 0.10)).into_iter().collect()
        }),
        with(Workload::AnswerBatched, |report, work| vec![pipelined(report, work)]),
        with(Workload::FanOut { from_thread: false }, |_, work| vec![best(work, 0.85)]),
        with(Workload::FanOut { from_thread: true }, |_, work| vec![best(work, 0.85)]),
        with(Workload::BulkIn, |_, work| vec![against(work, URING, &yardstick_name(URING), 1.03)]),
        with(Workload::BulkOut, |_, work| vec![against(work, URING, &yardstick_name(URING), 1.03)]),
        with(Workload::Connections, |_, work| {
            let yardstick = [against(work, URING, &yardstick_name(URING), 1.05)];
            yardstick.into_iter().chain(peers(work).map(|peer| against(work, URING, &peer, 1.0))).collect()
        }),
        with(Workload::Wake, |_, work| {
            ["tokio", "libuv"].map(|peer| against(work, URING, peer, 1.0)).into_iter().collect()
        }),
    ];
    all.into_iter().flatten().flatten().chain(memory(report)).collect()
}

fn small_echo(work: &Work) -> Vec<Option<Verdict>> {
    let mut verdicts = vec![
        against(work, URING, &yardstick_name(URING), 1.03),
        against(work, READINESS, &yardstick_name(READINESS), 1.05),
        against(work, READINESS, "tokio", 1.0),
    ];
    verdicts.extend(peers(work).map(|peer| against(work, URING, &peer, 1.0)));
    verdicts
}

/// The CPU time of ours over that of another.
fn against(work: &Work, kind: BackendKind, to: &str, limit: f64) -> Option<Verdict> {
    let aim = format!("{}: {} to {to}", work.workload.title(), subject_name(kind));
    Verdict::ratio(aim, limit, work.ratio(&subject_name(kind), work, to))
}

/// Programs of others.
fn peers(work: &Work) -> impl Iterator<Item = String> {
    let own = [URING, READINESS].map(|kind| [subject_name(kind), yardstick_name(kind)]).concat();
    work.servers.iter().filter(move |server| !own.contains(server)).cloned().collect::<Vec<_>>().into_iter()
}

/// The peer with the least CPU time.
fn best_peer(work: &Work) -> Option<String> {
    let cpu = |peer: &String| work.median(peer, super::report::Sample::cpu_ns_each).unwrap_or(f64::INFINITY);
    peers(work).min_by(|one, other| cpu(one).total_cmp(&cpu(other)))
}

fn best(work: &Work, limit: f64) -> Option<Verdict> {
    against(work, URING, &best_peer(work)?, limit)
}

/// A send call a message with us, beside peers that gather by hand.
fn pipelined(report: &Report, batched: &Work) -> Option<Verdict> {
    let (ours, peer) = (report.work(Workload::Answer)?, best_peer(batched)?);
    let aim = format!("{}: {} to {peer}, {}", ours.workload.title(), subject_name(URING), batched.workload.title());
    Verdict::ratio(aim, 1.3, ours.ratio(&subject_name(URING), batched, &peer))
}

/// CPU time at 1,000 connections over that at 100: no more than 1.2, or than the hand-written loop's own growth.
fn growth(report: &Report, thousand: &Work, kind: BackendKind) -> Option<Verdict> {
    let hundred = report.work(echo(100, 64))?;
    let yardstick = yardstick_name(kind);
    let own = thousand.ratio(&yardstick, hundred, &yardstick)?;
    let subject = subject_name(kind);
    let aim = format!("Echo of 64 bytes, {subject}: 1000 connections to 100");
    Verdict::ratio(aim, own.median.max(1.2), thousand.ratio(&subject, hundred, &subject))
}

/// 320 bytes a connection, however many there are.
fn memory(report: &Report) -> Vec<Verdict> {
    let names = [URING, READINESS].map(subject_name);
    let weighed = report.works.iter().flat_map(|work| work.memory.iter().map(move |memory| (work, memory)));
    weighed
        .filter(|(_, memory)| names.contains(&memory.server))
        .map(|(work, memory)| Verdict {
            aim: format!("{}: bytes a connection, {}", work.workload.title(), memory.server),
            limit: 320.0,
            measured: Measured::Figure(memory.private_dirty_each),
        })
        .collect()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
