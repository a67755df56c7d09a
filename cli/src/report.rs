//! What the commands print: numbers that are easy to read, columns, latency tables, and stdout without a panic.

use crate::failure::Failure;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Write};

/// The percentiles of a latency histogram, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub min: u64,
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub max: u64,
}

impl Latency {
    /// The histogram's percentiles; `None` when nothing was recorded.
    pub fn of(histogram: &Histogram<u64>) -> Option<Latency> {
        if histogram.is_empty() {
            return None;
        }
        Some(Latency {
            min: histogram.min(),
            mean: histogram.mean(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        })
    }

    /// Two lines: the percentiles' names and their values.
    pub fn table(&self) -> String {
        let columns = [
            ("min", self.min),
            ("mean", self.mean.round() as u64),
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p99.9", self.p99_9),
            ("max", self.max),
        ];
        let (mut names, mut values) = (String::new(), String::new());
        for (name, nanoseconds) in columns {
            names.push_str(&format!("{name:>10}"));
            values.push_str(&format!("{:>10}", nanoseconds_text(nanoseconds)));
        }
        format!("{names}\n{:LABEL_WIDTH$}{values}", "")
    }
}

const LABEL_WIDTH: usize = 13;

/// Lines of a label and a text, the texts one under the other.
#[derive(Default, Debug)]
pub struct Lines(String);

impl Lines {
    /// Adds one line.
    pub fn add(&mut self, label: &str, text: impl AsRef<str>) -> &mut Lines {
        let line = format!("{label:LABEL_WIDTH$}{}", text.as_ref());
        self.0.push_str(line.trim_end());
        self.0.push('\n');
        self
    }

    /// Adds a line of its own, with no label.
    pub fn heading(&mut self, text: &str) -> &mut Lines {
        self.0.push_str(text);
        self.0.push('\n');
        self
    }

    /// All lines, each with its end.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A number with a comma between its thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate as a whole number where it is large, with two decimals where it is small.
pub fn rate_text(rate: f64) -> String {
    if rate >= 100.0 { thousands(rate.round() as u64) } else { format!("{rate:.2}") }
}

/// A time in the largest unit in which it is at least one, to three or four digits.
pub fn nanoseconds_text(nanoseconds: u64) -> String {
    for (unit, size, below) in [("ns", 1.0, 999.5), ("us", 1e3, 999.95e3), ("ms", 1e6, 999.95e6)] {
        if (nanoseconds as f64) < below {
            let decimals = if unit == "ns" { 0 } else { 1 };
            return format!("{:.decimals$} {unit}", nanoseconds as f64 / size);
        }
    }
    format!("{:.2} s", nanoseconds as f64 / 1e9)
}

/// A number of bytes in the largest binary unit in which it is at least one.
pub fn bytes_text(bytes: f64) -> String {
    let mut rest = bytes;
    for unit in ["B", "KiB", "MiB"] {
        if rest < 1024.0 {
            return if unit == "B" { format!("{rest:.0} B") } else { format!("{rest:.1} {unit}") };
        }
        rest /= 1024.0;
    }
    format!("{rest:.1} GiB")
}

/// A number with its noun, in the plural where it is not one.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// Prints to stdout and flushes. A reader that has gone away (`socket-iocp probe | head -1`) is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a value as one JSON document over several lines.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::failed(format!("JSON: {error}")))?;
    text.push('\n');
    print(&text)
}

/// Writes a line to stderr. There is nowhere left to report that stderr cannot be written.
pub fn warn(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted_by_commas() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn a_time_is_shown_in_its_own_unit() {
        for (nanoseconds, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.0 us"),
            (41_260, "41.3 us"),
            (999_949, "999.9 us"),
            (999_951, "1.0 ms"),
            (12_340_000, "12.3 ms"),
            (999_960_000, "1.00 s"),
            (61_500_000_000, "61.50 s"),
        ] {
            assert_eq!(nanoseconds_text(nanoseconds), text);
        }
    }

    #[test]
    fn bytes_are_shown_in_binary_units() {
        for (bytes, text) in [(0.0, "0 B"), (1023.0, "1023 B"), (1024.0, "1.0 KiB"), (1.5 * 1024.0 * 1024.0, "1.5 MiB")]
        {
            assert_eq!(bytes_text(bytes), text);
        }
        assert_eq!(bytes_text(5.0 * 1024.0 * 1024.0 * 1024.0), "5.0 GiB");
    }

    #[test]
    fn rates_and_nouns_read_well() {
        assert_eq!(rate_text(0.5), "0.50");
        assert_eq!(rate_text(104_115.4), "104,115");
        assert_eq!(counted(1, "thread"), "1 thread");
        assert_eq!(counted(2_000, "thread"), "2,000 threads");
    }

    #[test]
    fn a_latency_table_lines_up() {
        let mut histogram = Histogram::<u64>::new(3).expect("bounds");
        assert_eq!(Latency::of(&histogram), None);
        for value in 1..=1000 {
            histogram.record(value * 1000).expect("in range");
        }
        let latency = Latency::of(&histogram).expect("recorded");
        assert!((499_000..=501_000).contains(&latency.p50), "{latency:?}");
        assert!((998_000..=1_001_000).contains(&latency.p99_9), "{latency:?}");
        let mut lines = Lines::default();
        lines.add("latency", latency.table());
        let widths: Vec<usize> = lines.text().lines().map(str::len).collect();
        assert_eq!(widths, [LABEL_WIDTH + 70, LABEL_WIDTH + 70], "{}", lines.text());
    }
}
