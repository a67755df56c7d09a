//! A worker's part in the graceful end of its port.

use super::Worker;
use crate::handle::{Claimer, Control, Slot};
use crate::handler::Handler;
use crate::planted::planted;
use crate::shutdown::NO_DEADLINE;
use std::time::Duration;

impl<H: Handler> Worker<H> {
    /// Whether a shutdown has begun, or its deadline has come nearer, and this worker has not looked at it.
    pub(super) fn has_shutdown_news(&self) -> bool {
        self.shared().shutdown.deadline() != self.shutdown_deadline.get()
    }

    /// Takes note of a shutdown that has begun, and begins the deletion when it is due.
    pub(super) fn see_to_shutdown(&self) {
        let shared = self.shared();
        let deadline = shared.shutdown.deadline();
        if deadline == NO_DEADLINE || shared.is_closing() {
            return;
        }
        self.shutdown_deadline.set(deadline);
        // Not before nobody listens: a client that comes back at once is to be refused, and go elsewhere.
        if shared.options.shutdown_closes_idle && !self.closes_idle.get() && shared.has_no_listener() {
            self.closes_idle.set(true);
            self.close_all_idle();
        }
        let over = self.until_shutdown().is_some_and(|left| left.is_zero()) || shared.has_drained();
        if over {
            shared.begin_deletion();
        }
    }

    /// How long until the deadline of the shutdown that is under way.
    pub(super) fn until_shutdown(&self) -> Option<Duration> {
        let deadline = self.shutdown_deadline.get();
        let runs = deadline != NO_DEADLINE && !self.winding_up.get() && !planted!(DeadlineForgotten);
        runs.then(|| Duration::from_nanos(deadline).saturating_sub(self.now()))
    }

    fn close_all_idle(&self) {
        for index in self.slots().live_indices() {
            let slot = self.slots().at(index);
            if !self.local(slot).machine().is_gone() {
                self.close_if_idle(slot);
            }
        }
    }

    /// In a shutdown, closes a connection that waits for its peer and has nothing to say.
    pub(super) fn close_if_idle(&self, slot: &'static Slot<H>) {
        if !self.closes_idle.get() {
            return;
        }
        let word = &slot.head.word;
        let idle = self.local(slot).machine().is_idle() && !word.in_transit();
        if idle && word.claim_control(word.generation(), Control::Close, Claimer::Local).is_ok() {
            self.obey(slot);
        }
    }
}
