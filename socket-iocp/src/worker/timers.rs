//! What a worker does because time has passed.
//!
//! # Time limits
//! A socket stands in the worker's wheel once, at the earliest of its limits or before. An operation that ends in time leaves
//! it where it is; when it comes up there, whatever is over is seen to and the socket goes to the next of its limits.
//!
//! A limit is issued as a delay and begins to run when the worker next reads its clock: once in a turn, before it sleeps or, if
//! it does not sleep, after. Until then its socket is on the `fresh` list. So no operation reads the clock, and no limit is over
//! early, however long the callbacks of the turn take.
//!
//! # Idle sockets
//! The idle time-out is looked after without a clock on the way of a message: progress sets a count of the state machine to
//! zero, and every eighth of the time-out the sockets that have something outstanding are looked at, and their counts go
//! up by one. Above eight, whole eighths without progress have passed eight times.

use super::Worker;
use crate::handle::{Slot, SlotHead};
use crate::handler::Handler;
use crate::listener::Accepting;
use crate::planted::planted;
use crate::socket::{Machine, Stop};
use crate::time::{Limit, Moment};
use crate::wheel::WheelPlace;
use std::time::Duration;

/// How many looks there are in an idle time-out.
const IDLE_INTERVALS: u8 = 8;
/// Looks at different sockets that are this part of an interval apart are one wake-up.
const IDLE_GRAIN: u32 = 16;

/// The idle time-out in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdleTimeout {
    interval_ms: u32,
    /// Looks are put off to a multiple of this.
    grain_ms: u32,
}

impl IdleTimeout {
    pub(super) fn new(timeout: Duration) -> IdleTimeout {
        let interval_ms = (timeout.as_millis() as u32).div_ceil(IDLE_INTERVALS.into());
        IdleTimeout { interval_ms, grain_ms: (interval_ms / IDLE_GRAIN).max(1) }
    }

    /// The next look, an interval from now.
    fn next_look(&self, now: Moment) -> Limit {
        // One more, since the present millisecond has begun already.
        let earliest = now.after(self.interval_ms + 1).number();
        Limit::at(Moment::from_number(earliest.next_multiple_of(self.grain_ms)))
    }
}

impl<H: Handler> Worker<H> {
    fn wheel_place(&self, index: u32) -> &WheelPlace {
        &self.local_at(index).timeout
    }

    /// Reads the clock. Delays that have not begun run from now on, and what was waited for comes up.
    pub(super) fn read_clock(&self) -> Duration {
        let clock = self.now();
        let now = Moment::of(clock);
        self.wheel.advance(now, |index| self.wheel_place(index));
        while let Some(index) = self.fresh.pop(|index| &self.local_at(index).fresh) {
            let slot = self.slots().at(index);
            if self.local(slot).machine().is_gone() {
                self.release_if_unlisted(slot);
            } else {
                self.begin_limits(slot, now);
                self.wait_for_limits(slot);
            }
        }
        clock
    }

