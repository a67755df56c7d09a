//! What a worker does because time has passed.
//!
//! # Idle sockets
//! The idle time-out is looked after without a clock on the way of a message: progress sets a count of the state machine to
//! zero, and every eighth of the time-out the sockets that have something outstanding are looked at, and their counts go
//! up by one. Above eight, whole eighths without progress have passed eight times.

use super::Worker;
use crate::handle::Slot;
use crate::handler::Handler;
use crate::listener::Accepting;
use crate::lists::{TimeoutList, TimeoutPlace};
use crate::options::Options;
use crate::planted::planted;
use std::time::Duration;

/// How many looks there are in an idle time-out.
const IDLE_INTERVALS: u8 = 8;
/// Looks at different sockets that are this part of an interval apart are one wake-up.
const IDLE_GRAIN: u32 = 16;

/// The lists of the sockets for which a time runs. A socket is in the first until it closes gracefully, and in the second
/// from then on.
#[derive(Debug)]
pub(super) struct Timeouts {
    /// With the idle time-out, if the port has one: sockets with an operation outstanding.
    idle: Option<TimeoutList>,
    lingering: TimeoutList,
}

impl Timeouts {
    pub(super) fn new(options: &Options) -> Timeouts {
        let list = |timeout: Duration| {
            let interval_ms = (timeout.as_millis() as u32).div_ceil(IDLE_INTERVALS.into());
            TimeoutList::new(interval_ms, (interval_ms / IDLE_GRAIN).max(1))
        };
        let lingering = TimeoutList::new(options.linger.as_millis() as u32, 1);
        Timeouts { idle: options.idle_timeout.map(list), lingering }
    }
}

impl<H: Handler> Worker<H> {
    fn timeout_place(&self, index: u32) -> &TimeoutPlace {
        &self.local_at(index).timeout
    }

    /// How long until there is something to do.
    pub(super) fn next_timer_in(&self) -> Option<Duration> {
        let pause = self.accepting.borrow().iter().filter_map(Accepting::paused_until).min();
        let at = [pause, self.retry_at.get()].into_iter().flatten().min();
        let Timeouts { idle, lingering } = &self.timeouts;
        let idle = idle.as_ref().filter(|idle| !idle.is_empty());
        if at.is_none() && lingering.is_empty() && idle.is_none() {
            return None;
        }
        let now = self.now();
        let place = |index| self.timeout_place(index);
        let linger = lingering.next_in(now, place);
        let idle = idle.and_then(|idle| idle.next_in(now, place));
        [linger, idle, at.map(|at| at.saturating_sub(now))].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn expire(&self) {
        self.expire_lingering();
        self.look_for_idle();
        if self.retry_at.get().is_some_and(|at| at <= self.now()) {
            self.retry_at.set(None);
            for index in self.slots().live_indices() {
                if self.local_at(index).machine.borrow_mut().shortage_over() {
                    self.mark_dirty(index);
                }
            }
        }
        self.resume_paused();
    }

    fn expire_lingering(&self) {
        let lingering = &self.timeouts.lingering;
        while !lingering.is_empty()
            && let Some(index) = lingering.pop_expired(self.now(), |index| self.timeout_place(index))
        {
            self.local_at(index).machine.borrow_mut().linger_ended();
            self.seal(self.slots().at(index));
            self.mark_dirty(index);
        }
    }

    fn look_for_idle(&self) {
        let Some(idle) = self.timeouts.idle.as_ref().filter(|idle| !idle.is_empty()) else { return };
        let (now, place) = (self.now(), |index| self.timeout_place(index));
        while let Some(index) = idle.pop_expired(now, place) {
            let slot = self.slots().at(index);
            let mut machine = self.local(slot).machine.borrow_mut();
            machine.interval_passed(IDLE_INTERVALS);
            if machine.is_ending() {
                drop(machine);
                self.seal(slot);
                self.mark_dirty(index);
            } else if machine.awaits_peer() {
                idle.push(index, now, place);
            }
        }
    }

    /// Something may be outstanding on this socket from now on: looks after its idle time-out.
    pub(super) fn watch(&self, slot: &'static Slot<H>) {
        let Some(idle) = &self.timeouts.idle else { return };
        let local = self.local(slot);
        if !local.timeout.is_listed() && local.machine.borrow().awaits_peer() {
            idle.push(slot.index(), self.now(), |index| self.timeout_place(index));
        }
    }

    /// A graceful close has begun: its limit takes the idle time-out's place.
    pub(super) fn begin_linger(&self, slot: &'static Slot<H>) {
        let place = |index| self.timeout_place(index);
        if let Some(idle) = &self.timeouts.idle {
            idle.remove(slot.index(), place);
        }
        if !planted!(LingerWithoutEnd) {
            self.timeouts.lingering.push(slot.index(), self.now(), place);
        }
    }

    /// The socket goes: no time runs for it any more.
    pub(super) fn forget_timeouts(&self, slot: &'static Slot<H>) {
        let Timeouts { idle, lingering } = &self.timeouts;
        let lingers = self.local(slot).machine.borrow().has_closed();
        let list = if lingers { Some(lingering) } else { idle.as_ref() };
        if let Some(list) = list {
            list.remove(slot.index(), |index| self.timeout_place(index));
        }
    }
}
