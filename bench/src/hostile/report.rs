//! What came of the attacks, as data and as Markdown.

use super::attack::Attack;
use super::options::HostileOptions;
use crate::interval::{interval, median, sorted};
use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A good message may cost so many times what it costs without the attack.
const MAX_RATIO: f64 = 1.25;

/// The figures of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostileReport {
    /// Where they come from.
    pub machine: Machine,
    /// What was asked for.
    pub options: HostileOptions,
    /// In the order in which they were measured.
    pub comparisons: Vec<Comparison>,
    /// What an idle time-out gives back.
    pub releases: Vec<Release>,
}

/// The good load alone, under attack, and alone again, each on a server of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// `BackendKind::name`.
    pub backend: String,
    /// Whether the server has limits.
    pub limited: bool,
    /// What it is attacked by.
    pub attack: Attack,
    /// Alone.
    pub before: Cost,
    /// Under attack.
    pub under: Cost,
    /// Alone again.
    pub after: Cost,
    /// Hostile events while it was measured.
    pub events: u64,
    /// Those of them that came to nothing, the connection being full.
    pub refused: u64,
    /// The server's memory under attack.
    pub usage: Usage,
}

/// What the good messages cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Echoes checked.
    pub messages: u64,
    /// The time for them.
    pub elapsed_ns: u64,
    /// CPU time of the server's process in that time.
    pub cpu_ns: u64,
    /// How often its worker waited for completions.
    pub waits: u64,
}

/// The memory of a server beyond what it took when it was empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// Sockets in the port, the good ones included.
    pub sockets: u64,
    /// What the allocator has given out; 0 where it does not tell.
    pub allocated_bytes: u64,
    /// The most that was resident.
    pub resident_bytes: u64,
    /// The bound; `None` where peers may queue without a limit.
    pub bound_bytes: Option<u64>,
}

/// Silent and never-reading connections before and after a server's idle time-out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// `BackendKind::name`.
    pub backend: String,
    /// The time-out; `None` for a server that has none, looked at after the same time.
    pub idle_timeout: Option<Duration>,
    /// Hostile connections.
    pub connections: u64,
    /// The server's memory with them.
    pub full: Usage,
    /// And when it has had the time to end them, all the while serving the good load.
    pub after: Usage,
    /// Farewells that said so.
    pub timed_out: u64,
    /// The memory with as many hostile connections once more.
    pub again: Option<Usage>,
}

impl Cost {
    /// CPU time of a good message in nanoseconds.
    pub fn cpu_ns_each(&self) -> f64 {
        self.cpu_ns as f64 / self.messages.max(1) as f64
    }

    /// Good messages for each time that the worker waited.
    fn messages_a_wait(&self) -> f64 {
        self.messages as f64 / self.waits.max(1) as f64
    }
}

impl Comparison {
    fn alone_ns_each(&self) -> f64 {
        (self.before.cpu_ns_each() + self.after.cpu_ns_each()) / 2.0
    }

    /// CPU time of a good message under attack over that alone.
    pub fn ratio(&self) -> f64 {
        self.under.cpu_ns_each() / self.alone_ns_each()
    }

    /// The same alone, over a moment before: the noise.
    pub fn noise(&self) -> f64 {
        self.after.cpu_ns_each() / self.before.cpu_ns_each()
    }

    /// What a hostile event costs, in good messages; `None` without events.
    fn event_cost(&self) -> Option<f64> {
        (self.events > 0).then(|| (self.ratio() - 1.0) * self.under.messages as f64 / self.events as f64)
    }

    fn events_per_second(&self) -> f64 {
        self.events as f64 * 1e9 / self.under.elapsed_ns.max(1) as f64
    }
}

impl Usage {
    /// Whether there is a bound and it is not kept.
    pub fn is_over(&self) -> bool {
        self.bound_bytes.is_some_and(|bound| self.allocated_bytes.max(self.resident_bytes) > bound)
    }

    /// The greater of both, figure by figure.
    fn max(self, other: Usage) -> Usage {
        Usage {
            sockets: self.sockets.max(other.sockets),
            allocated_bytes: self.allocated_bytes.max(other.allocated_bytes),
            resident_bytes: self.resident_bytes.max(other.resident_bytes),
            bound_bytes: self.bound_bytes.max(other.bound_bytes),
        }
    }
}

impl HostileReport {
    /// The median of the ratios of one attack, paired by rounds; `None` without a round.
    pub fn median_ratio(&self, backend: &str, limited: bool, attack: Attack) -> Option<f64> {
        median(self.of(backend, limited, attack).map(Comparison::ratio))
    }

    /// What memory was above its bound, one line each; none if all is well.
    pub fn over_bound(&self) -> Vec<String> {
        let under = self.comparisons.iter().map(|found| (&found.backend, found.attack.to_string(), found.usage));
        let ended = self.releases.iter().flat_map(|release| {
            [Some(release.full), Some(release.after), release.again]
                .into_iter()
                .flatten()
                .map(|usage| (&release.backend, "idle".to_owned(), usage))
        });
        under
            .chain(ended)
            .filter(|(_, _, usage)| usage.is_over())
            .map(|(backend, what, usage)| format!("{backend}, {what}: {usage:?}"))
            .collect()
    }

    fn of(&self, backend: &str, limited: bool, attack: Attack) -> impl Iterator<Item = &Comparison> {
        self.comparisons
            .iter()
            .filter(move |found| found.backend == backend && found.limited == limited && found.attack == attack)
    }

