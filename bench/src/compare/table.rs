//! The report as Markdown.

use super::goals::{self, Verdict};
use super::report::{Memory, Report, Sample, SystemCalls, Work};
use super::subject_names;
use crate::interval::{interval, median};
use std::fmt;

impl fmt::Display for Report {
    /// A line for the machine, a table for each work, one of what was aimed at.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let confidence = interval(&vec![1.0; options.rounds]).map_or(0.0, |interval| interval.confidence * 100.0);
        writeln!(f, "{}", self.machine)?;
        let placement =
            if options.together { "on the same CPU as the server" } else { "on another CPU than the server" };
        writeln!(
            f,
            "Medians of {} rounds of {} s each, with intervals of {confidence:.1}% confidence; the load {placement}.",
            options.rounds,
            options.window.as_secs_f64()
        )?;
        for work in &self.works {
            writeln!(f, "\n### {}\n", work.workload.title())?;
            work.write_table(f)?;
        }
        let verdicts = goals::verdicts(self);
        if verdicts.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n### What was aimed at\n")?;
        writeln!(f, "| aim | limit | measured | |")?;
        writeln!(f, "|---|--:|--:|---|")?;
        verdicts.iter().try_for_each(|verdict| verdict.write_row(f))
    }
}

impl Verdict {
    fn write_row(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_missed() { "missed" } else { "reached" };
        let limit = (self.limit * 1000.0).round() / 1000.0;
        match self.interval() {
            Some(interval) => writeln!(f, "| {} | {limit} | {interval} | {word} |", self.aim),
            None => writeln!(f, "| {} | {limit} | {:.1} | {word} |", self.aim, self.figure()),
        }
    }
}

impl Work {
    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.workload.is_idle() {
            return self.write_memory(f);
        }
        let (unit, units) = (self.workload.unit(), self.workload.units());
        let subjects: Vec<&str> = subject_names()
            .into_iter()
            .filter_map(|name| self.servers.iter().find(|one| **one == name))
            .map(String::as_str)
            .collect();
        write!(
            f,
            "| server | CPU a {unit} | {units}/s | p50 | p99 | p99.9 | completions a wait | system calls a {unit} |"
        )?;
        subjects.iter().try_for_each(|subject| write!(f, " {subject} to it |"))?;
        writeln!(f, "\n|---|--:|--:|--:|--:|--:|--:|--:|{}", "--:|".repeat(subjects.len()))?;
        self.servers.iter().try_for_each(|server| self.write_row(f, server, &subjects))
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, server: &str, subjects: &[&str]) -> fmt::Result {
        let Some(cpu) = self.median(server, Sample::cpu_ns_each) else { return Ok(()) };
        let rate = self.median(server, Sample::rate).unwrap_or_default();
        write!(f, "| {server} | {:.3} us | {rate:.0} |", cpu / 1e3)?;
        for percentile in [|sample: &Sample| sample.latency.map(|latency| latency.p50_ns), p99, p999] {
            let ns = median(self.of(server).filter_map(percentile).map(|ns| ns as f64));
            write!(f, " {} |", ns.map_or(String::new(), |ns| format!("{:.0} us", ns / 1e3)))?;
        }
        let per_wait = median(self.of(server).filter_map(|sample| sample.completions_per_wait));
        write!(f, " {} |", per_wait.map_or(String::new(), |count| format!("{count:.1}")))?;
        let calls = self.system_calls.iter().find(|calls| calls.server == server);
        write!(f, " {} |", calls.map_or(String::new(), SystemCalls::to_string))?;
        for subject in subjects {
            let own = (*subject == server).then(|| self.noise(server));
            let ratio = own.unwrap_or_else(|| self.ratio(subject, self, server));
            write!(f, " {} |", ratio.map_or(String::new(), |ratio| ratio.to_string()))?;
        }
        writeln!(f)
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| server | private memory a connection | resident |")?;
        writeln!(f, "|---|--:|--:|")?;
        self.memory.iter().try_for_each(|Memory { server, private_dirty_each, resident_each }| {
            writeln!(f, "| {server} | {private_dirty_each:.0} B | {resident_each:.0} B |")
        })
    }
}

fn p99(sample: &Sample) -> Option<u64> {
    sample.latency.map(|latency| latency.p99_ns)
}

fn p999(sample: &Sample) -> Option<u64> {
    sample.latency.map(|latency| latency.p999_ns)
}

impl fmt::Display for SystemCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.each)
    }
}
