//! What came of the measurements, as data and as Markdown.

use crate::Options;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The figures of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where they come from.
    pub machine: Machine,
    /// What was asked for.
    pub options: Options,
    /// In the order in which they were measured.
    pub rounds: Vec<Round>,
    /// One for each backend.
    pub idle: Vec<Idle>,
}

/// The machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its name and release.
    pub kernel: String,
    /// As the kernel names it.
    pub architecture: String,
    /// The model's name.
    pub cpu: String,
    /// CPUs that the process may use.
    pub cpus_allowed: usize,
    /// The CPU that the servers ran on.
    pub server_cpu: usize,
    /// The CPU that the load ran on, when it ran apart.
    pub load_cpu: usize,
}

/// Where the load ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// On a CPU of its own.
    Apart,
    /// On the server's CPU.
    Together,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placement::Apart => "on another CPU",
            Placement::Together => "on the same CPU",
        })
    }
}

/// One comparison: three servers one after the other.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Round {
    /// `BackendKind::name`.
    pub backend: String,
    /// Where the load ran.
    pub placement: Placement,
    /// The yardstick.
    pub before: Sample,
    /// socket-iocp.
    pub subject: Sample,
    /// The yardstick again.
    pub after: Sample,
}

/// One server, measured once.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Echoes checked.
    pub messages: u64,
    /// The time for them.
    pub elapsed_ns: u64,
    /// CPU time of the server's process in that time.
    pub cpu_ns: u64,
    /// Messages for each wait for events, over the server's whole life: how busy it was.
    pub messages_per_wait: f64,
}

/// The memory of idle connections.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Idle {
    /// `BackendKind::name`.
    pub backend: String,
    /// How many.
    pub connections: usize,
    /// The process before the first of them, with its port and listener.
    pub empty_private_dirty_bytes: u64,
    /// What each of them added to the process's own pages.
    pub private_dirty_bytes_each: f64,
    /// What each of them added to its pages in memory.
    pub resident_bytes_each: f64,
    /// What each of them added to the memory that the allocator has given out; 0 where it does not tell.
    pub allocated_bytes_each: f64,
}

impl Sample {
    /// CPU time of a message in nanoseconds.
    pub fn cpu_ns_each(&self) -> f64 {
        self.cpu_ns as f64 / self.messages.max(1) as f64
    }

    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }
}

impl Round {
    /// The subject's CPU time of a message over the yardstick's.
    pub fn ratio(&self) -> f64 {
        self.subject.cpu_ns_each() * 2.0 / (self.before.cpu_ns_each() + self.after.cpu_ns_each())
    }

    /// The yardstick's CPU time over its own a moment before.
    pub fn noise(&self) -> f64 {
        self.after.cpu_ns_each() / self.before.cpu_ns_each()
    }
}

impl Report {
    /// The median of the subject's ratio to the yardstick, paired by rounds; `None` without a round.
    pub fn median_ratio(&self, backend: &str, placement: Placement) -> Option<f64> {
        median(self.rounds_of(backend, placement).map(Round::ratio))
    }

    fn rounds_of(&self, backend: &str, placement: Placement) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(move |round| round.backend == backend && round.placement == placement)
    }
}

/// As Markdown: a line for the machine, a table of echo, a table of idle memory.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (machine, options) = (&self.machine, &self.options);
        writeln!(
            f,
            "{}, {}, {}, CPUs to use: {}.",
            machine.kernel, machine.architecture, machine.cpu, machine.cpus_allowed
        )?;
        writeln!(
            f,
            "Echo of {} bytes over {} connections, one worker; medians of {} rounds of {} s each.\n",
            options.message_bytes,
            options.connections,
            options.rounds,
            options.window.as_secs_f64()
        )?;
        writeln!(f, "| backend | load | server | CPU a message | messages/s | messages a wait | CPU ratio (range) |")?;
        writeln!(f, "|---|---|---|--:|--:|--:|--:|")?;
        for backend in &options.backends {
            for placement in [Placement::Apart, Placement::Together] {
                self.write_echo(f, backend, placement)?;
            }
        }
        if self.idle.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n| backend | idle connections | private memory each | resident each | allocated each |")?;
        writeln!(f, "|---|--:|--:|--:|--:|")?;
        for idle in &self.idle {
            writeln!(
                f,
                "| {} | {} | {:.0} B | {:.0} B | {:.0} B |",
                idle.backend,
                idle.connections,
                idle.private_dirty_bytes_each,
                idle.resident_bytes_each,
                idle.allocated_bytes_each
            )?;
        }
        Ok(())
    }
}