    /// How long until there is something to do.
    pub(super) fn next_timer_in(&self) -> Option<Duration> {
        let pause = self.accepting.borrow().iter().filter_map(Accepting::paused_until).min();
        let at = [pause, self.retry_at.get()].into_iter().flatten().min();
        let shutdown = self.until_shutdown();
        if at.is_none() && self.wheel.is_empty() && self.fresh.is_empty() {
            return shutdown;
        }
        let clock = self.read_clock();
        [self.wheel.next_in(), shutdown, at.map(|at| at.saturating_sub(clock))].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn expire(&self) {
        if !self.wheel.is_empty() || !self.fresh.is_empty() {
            let now = Moment::of(self.read_clock());
            while let Some(index) = self.wheel.pop_due(|index| self.wheel_place(index)) {
                self.look(self.slots().at(index), now);
            }
        }
        if self.retry_at.get().is_some_and(|at| at <= self.now()) {
            self.retry_at.set(None);
            for index in self.slots().live_indices() {
                if self.local_at(index).machine().shortage_over() {
                    self.mark_dirty(index);
                }
            }
        }
        self.resume_paused();
    }

    /// An operation of the socket was issued with this limit.
    pub(super) fn note_limit(&self, slot: &'static Slot<H>, limit: Limit) {
        if limit != Limit::NONE {
            self.mark_fresh(slot);
        }
    }

    /// The socket has a limit that is yet to begin.
    pub(super) fn mark_fresh(&self, slot: &'static Slot<H>) {
        self.fresh.push(slot.index(), |index| &self.local_at(index).fresh);
    }

    /// The delays of this socket that have not begun run from now on.
    fn begin_limits(&self, slot: &'static Slot<H>, now: Moment) {
        let mut machine = self.local(slot).machine();
        let watch = machine.watch();
        if watch.is_fresh() {
            let begun = match &self.idle {
                Some(idle) if !machine.has_closed() && machine.is_connected() => idle.next_look(now),
                _ => watch.begun(now),
            };
            machine.set_watch(begun);
        }
        let SlotHead { recv_link, control_link, .. } = &slot.head;
        // Else it is the next caller's.
        if machine.recv_may_time_out() {
            recv_link.set_limit(recv_link.limit().begun(now));
        }
        if machine.timer_runs() {
            control_link.set_limit(control_link.limit().begun(now));
        }
        machine.begin_send_limits(now);
    }

    /// Has the socket come up when the first of its limits is over.
    fn wait_for_limits(&self, slot: &'static Slot<H>) {
        let machine = self.local(slot).machine();
        let recv = if machine.recv_may_time_out() { slot.head.recv_link.limit() } else { Limit::NONE };
        let timer = if machine.timer_runs() { slot.head.control_link.limit() } else { Limit::NONE };
        let limits = [machine.watch(), recv, timer, machine.first_send_limit()];
        if let Some(first) = limits.into_iter().filter_map(Limit::moment).reduce(Moment::min) {
            self.wheel.look_at(slot.index(), first, |index| self.wheel_place(index));
        }
    }

    /// The socket has come up: sees to its limits that are over.
    fn look(&self, slot: &'static Slot<H>, now: Moment) {
        let mut acted = false;
        {
            let mut machine = self.local(slot).machine();
            if machine.watch().is_over(now) {
                self.look_whether_idle(&mut machine, now);
                acted = machine.is_ending();
            }
            if machine.recv_may_time_out() && slot.head.recv_link.limit().is_over(now) {
                machine.stop_recv(Stop::TimedOut);
                acted = true;
            }
            if machine.timer_runs() && slot.head.control_link.limit().is_over(now) {
                machine.timer_passed();
                acted = true;
            }
            if machine.first_send_limit().is_over(now) {
                machine.time_out_sends(now);
                acted = true;
            }
        }
        if acted {
            self.seal(slot);
            self.mark_dirty(slot.index());
        }
        self.wait_for_limits(slot);
    }

    fn look_whether_idle(&self, machine: &mut Machine<H::Write>, now: Moment) {
        machine.set_watch(Limit::NONE);
        if !machine.has_closed() && !machine.is_connected() {
            return machine.connect_timed_out();
        }
        let Some(idle) = self.idle.filter(|_| !machine.has_closed()) else {
            let ended = machine.linger_ended();
            return self.counters().linger_timeouts.add(u64::from(ended));
        };
        let timed_out = machine.interval_passed(IDLE_INTERVALS);
        self.counters().idle_timeouts.add(u64::from(timed_out));
        if machine.awaits_peer() {
            machine.set_watch(idle.next_look(now));
        }
    }

    /// Something may be outstanding on this socket from now on: looks after its idle time-out.
    pub(super) fn watch(&self, slot: &'static Slot<H>) {
        let Some(idle) = self.idle else { return };
        let mut machine = self.local(slot).machine();
        if machine.watch() == Limit::NONE && machine.awaits_peer() {
            machine.set_watch(Limit::after_ms(idle.interval_ms));
            self.mark_fresh(slot);
        }
    }

    /// A graceful close has begun: its limit takes the idle time-out's place.
    pub(super) fn begin_linger(&self, slot: &'static Slot<H>) {
        let linger_ms = self.shared().options.linger.as_millis() as u32;
        let limit = if planted!(LingerWithoutEnd) { Limit::NONE } else { Limit::after_ms(linger_ms) };
        self.local(slot).machine().set_watch(limit);
        self.mark_fresh(slot);
    }

    /// The socket goes: no time runs for it any more.
    pub(super) fn forget_limits(&self, slot: &'static Slot<H>) {
        self.wheel.remove(slot.index(), |index| self.wheel_place(index));
    }
}
