//! How far a run is: a bar on a terminal, plain lines elsewhere. Always on stderr, since stdout is for results.

use crate::report;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::Duration;

const BAR_STEPS: u64 = 1000;
/// How often the caller has news for [`Progress::show`].
pub const TICK: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The progress of a run that does many things of one kind.
#[derive(Debug)]
pub struct Progress {
    place: Place,
    /// What it does, in the plural.
    things: &'static str,
}

/// Where it goes.
#[derive(Debug)]
enum Place {
    Bar(ProgressBar),
    Lines { next: Duration },
    Nowhere,
}

impl Progress {
    /// A bar if stderr is a terminal, else plain lines; nothing at all if `quiet`.
    pub fn new(things: &'static str, quiet: bool) -> Progress {
        let place = if quiet {
            Place::Nowhere
        } else if io::stderr().is_terminal() {
            Place::Bar(bar())
        } else {
            Place::Lines { next: LINE_EVERY }
        };
        Progress { place, things }
    }

    /// Shows that `done` (0 to 1) of the run is over, with `count` things so far.
    pub fn show(&mut self, done: f64, elapsed: Duration, count: u64) {
        match &mut self.place {
            Place::Bar(bar) => {
                bar.set_position((done.clamp(0.0, 1.0) * BAR_STEPS as f64) as u64);
                bar.set_message(line(elapsed, count, self.things));
            }
            Place::Lines { next } if elapsed >= *next => {
                report::warn(&line(elapsed, count, self.things));
                *next = next_line(elapsed);
            }
            Place::Lines { .. } | Place::Nowhere => {}
        }
    }

    /// Takes the bar away, so that the results stand alone.
    pub fn finish(self) {
        if let Place::Bar(bar) = self.place {
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

fn line(elapsed: Duration, count: u64, things: &str) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    format!("{seconds:.1} s, {} {things}, {} {things}/s", report::thousands(count), report::rate_text(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_time_count_and_rate() {
        assert_eq!(line(Duration::from_secs(2), 300_000, "messages"), "2.0 s, 300,000 messages, 150,000 messages/s");
        assert_eq!(line(Duration::ZERO, 0, "operations"), "0.0 s, 0 operations, 0.00 operations/s");
    }

    #[test]
    fn a_late_caller_gets_one_line() {
        assert_eq!(next_line(Duration::from_millis(1_001)), Duration::from_secs(2));
        assert_eq!(next_line(Duration::from_millis(3_400)), Duration::from_secs(4));
    }
}