impl Report {
    /// Two rows; none if nothing was measured.
    fn write_echo(&self, f: &mut fmt::Formatter<'_>, backend: &str, placement: Placement) -> fmt::Result {
        let rounds = || self.rounds_of(backend, placement);
        let yardsticks: Vec<Sample> = rounds().flat_map(|round| [round.before, round.after]).collect();
        let subjects: Vec<Sample> = rounds().map(|round| round.subject).collect();
        let noise = Spread::of(rounds().map(Round::noise));
        let ratio = Spread::of(rounds().map(Round::ratio));
        write_row(f, &format!("{backend} | {placement} | yardstick"), &yardsticks, noise)?;
        write_row(f, &format!("{backend} | {placement} | socket-iocp"), &subjects, ratio)
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, samples: &[Sample], ratio: Option<Spread>) -> fmt::Result {
    let median_of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
    let cpu = median_of(Sample::cpu_ns_each);
    let (rate, per_wait) = (median_of(Sample::rate), median_of(|sample| sample.messages_per_wait));
    let (Some(cpu), Some(rate), Some(per_wait), Some(ratio)) = (cpu, rate, per_wait, ratio) else { return Ok(()) };
    writeln!(f, "| {name} | {:.3} us | {rate:.0} | {per_wait:.1} | {ratio} |", cpu / 1e3)
}

/// A median with the range around it.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let sorted = sorted(values);
        Some(Spread { median: middle(&sorted)?, min: *sorted.first()?, max: *sorted.last()? })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ({:.3} to {:.3})", self.median, self.min, self.max)
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    middle(&sorted(values))
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_ns: u64) -> Sample {
        Sample { messages: 1000, elapsed_ns: 10_000_000, cpu_ns, messages_per_wait: 5.0 }
    }

    fn round(before: u64, subject: u64, after: u64) -> Round {
        let (backend, placement) = ("io_uring".to_owned(), Placement::Apart);
        Round { backend, placement, before: sample(before), subject: sample(subject), after: sample(after) }
    }

    fn report(rounds: Vec<Round>) -> Report {
        let machine = Machine {
            kernel: "Linux 6.1".into(),
            architecture: "x86_64".into(),
            cpu: "Some CPU".into(),
            cpus_allowed: 2,
            server_cpu: 1,
            load_cpu: 0,
        };
        Report { machine, options: Options::default(), rounds, idle: Vec::new() }
    }

    #[test]
    fn medians_are_those_of_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn ratios_are_paired_by_rounds() {
        // The machine is twice as slow in the second round, and the third has an outlier.
        let report = report(vec![round(1000, 1100, 1000), round(2000, 2200, 2000), round(1000, 9000, 1000)]);
        let ratio = report.median_ratio("io_uring", Placement::Apart).expect("rounds");
        assert!((ratio - 1.1).abs() < 1e-9, "{ratio}");
        assert_eq!(report.median_ratio("io_uring", Placement::Together), None);
        assert_eq!(report.median_ratio("readiness", Placement::Apart), None);
    }

    #[test]
    fn the_yardstick_shows_its_own_noise() {
        let round = round(1000, 1500, 2000);
        assert_eq!((round.noise(), round.ratio()), (2.0, 1.0));
    }

    #[test]
    fn a_report_is_a_table() {
        let mut report = report(vec![round(1_000_000, 1_100_000, 1_000_000)]);
        report.idle.push(Idle {
            backend: "readiness".into(),
            connections: 100,
            empty_private_dirty_bytes: 1 << 20,
            private_dirty_bytes_each: 300.4,
            resident_bytes_each: 301.0,
            allocated_bytes_each: 299.6,
        });
        let text = report.to_string();
        assert!(text.starts_with("Linux 6.1, x86_64, Some CPU, CPUs to use: 2.\n"), "{text}");
        let subject = "| io_uring | on another CPU | socket-iocp | 1.100 us | 100000 | 5.0 | 1.100 (1.100 to 1.100) |";
        assert!(text.lines().any(|line| line == subject), "{text}");
        assert!(text.lines().any(|line| line == "| readiness | 100 | 300 B | 301 B | 300 B |"), "{text}");
        let columns: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [0, 0, 0, 8, 8, 8, 8, 0, 6, 6, 6], "{text}");
    }

    #[test]
    fn a_report_survives_json() {
        let report = report(vec![round(1, 2, 3)]);
        let json = serde_json::to_string(&report).expect("a report is data");
        assert_eq!(serde_json::from_str::<Report>(&json).expect("the same"), report);
    }
}
