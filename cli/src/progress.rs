//! How far a run is: a bar on a terminal, plain lines elsewhere. Always on stderr, since stdout is for results.

use crate::report;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::Duration;

const BAR_STEPS: u64 = 1000;
/// How often the caller has news for [`Progress::show`].
pub const TICK: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Where the progress goes.
#[derive(Debug)]
pub enum Progress {
    Bar(ProgressBar),
    Lines { next: Duration },
    Quiet,
}

impl Progress {
    /// A bar if stderr is a terminal, else plain lines; nothing at all if `quiet`.
    pub fn new(quiet: bool) -> Progress {
        if quiet {
            Progress::Quiet
        } else if io::stderr().is_terminal() {
            Progress::Bar(bar())
        } else {
            Progress::Lines { next: LINE_EVERY }
        }
    }

    /// Shows that `done` (0 to 1) of the run is over, with `messages` so far.
    pub fn show(&mut self, done: f64, elapsed: Duration, messages: u64) {
        match self {
            Progress::Bar(bar) => {
                bar.set_position((done.clamp(0.0, 1.0) * BAR_STEPS as f64) as u64);
                bar.set_message(line(elapsed, messages));
            }
            Progress::Lines { next } if elapsed >= *next => {
                report::warn(&line(elapsed, messages));
                *next = next_line(elapsed);
            }
            Progress::Lines { .. } | Progress::Quiet => {}
        }
    }

    /// Takes the bar away, so that the results stand alone.
    pub fn finish(self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(BAR_STEPS), ProgressDrawTarget::stderr());
    // The template is a constant: if it were wrong, the default style would do.
    if let Ok(style) = ProgressStyle::with_template("[{bar:40}] {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// The next whole second: counted from what has passed, so that a delayed caller prints one line and not several.
fn next_line(elapsed: Duration) -> Duration {
    Duration::from_secs(elapsed.as_secs()) + LINE_EVERY
}

fn line(elapsed: Duration, messages: u64) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { messages as f64 / seconds } else { 0.0 };
    format!("{seconds:.1} s, {} messages, {} messages/s", report::thousands(messages), report::rate_text(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_time_count_and_rate() {
        assert_eq!(line(Duration::from_secs(2), 300_000), "2.0 s, 300,000 messages, 150,000 messages/s");
        assert_eq!(line(Duration::ZERO, 0), "0.0 s, 0 messages, 0.00 messages/s");
    }

    #[test]
    fn a_late_caller_gets_one_line() {
        assert_eq!(next_line(Duration::from_millis(1_001)), Duration::from_secs(2));
        assert_eq!(next_line(Duration::from_millis(3_400)), Duration::from_secs(4));
    }
}
