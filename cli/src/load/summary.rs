//! The result of a load run, as text and as JSON.

use super::connection::Work;
use super::tally::Tally;
use crate::report::{Latency, Lines, bytes_text, counted, rate_text, thousands};
use serde::Serialize;

/// What a load run found. Its fields are the JSON document's.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub address: String,
    pub backend: &'static str,
    /// Why a better backend was passed over; empty if none was.
    pub backend_reason: String,
    pub threads: u64,
    pub connections: u64,
    pub message_bytes: u64,
    pub mode: Mode,
    /// Messages of one connection sent and not answered, at most.
    pub pipeline: u64,
    /// Open loop: the messages a second asked for.
    pub scheduled_rate: Option<u64>,
    pub interrupted: bool,
    pub warmup_seconds: f64,
    pub measured_seconds: f64,
    /// Right answers in the measured time.
    pub messages: u64,
    /// Right answers with those of the warm-up.
    pub total_messages: u64,
    pub messages_per_second: f64,
    /// Of what was measured, and of what remained unanswered: with the time that it had waited.
    pub latency_ns: Option<Latency>,
    pub errors: Errors,
    /// CPU time of the load threads.
    pub cpu_seconds: f64,
}

/// Closed loop: the next message goes when an answer has come. Open loop: by the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Closed,
    Open,
}

/// What went wrong.
#[derive(Debug, Serialize)]
pub struct Errors {
    pub wrong_messages: u64,
    pub unexpected_bytes: u64,
    pub lost_connections: u64,
    pub unanswered_messages: u64,
    /// The first of them in words.
    pub first: Option<String>,
}

/// What the counts do not say themselves.
#[derive(Debug)]
pub struct Setting {
    pub address: String,
    pub backend: &'static str,
    pub backend_reason: String,
    pub threads: u64,
    pub interrupted: bool,
}

impl Summary {
    pub fn new(setting: Setting, work: &Work, tally: Tally) -> Summary {
        let measured_seconds = tally.until_ns.saturating_sub(work.warmup_ns) as f64 / 1e9;
        let rate = if measured_seconds > 0.0 { tally.measured as f64 / measured_seconds } else { 0.0 };
        Summary {
            address: setting.address,
            backend: setting.backend,
            backend_reason: setting.backend_reason,
            threads: setting.threads,
            connections: work.connections,
            message_bytes: work.pattern.size() as u64,
            mode: if work.rate.is_some() { Mode::Open } else { Mode::Closed },
            pipeline: work.limit as u64,
            scheduled_rate: work.rate.map(|rate| rate.0.get()),
            interrupted: setting.interrupted,
            warmup_seconds: work.warmup_ns as f64 / 1e9,
            measured_seconds,
            messages: tally.measured,
            total_messages: tally.answered,
            messages_per_second: rate,
            latency_ns: Latency::of(&tally.latencies),
            errors: Errors {
                wrong_messages: tally.wrong,
                unexpected_bytes: tally.unexpected_bytes,
                lost_connections: tally.lost,
                unanswered_messages: tally.unanswered,
                first: tally.first_fault,
            },
            cpu_seconds: tally.cpu_time.as_secs_f64(),
        }
    }

    /// Whether every message came back right.
    pub fn is_clean(&self) -> bool {
        self.errors.total() == 0
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let mut lines = Lines::default();
        lines.add("address", &self.address).add("load", self.load_text());
        if !self.backend_reason.is_empty() {
            lines.add("", format!("passed over: {}", self.backend_reason));
        }
        self.add_result(&mut lines);
        lines.text().to_owned()
    }

    /// The lines from the message count on.
    pub fn add_result(&self, lines: &mut Lines) {
        let interrupted = if self.interrupted { " (interrupted)" } else { "" };
        lines
            .add("messages", format!("{} in {:.2} s{interrupted}", thousands(self.messages), self.measured_seconds))
            .add("rate", self.rate_line());
        match &self.latency_ns {
            Some(latency) => lines.add("latency", latency.table()),
            None => lines.add("latency", "nothing was measured"),
        };
        self.errors.add_to(lines);
    }

