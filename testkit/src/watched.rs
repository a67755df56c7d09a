//! Running a test: one that hangs fails, and one that is left out says so.

use crate::{Lab, is_deep, left_out};
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// No test takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(180);
/// Nor in its long form this long.
const DEEP_LIMIT: Duration = Duration::from_secs(1800);

/// Runs a test on a backend, unless it is left out there. `test` is its full name without the backend.
pub fn run(test: &str, lab: &Lab, body: impl FnOnce(&Lab)) {
    let test = format!("{test}::{}", lab.name());
    match left_out(&test) {
        Some(reason) => say_left_out(&test, reason),
        None => watched(&test, || body(lab)),
    }
}

/// Says so where it is seen: the test harness keeps what `println!` prints of tests that pass.
pub fn say_left_out(test: &str, reason: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "left out: {test}: {reason}");
}

/// Runs a test; if it hangs, says so and aborts the process, since a thread that hangs cannot be ended.
pub fn watched(name: &str, test: impl FnOnce()) {
    thread::scope(|scope| {
        let (finished, watch) = mpsc::channel::<()>();
        let limit = if is_deep() { DEEP_LIMIT } else { LIMIT };
        let (started, starts) = mpsc::channel();
        scope.spawn(move || {
            let _ = started.send(());
            if watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // Past the test harness, which keeps what is printed.
                let _ = writeln!(io::stderr(), "{name} hangs");
                std::process::abort();
            }
        });
        // A thread cannot start when a test has made memory short.
        starts.recv().expect("a thread");
        test();
        drop(finished);
    });
}
