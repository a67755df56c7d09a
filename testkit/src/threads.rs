//! The threads of the process, counted where the system tells.

use crate::BOUND;
use std::thread;
use std::time::Instant;

/// How many threads the process has; 0 where the system does not tell.
pub fn threads() -> usize {
    if cfg!(target_os = "linux") { std::fs::read_dir("/proc/self/task").expect("procfs").count() } else { 0 }
}

/// Waits until there are so many, of threads that have been joined: the system lists one for a moment longer.
///
/// # Panics
/// When that never happens.
#[track_caller]
pub fn wait_for_threads(count: usize, what: &str) {
    let end = Instant::now() + BOUND;
    while threads() != count {
        assert!(Instant::now() < end, "{} threads, not {count}: {what}", threads());
        thread::yield_now();
    }
}
