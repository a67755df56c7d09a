//! Events at a fixed rate, whatever becomes of them.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// Evenly spread events. What could not be done in time is made up for: the rate stays, and no event is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    per_second: f64,
    done: u64,
}

impl Pace {
    /// The first event is due one interval after `start`; at a rate of 0 there is none.
    pub(crate) fn new(per_second: f64, start: Instant) -> Pace {
        Pace { start, per_second, done: 0 }
    }

    /// Takes the next event, if it is due.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let due = self.per_second > 0.0 && self.next_at() <= now;
        self.done += u64::from(due);
        due
    }

    /// How long until the next event; `None` if there is none.
    pub(crate) fn next_in(&self, now: Instant) -> Option<Duration> {
        (self.per_second > 0.0).then(|| self.next_at().saturating_duration_since(now))
    }

    fn next_at(&self) -> Instant {
        self.start + Duration::from_secs_f64((self.done + 1) as f64 / self.per_second)
    }
}

/// Lets the calling thread's waits end when they are to. Linux lets them last 50 us longer than asked, and the events that
/// became due meanwhile would come as one burst, which costs a server less than events that come one by one. A refusal
/// costs only that.
pub(crate) fn sharpen_waits() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_evenly_spread_and_made_up_for() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut pace = Pace::new(100.0, start);
        assert!(!pace.take(at(9)));
        assert_eq!(pace.next_in(at(4)), Some(Duration::from_millis(6)));
        assert!(pace.take(at(10)) && !pace.take(at(10)));
        // Late by four.
        assert_eq!((0..9).filter(|_| pace.take(at(59))).count(), 4);
        assert_eq!(pace.next_in(at(59)), Some(Duration::from_millis(1)));
    }

    #[test]
    fn no_rate_is_no_event() {
        let start = Instant::now();
        let mut pace = Pace::new(0.0, start);
        assert!(!pace.take(start + Duration::from_secs(1000)));
        assert_eq!(pace.next_in(start), None);
    }
}
