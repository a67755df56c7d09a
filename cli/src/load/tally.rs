//! What a load thread counts.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest latency told apart: an hour. A longer one counts as an hour.
const MAX_LATENCY_NS: u64 = 3_600_000_000_000;
/// Three digits of each latency are kept.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The counts of one load thread, or of several added up. Times are in nanoseconds since the run's start.
#[derive(Debug)]
pub struct Tally {
    /// Latencies of what began after the warm-up: right answers, and what was unanswered at the end.
    pub latencies: Histogram<u64>,
    /// Right answers, the warm-up's too.
    pub answered: u64,
    /// Right answers to messages that began after the warm-up.
    pub measured: u64,
    /// Messages of which at least one byte came back wrong.
    pub wrong: u64,
    /// Bytes that came when every message had been answered.
    pub unexpected_bytes: u64,
    /// Connections that ended before their time.
    pub lost: u64,
    /// Messages never answered, though scheduled (open loop), sent (closed loop), or asked for by number.
    pub unanswered: u64,
    /// The first thing that went wrong.
    pub first_fault: Option<String>,
    /// When sending was over, or the last answer came, whichever was later.
    pub until_ns: u64,
    /// The CPU time of the load threads.
    pub cpu_time: Duration,
}

impl Tally {
    pub fn new() -> Tally {
        let latencies = Histogram::new_with_bounds(1, MAX_LATENCY_NS, SIGNIFICANT_DIGITS);
        Tally {
            latencies: latencies.expect("constant bounds that the histogram accepts"),
            answered: 0,
            measured: 0,
            wrong: 0,
            unexpected_bytes: 0,
            lost: 0,
            unanswered: 0,
            first_fault: None,
            until_ns: 0,
            cpu_time: Duration::ZERO,
        }
    }

    /// Keeps the description of the first fault; later ones are only counted.
    pub fn note_fault(&mut self, describe: impl FnOnce() -> String) {
        self.first_fault.get_or_insert_with(describe);
    }

    /// Adds another thread's counts to these.
    pub fn add(&mut self, other: Tally) {
        self.latencies += other.latencies;
        self.answered += other.answered;
        self.measured += other.measured;
        self.wrong += other.wrong;
        self.unexpected_bytes += other.unexpected_bytes;
        self.lost += other.lost;
        self.unanswered += other.unanswered;
        if let Some(fault) = other.first_fault {
            self.note_fault(|| fault);
        }
        self.until_ns = self.until_ns.max(other.until_ns);
        self.cpu_time += other.cpu_time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let (mut sum, mut other) = (Tally::new(), Tally::new());
        sum.latencies.saturating_record(1000);
        (sum.answered, sum.until_ns) = (1, 5);
        other.latencies.saturating_record(u64::MAX);
        (other.answered, other.lost, other.until_ns) = (2, 1, 9);
        other.note_fault(|| "first".into());
        other.note_fault(|| "second".into());
        sum.add(other);
        assert_eq!((sum.answered, sum.lost, sum.until_ns, sum.latencies.len()), (3, 1, 9, 2));
        assert_eq!(sum.first_fault.as_deref(), Some("first"));
        assert!(sum.latencies.max() >= MAX_LATENCY_NS);
    }
}
