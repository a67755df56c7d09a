//! A test that hangs fails.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// No test takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs a test; if it hangs, says so and aborts the process, since a thread that hangs cannot be ended.
pub fn watched(name: &str, test: impl FnOnce()) {
    thread::scope(|scope| {
        let (finished, watch) = mpsc::channel::<()>();
        scope.spawn(move || {
            if watch.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs");
                std::process::abort();
            }
        });
        test();
        drop(finished);
    });
}
