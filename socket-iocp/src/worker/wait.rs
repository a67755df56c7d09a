//! How a worker waits for something to do: asleep in the operating system, and before that, if asked to, awake.
//!
//! # Awake
//! With `Options::busy_poll` a worker that has nothing to do looks for completions, time and again without sleeping, and in
//! between at what other threads tell it. `sleeping` (`handle/inbox.rs`) is false all the while, so that nobody makes a system
//! call to wake it. Nothing is lost by that: the worker sleeps only after it has set the flag and looked again, as ever. The clock
//! is read once a look has found nothing, and not in a turn that has.

use super::Worker;
use crate::BackendKind;
use crate::handler::Handler;
use crate::shared::Shared;
use std::hint;
use std::time::Duration;

/// How long this port's workers look before they sleep. A port that its caller drives waits as its caller says. The simulated
/// network has its own time, in which nothing comes while a worker looks.
pub(super) fn busy_poll<H: Handler>(shared: &Shared<H>) -> Option<Duration> {
    let spins = shared.options.threads != Some(0) && shared.kind != BackendKind::Sim;
    (spins && !shared.options.busy_poll.is_zero()).then_some(shared.options.busy_poll)
}

impl<H: Handler> Worker<H> {
    /// Waits in the operating system, unless there is something to do already, and takes the completions.
    pub(super) fn wait(&self, timeout: Option<Duration>) {
        let inbox = &self.mailbox().inbox;
        let sleeps =
            timeout != Some(Duration::ZERO) && !self.has_work() && inbox.prepare_to_sleep() && !self.has_news();
        // Only who sleeps has to know for how long.
        let own = if sleeps { self.next_timer_in() } else { Some(Duration::ZERO) };
        let timeout = match (timeout, own) {
            (Some(given), Some(own)) => Some(given.min(own)),
            (given, own) => given.or(own),
        };
        self.enter(timeout);
        inbox.awake();
        self.reap();
    }

    /// Looks for something to do without sleeping, for as long as the option says and no timer is due, and takes the
    /// completions. Whether there is something; else, or without the option, the worker goes on to [`wait`](Worker::wait).
    pub(super) fn finds_awake(&self) -> bool {
        let Some(longest) = self.busy_poll else { return false };
        let mut end = None;
        loop {
            self.enter(Some(Duration::ZERO));
            if self.reap() > 0 || self.has_work() || self.has_news() || !self.mailbox().inbox.is_empty() {
                return true;
            }
            let now = self.now();
            let until = || now + self.next_timer_in().map_or(longest, |timer| timer.min(longest));
            if now >= *end.get_or_insert_with(until) {
                return false;
            }
            hint::spin_loop();
        }
    }

    /// The call into the operating system.
    fn enter(&self, timeout: Option<Duration>) {
        self.counters().waits.add(1);
        let mut pool = self.pool.borrow_mut();
        pool.collect();
        // An error here is a refusal of memory or a signal: the completions that are there can be taken all the same.
        let _ = self.backend.borrow_mut().wait(timeout, &mut pool);
    }

    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.dirty.is_empty() || self.accepts_due.get()
    }

    /// What others may have written that the worker has not looked at.
    pub(super) fn has_news(&self) -> bool {
        let closing = self.shared().is_closing();
        self.mailbox().has_listener_news() || if closing { !self.winding_up.get() } else { self.has_shutdown_news() }
    }
}