    fn load_text(&self) -> String {
        let how = match self.scheduled_rate {
            None => format!("closed loop, {} each on the way", self.pipeline),
            Some(rate) => {
                format!("open loop at {} messages/s, at most {} each on the way", thousands(rate), self.pipeline)
            }
        };
        format!(
            "{}, {}, {}, {how}, {}",
            counted(self.connections, "connection"),
            counted(self.threads, "thread"),
            counted(self.message_bytes, "byte") + " a message",
            self.backend
        )
    }

    fn rate_line(&self) -> String {
        let bytes = self.messages_per_second * self.message_bytes as f64;
        format!("{} messages/s, {}/s each way", rate_text(self.messages_per_second), bytes_text(bytes))
    }
}

impl Errors {
    fn total(&self) -> u64 {
        self.wrong_messages + self.unexpected_bytes + self.lost_connections + self.unanswered_messages
    }

    fn add_to(&self, lines: &mut Lines) {
        if self.total() == 0 {
            lines.add("errors", "none");
            return;
        }
        let counts = [
            (self.wrong_messages, "wrong message"),
            (self.unexpected_bytes, "unexpected byte"),
            (self.lost_connections, "lost connection"),
            (self.unanswered_messages, "unanswered message"),
        ];
        let texts: Vec<String> =
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(count, noun)).collect();
        lines.add("errors", texts.join(", "));
        if let Some(first) = &self.first {
            lines.add("first", first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Pattern;
    use super::*;

    fn summary(tally: Tally) -> Summary {
        let work = Work {
            connections: 10,
            pattern: Pattern::new(64),
            limit: 1,
            rate: None,
            messages: None,
            warmup_ns: 1_000_000_000,
            end_ns: Some(3_000_000_000),
            timeout_ns: 1,
        };
        let setting = Setting {
            address: "127.0.0.1:9000".into(),
            backend: "io_uring",
            backend_reason: String::new(),
            threads: 1,
            interrupted: false,
        };
        Summary::new(setting, &work, tally)
    }

    #[test]
    fn the_rate_is_that_of_the_measured_time() {
        let mut tally = Tally::new();
        (tally.answered, tally.measured, tally.until_ns) = (1_500, 1_000, 3_000_000_000);
        tally.latencies.saturating_record(20_000);
        let summary = summary(tally);
        assert_eq!((summary.messages, summary.total_messages), (1_000, 1_500));
        assert_eq!(summary.messages_per_second, 500.0);
        assert!(summary.is_clean());
        let text = summary.text();
        assert!(text.contains("500 messages/s, 31.2 KiB/s each way"), "{text}");
        assert!(text.contains("errors       none"), "{text}");
    }

    #[test]
    fn errors_are_named_and_the_first_is_told() {
        let mut tally = Tally::new();
        (tally.wrong, tally.lost) = (1, 2);
        tally.note_fault(|| "connection 3, message 4, byte 5: …".into());
        let summary = summary(tally);
        assert!(!summary.is_clean());
        let text = summary.text();
        assert!(text.contains("errors       1 wrong message, 2 lost connections\n"), "{text}");
        assert!(text.contains("first        connection 3, message 4, byte 5"), "{text}");
        assert!(text.contains("nothing was measured"), "{text}");
    }

    #[test]
    fn the_json_document_has_the_documented_names() {
        let mut tally = Tally::new();
        (tally.answered, tally.measured, tally.until_ns) = (1_500, 1_000, 3_000_000_000);
        let json = serde_json::to_value(summary(tally)).expect("JSON");
        assert_eq!(json["mode"], "closed");
        assert_eq!(json["total_messages"], 1_500);
        assert_eq!(json["latency_ns"], serde_json::Value::Null);
        assert_eq!(json["errors"]["wrong_messages"], 0);
    }
}