    /// Calls `write` for each table row: backend, limits, attack, its comparisons.
    fn for_each_row(
        &self,
        mut write: impl FnMut(&str, &'static str, Attack, &[&Comparison]) -> fmt::Result,
    ) -> fmt::Result {
        for backend in &self.options.backends {
            for (limited, name) in [(false, "without limits"), (true, "with limits")] {
                for attack in &self.options.attacks {
                    let found: Vec<&Comparison> = self.of(backend, limited, *attack).collect();
                    if !found.is_empty() {
                        write(backend, name, *attack, &found)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// As Markdown: what was done, a table of CPU time, one of memory, one of what a time-out gives back.
impl fmt::Display for HostileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_surroundings(f)?;
        self.write_cpu(f)?;
        self.write_memory(f)?;
        self.write_releases(f)
    }
}

impl HostileReport {
    fn write_surroundings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (machine, options) = (&self.machine, &self.options);
        let (strength, limits) = (&options.strength, &options.limits);
        let percent = |rate: f64| rate * 100.0 / options.messages_per_second;
        let confidence = interval(&vec![1.0; options.rounds]).map_or(0.0, |interval| interval.confidence * 100.0);
        writeln!(f, "{machine}")?;
        writeln!(
            f,
            "Good load: {} messages/s of {} bytes over {} connections, echoed by one worker; medians of {} rounds of {} s \
             each, intervals of {confidence:.1}% confidence.",
            options.messages_per_second,
            options.message_bytes,
            options.connections,
            options.rounds,
            options.window.as_secs_f64()
        )?;
        writeln!(
            f,
            "Hostile rate: {} messages/s ({:.1}% of the good ones) and {} new connections/s ({:.1}%); {} silent connections, \
             {} of each other kind at once. Their cost is in the ratio; it should be at most {MAX_RATIO}.",
            strength.messages_per_second,
            percent(strength.messages_per_second),
            strength.connections_per_second,
            percent(strength.connections_per_second),
            strength.silent,
            strength.peers
        )?;
        writeln!(
            f,
            "Limits: idle_timeout {}, max_queued_sends {}, max_queued_bytes {}.\n",
            seconds(limits.idle_timeout),
            limits.max_queued_sends,
            limits.max_queued_bytes
        )
    }

    fn write_cpu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| backend | server | attack | events/s (refused) | CPU a good message alone | under attack, ratio (interval) \
             | alone again | an event, in good messages | good messages a wait alone | under attack |"
        )?;
        writeln!(f, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|")?;
        self.for_each_row(|backend, limits, attack, found| {
            let of = |figure: fn(&Comparison) -> f64| median(found.iter().map(|found| figure(found))).unwrap_or(0.0);
            let ratios = sorted(found.iter().map(|found| found.ratio()));
            let ratio = interval(&ratios).map_or(String::new(), |interval| interval.to_string());
            let mark = if of(Comparison::ratio) > MAX_RATIO { ", above the limit" } else { "" };
            let events: u64 = found.iter().map(|found| found.events).sum();
            let refused: u64 = found.iter().map(|found| found.refused).sum();
            let event = median(found.iter().filter_map(|found| found.event_cost()));
            writeln!(
                f,
                "| {backend} | {limits} | {attack} | {:.0} ({:.0}%) | {:.2} us | {ratio}{mark} | {:.3} | {} | {:.1} | {:.1} |",
                of(Comparison::events_per_second),
                refused as f64 * 100.0 / events.max(1) as f64,
                of(Comparison::alone_ns_each) / 1e3,
                of(Comparison::noise),
                event.map_or("-".to_owned(), |cost| format!("{cost:.2}")),
                of(|found| (found.before.messages_a_wait() + found.after.messages_a_wait()) / 2.0),
                of(|found| found.under.messages_a_wait())
            )
        })
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| backend | server | attack | sockets | heap, most | resident, most | bound |")?;
        writeln!(f, "|---|---|---|--:|--:|--:|--:|")?;
        self.for_each_row(|backend, limits, attack, found| {
            let Some(usage) = found.iter().map(|found| found.usage).reduce(Usage::max) else { return Ok(()) };
            writeln!(f, "| {backend} | {limits} | {attack} | {} | {usage} |", usage.sockets)
        })
    }

    fn write_releases(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.releases.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n| backend | idle time-out | idle connections | timed out | sockets left | heap: full | after | as many again \
             | resident: full | after | as many again |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for release in &self.releases {
            let timeout = seconds(release.idle_timeout);
            let (full, after) = (release.full, release.after);
            let again = |figure: fn(&Usage) -> u64| {
                release.again.as_ref().map_or("-".to_owned(), |usage| mebibytes(figure(usage)))
            };
            writeln!(
                f,
                "| {} | {timeout} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                release.backend,
                release.connections,
                release.timed_out,
                after.sockets,
                mebibytes(full.allocated_bytes),
                mebibytes(after.allocated_bytes),
                again(|usage| usage.allocated_bytes),
                mebibytes(full.resident_bytes),
                mebibytes(after.resident_bytes),
                again(|usage| usage.resident_bytes)
            )?;
        }
        Ok(())
    }
}

/// Heap, resident, bound: three columns.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = self.bound_bytes.map_or("none".to_owned(), mebibytes);
        let mark = if self.is_over() { ", not kept" } else { "" };
        write!(f, "{} | {} | {bound}{mark}", mebibytes(self.allocated_bytes), mebibytes(self.resident_bytes))
    }
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("none".to_owned(), |time| format!("{} s", time.as_secs_f64()))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
