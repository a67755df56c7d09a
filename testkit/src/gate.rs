//! Waiting for something that another thread does, with a bound.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A wait for an event takes this long only if the event never comes.
pub const BOUND: Duration = Duration::from_secs(30);

/// A number that grows, and that threads wait for. It allocates nothing.
#[derive(Debug, Default)]
pub struct Gate {
    count: Mutex<u64>,
    grown: Condvar,
}

impl Gate {
    /// A gate at 0.
    pub const fn new() -> Gate {
        Gate { count: Mutex::new(0), grown: Condvar::new() }
    }

    /// One more.
    pub fn pass(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.grown.notify_all();
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many have passed; false if that never happens.
    #[must_use]
    pub fn reaches(&self, count: u64) -> bool {
        let passed = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.grown.wait_timeout_while(passed, BOUND, |passed| *passed < count);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= count
    }

    /// Waits until so many have passed.
    ///
    /// # Panics
    /// When that never happens.
    #[track_caller]
    pub fn wait_for(&self, what: &str, count: u64) {
        assert!(self.reaches(count), "waited in vain for {what}: {} of {count}", self.count());
    }
}

/// Waits for what has no event of its own: a socket is gone a little after its farewell has returned. `what_is` says how things
/// stand if it never comes to be so.
///
/// # Panics
/// When it never does.
#[track_caller]
pub fn wait_until(mut is_so: impl FnMut() -> bool, what_is: impl Fn() -> String) {
    let end = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {}", what_is());
        thread::yield_now();
    }
}
