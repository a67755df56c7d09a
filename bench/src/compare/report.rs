//! What came of the measurements, as data.

use super::{Options, Workload};
use crate::interval::{Interval, interval, median, sorted};
use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The figures of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where they come from.
    pub machine: Machine,
    /// What was asked for.
    pub options: Options,
    /// In the order in which they were asked for.
    pub works: Vec<Work>,
}

/// The figures of one workload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Which.
    pub workload: Workload,
    /// Names of the servers, in the order of the tables.
    pub servers: Vec<String>,
    /// In the order in which they were measured; none if memory was measured.
    pub samples: Vec<Sample>,
    /// One for each server; none if time was measured.
    pub memory: Vec<Memory>,
    /// One for each server, if they were counted.
    pub system_calls: Vec<SystemCalls>,
}

/// One server, measured once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Its name.
    pub server: String,
    /// From 1 on. A server that is measured twice in a round has two samples with its number.
    pub round: usize,
    /// Messages, requests, deliveries, connections: see [`Workload::unit`].
    pub units: u64,
    /// The time for them.
    pub elapsed_ns: u64,
    /// CPU time of the server's process in that time.
    pub cpu_ns: u64,
    /// How long an answer took, where there are answers.
    pub latency: Option<Latency>,
    /// Completions or events taken for each wait for them, over the server's whole life, where it counts them.
    pub completions_per_wait: Option<f64>,
}

/// Percentiles, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50_ns: u64,
    /// One in a hundred is longer.
    pub p99_ns: u64,
    /// One in a thousand is longer.
    pub p999_ns: u64,
}

/// What idle connections cost.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// The server's name.
    pub server: String,
    /// What each connection added to the pages that are the process's own, in bytes.
    pub private_dirty_each: f64,
    /// What each added to its pages in memory, in bytes.
    pub resident_each: f64,
}

/// System calls of one server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SystemCalls {
    /// Its name.
    pub server: String,
    /// For each unit, all together.
    pub each: f64,
    /// The most frequent ones, for each unit.
    pub by_name: Vec<(String, f64)>,
}

impl Sample {
    /// CPU time of a unit in nanoseconds.
    pub fn cpu_ns_each(&self) -> f64 {
        self.cpu_ns as f64 / self.units.max(1) as f64
    }

    /// Units a second.
    pub fn rate(&self) -> f64 {
        self.units as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }
}

impl Report {
    /// A workload's figures.
    pub fn work(&self, workload: Workload) -> Option<&Work> {
        self.works.iter().find(|work| work.workload == workload)
    }
}

impl Work {
    /// A server's samples.
    pub fn of<'a>(&'a self, server: &'a str) -> impl Iterator<Item = &'a Sample> + Clone {
        self.samples.iter().filter(move |sample| sample.server == server)
    }

    /// The median of a figure of a server.
    pub fn median(&self, server: &str, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        median(self.of(server).map(figure))
    }

    /// A server's CPU time of a unit in a round, in nanoseconds; the mean where it was measured twice.
    pub fn cpu_ns_in(&self, server: &str, round: usize) -> Option<f64> {
        let (sum, count) = self
            .of(server)
            .filter(|sample| sample.round == round)
            .fold((0.0, 0), |(sum, count), sample| (sum + sample.cpu_ns_each(), count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The numbers of the rounds.
    pub fn rounds(&self) -> BTreeSet<usize> {
        self.samples.iter().map(|sample| sample.round).collect()
    }

    /// A server's CPU time of a unit over that of another, perhaps at other work, paired by rounds.
    pub fn ratio(&self, server: &str, other: &Work, to: &str) -> Option<Interval> {
        let pairs = self.rounds().into_iter();
        let ratios = pairs.filter_map(|round| Some(self.cpu_ns_in(server, round)? / other.cpu_ns_in(to, round)?));
        interval(&sorted(ratios))
    }

    /// The CPU time of a server that was measured twice a round over its own a moment before: the noise.
    pub fn noise(&self, server: &str) -> Option<Interval> {
        let ratios = self.rounds().into_iter().filter_map(|round| {
            let mut samples = self.of(server).filter(|sample| sample.round == round).map(Sample::cpu_ns_each);
            let (first, second) = (samples.next()?, samples.next()?);
            Some(second / first)
        });
        interval(&sorted(ratios))
    }
}
