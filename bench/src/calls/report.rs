//! What the counting found, as data and as Markdown.

use super::{CallOptions, Mode, Server};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Functions with a column of their own. What else is called is summed up in one.
const COLUMNS: [&str; 4] = ["GetQueuedCompletionStatusEx", "WSARecv", "WSASend", "WSAGetLastError"];

/// The counts of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallReport {
    /// What was asked for.
    pub options: CallOptions,
    /// In the order in which they were counted: each yardstick, then the subject in the same mode.
    pub counted: Vec<Calls>,
    /// Functions of Winsock and of completion ports that this program can call and that are not counted, but for those
    /// that nobody calls for a message. None is to be expected.
    pub missed: Vec<String>,
}

/// The calls of one server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Calls {
    /// Whose.
    pub server: Server,
    /// How it used its port.
    pub mode: Mode,
    /// Connections, each with one message under way.
    pub connections: usize,
    /// Messages echoed while the calls were counted.
    pub messages: u64,
    /// Completions that its waits brought.
    pub completions: u64,
    /// By the function's name; those that were never called are left out.
    pub calls: BTreeMap<String, u64>,
}

impl Calls {
    /// The calls of one function.
    pub fn of(&self, function: &str) -> u64 {
        self.calls.get(function).copied().unwrap_or(0)
    }

    /// The calls of all functions.
    pub fn all(&self) -> u64 {
        self.calls.values().sum()
    }

    fn each(&self, calls: u64) -> f64 {
        calls as f64 / self.messages.max(1) as f64
    }
}

impl CallReport {
    /// Each mode and number of connections: the yardstick's calls and the subject's.
    pub fn pairs(&self) -> impl Iterator<Item = (&Calls, &Calls)> {
        self.counted.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipping = if self.skip_on_success { "on" } else { "off" };
        let reads = if self.idle_reads { "idle" } else { "plain" };
        write!(f, "skip on success {skipping}, reads {reads}")
    }
}

/// As Markdown: a table of calls a message.
impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallOptions { rounds, message_bytes, .. } = self.options;
        writeln!(f, "Calls of Winsock and of the completion port by the serving thread for a message.")?;
        writeln!(f, "Echo of {message_bytes} bytes, {rounds} messages a connection, all connections in step.\n")?;
        writeln!(
            f,
            "| connections | skip on success | reads | server | {} | others | all | ratio |",
            COLUMNS.join(" | ")
        )?;
        writeln!(f, "|--:|---|---|---|{}--:|--:|--:|", "--:|".repeat(COLUMNS.len()))?;
        for (yardstick, subject) in self.pairs() {
            write_row(f, yardstick, None)?;
            write_row(f, subject, Some(yardstick))?;
        }
        if !self.missed.is_empty() {
            writeln!(f, "\nNot counted: {}.", self.missed.join(", "))?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, calls: &Calls, yardstick: Option<&Calls>) -> fmt::Result {
    let skipping = if calls.mode.skip_on_success { "on" } else { "off" };
    let reads = if calls.mode.idle_reads { "idle" } else { "plain" };
    write!(f, "| {} | {skipping} | {reads} | {} |", calls.connections, calls.server)?;
    let known: u64 = COLUMNS.iter().map(|function| calls.of(function)).sum();
    for count in COLUMNS.iter().map(|function| calls.of(function)).chain([calls.all() - known, calls.all()]) {
        write!(f, " {:.3} |", calls.each(count))?;
    }
    match yardstick {
        Some(yardstick) => writeln!(f, " {:.3} |", calls.each(calls.all()) / yardstick.each(yardstick.all())),
        None => writeln!(f, " |"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(server: Server, counts: &[(&str, u64)]) -> Calls {
        Calls {
            server,
            mode: Mode::ALL[0],
            connections: 1,
            messages: 1000,
            completions: 1000,
            calls: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        }
    }

    #[test]
    fn a_report_is_a_table() {
        let yardstick = calls(Server::Yardstick, &[("GetQueuedCompletionStatusEx", 1000), ("WSASend", 1000)]);
        let subject = calls(Server::Subject, &[("WSASend", 1000), ("setsockopt", 1500)]);
        let text = CallReport {
            options: CallOptions::default(),
            counted: vec![yardstick, subject],
            missed: vec!["WSANew".into()],
        }
        .to_string();
        let row = "| 1 | on | plain | socket-iocp | 0.000 | 0.000 | 1.000 | 0.000 | 1.500 | 2.500 | 1.250 |";
        assert!(text.lines().any(|line| line == row), "{text}");
        assert!(text.ends_with("\n\nNot counted: WSANew.\n"), "{text}");
        let columns: Vec<usize> = text.lines().skip(3).take(4).map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [12; 4], "{text}");
    }

    #[test]
    fn a_report_survives_json() {
        let counted = vec![calls(Server::Subject, &[("WSARecv", 1)])];
        let report = CallReport { options: CallOptions::default(), counted, missed: Vec::new() };
        let json = serde_json::to_string(&report).expect("a report is data");
        assert_eq!(serde_json::from_str::<CallReport>(&json).expect("the same"), report);
    }
}
