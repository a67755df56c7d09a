//! Callbacks.

use super::{Companion, Local, Worker};
use crate::handle::{NodeRef, Slot};
use crate::handler::{Context, Handler, Names, Sent};
use crate::planted::planted;
use crate::socket::{Close, Event};
use crate::sys::process;
use crate::time::Limit;
use crate::trace::traced;
use crate::{Error, ErrorCode, ReadBuffer, Watermark};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// How often a socket is served before the others have their turn: an echo's recv and send are two visits.
const MAX_VISITS: usize = 4;

/// Runs code of the user's. A panic is caught; its payload is dropped, and should that panic too, leaked.
pub(crate) fn guarded<R>(body: impl FnOnce() -> R) -> Result<R, ()> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload: Box<dyn Any + Send>| {
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
    })
}

impl<H: Handler> Worker<H> {
    /// Runs the callbacks of the sockets that are ready now.
    pub(super) fn deliver(&self) {
        for _ in 0..self.ready.len() {
            let Some(index) = self.ready.pop(|index| &self.local_at(index).ready) else { break };
            let slot = self.slots().at(index);
            if self.one_by_one {
                if self.deliver_alone(slot) {
                    self.serve(slot);
                }
            } else if self.deliver_socket(slot) {
                // What its callbacks issued has marked it already; what was put off until they had run has not.
                self.mark_dirty(index);
            }
            if process::is_forked_child() {
                break;
            }
        }
    }

    /// Sees to a socket and runs its callbacks, in turn, while one makes work for the other; after a few times the others
    /// have their turn.
    pub(super) fn serve(&self, slot: &'static Slot<H>) {
        for _ in 0..MAX_VISITS {
            if !self.advance(slot) || !self.deliver_alone(slot) {
                return;
            }
        }
        self.mark_dirty(slot.index());
    }

    /// Runs the callbacks that are due for a socket that is seen to right after them: what they issue need not mark it. False
    /// if that would be wrong: it has ended, or this is a forked child.
    fn deliver_alone(&self, slot: &'static Slot<H>) -> bool {
        self.delivering.set(Some(slot.index()));
        let goes_on = self.deliver_socket(slot);
        self.delivering.set(None);
        goes_on && !process::is_forked_child()
    }

    /// Runs the callbacks that are due for a socket. False if the last of them was its farewell.
    fn deliver_socket(&self, slot: &'static Slot<H>) -> bool {
        let local = self.local(slot);
        // Other threads may have sent since a mark was crossed.
        self.weigh(slot);
        // Only what is due now: callbacks may issue operations that are done at once (sends of no bytes) without end.
        let due = local.machine().events_due();
        for _ in 0..due {
            let event = local.machine().next_event();
            let Some(event) = event else { break };
            self.count_callback();
            match event {
                Event::Accept => self.report_accept(slot),
                Event::Connected => self.report_connected(slot, local),
                Event::Recv(received) => self.report_recv(slot, local, received),
                Event::Datagram(received) => self.report_datagram(slot, local, received),
                Event::Timer(result) => self.report_timer(slot, local, result),
                Event::Sent(node) => self.report_sent(slot, local, node),
                Event::Watermark(mark) => self.report_watermark(slot, local, mark),
                Event::Farewell => {
                    // A recv that stands, or a message that is still on its way, makes the socket ready again when it has ended,
                    // or arrived.
                    if !self.end_standing(slot) && slot.head.word.begin_farewell() {
                        self.finish(slot);
                    }
                    return false;
                }
            }
        }
        true
    }

    pub(super) fn context<'a>(&'a self, slot: &'static Slot<H>, names: Names<'a>) -> Context<'a, H> {
        Context { port: &self.port, handle: slot.handle(), raw: self.local(slot).info.raw(), names, timer_state: 0 }
    }

    fn report_connected(&self, slot: &'static Slot<H>, local: &Local<H>) {
        self.counters().connects.add(1);
        self.forget_connect(slot);
        let Companion::State(state) = &mut *local.companion() else { return };
        let names = self.names_of(&local.info);
        let context = self.context(slot, Names::Full(&names));
        if guarded(|| self.shared().handler().connected(&context, state)).is_err() {
            self.panicked(slot);
        }
    }

    pub(super) fn report_recv(&self, slot: &'static Slot<H>, local: &Local<H>, received: Result<ReadBuffer, Error>) {
        slot.head.word.recv_reported(received.as_ref().is_ok_and(|buffer| buffer.is_empty()));
        self.count_recv(slot, &received);
        let Companion::State(state) = &mut *local.companion() else { return };
        let context = self.context(slot, Names::Kept(&local.info));
        if guarded(|| self.shared().handler().recv(&context, state, received)).is_err() {
            self.panicked(slot);
        }
    }

    /// A recv is about to be reported.
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "the events name the socket"))]
    pub(super) fn count_recv(&self, slot: &'static Slot<H>, received: &Result<ReadBuffer, Error>) {
        if let Ok(buffer) = received {
            self.counters().recvs.add(1);
            self.counters().received_bytes.add(buffer.len() as u64);
        }
        self.count_timeout(received.as_ref().err());
        traced!(
            TRACE,
            "recv completed",
            port = self.shared().number.get(),
            handle = slot.handle().into_raw(),
            bytes = received.as_ref().map_or(0, |buffer| buffer.len()),
            ok = received.is_ok()
        );
    }

    fn report_timer(&self, slot: &'static Slot<H>, local: &Local<H>, result: Result<(), Error>) {
        let timer_state = slot.head.timer_state.load(Ordering::Relaxed);
        // Before the claim is given up: from then on both are the next caller's.
        slot.head.control_link.set_limit(Limit::NONE);
        slot.head.word.timer_reported();
        self.counters().timers.add(1);
        let mut companion = local.companion();
        let Some(state) = companion.state_mut() else { return };
        let context = Context { timer_state, ..self.context(slot, Names::Kept(&local.info)) };
        if guarded(|| self.shared().handler().timer(&context, state, result)).is_err() {
            self.panicked(slot);
        }
    }

    fn report_sent(&self, slot: &'static Slot<H>, local: &Local<H>, node: NodeRef<H::Write>) {
        let sync = node.is_sync();
        let send = node.finish();
        if sync {
            slot.head.word.sync_send_reported();
        } else {
            self.uncount_send(slot, send.buffer.queued_bytes());
        }
        self.counters().sends.add(u64::from(send.result.is_ok()));
        self.counters().sent_bytes.add(send.sent as u64);
        self.count_timeout(send.result.as_ref().err());
        traced!(
            TRACE,
            "send completed",
            port = self.shared().number.get(),
            handle = slot.handle().into_raw(),
            bytes = send.sent,
            ok = send.result.is_ok()
        );
        let sent = Sent { write: send.write, buffer: send.buffer, result: send.result, bytes: send.sent };
        let reported = match local.companion().state_mut() {
            Some(state) => {
                let context = self.context(slot, Names::Kept(&local.info));
                guarded(|| self.shared().handler().send(&context, state, sent))
            }
            // The accept was refused: there is nobody to tell.
            None => guarded(|| drop(sent)),
        };
        if reported.is_err() {
            self.panicked(slot);
        }
        self.weigh(slot);
    }

    /// An operation is about to be reported that may have ended alone, by its time limit.
    fn count_timeout(&self, error: Option<&Error>) {
        // One of the system's own is the connection's.
        if error.is_some_and(|error| error.code() == ErrorCode::TimedOut && error.os_error().is_none()) {
            self.counters().operation_timeouts.add(1);
        }
    }

    /// An async send is about to be reported: it is outstanding no longer.
    fn uncount_send(&self, slot: &'static Slot<H>, len: usize) {
        let queue = &self.shared().queue;
        if queue.counts() {
            slot.uncount_send(slot.head.word.generation(), len, queue);
            self.counters().queued_sends.subtract(1);
            self.counters().queued_bytes.subtract(len as u64);
        }
    }

    fn report_watermark(&self, slot: &'static Slot<H>, local: &Local<H>, mark: Watermark) {
        self.counters().high_watermarks.add(u64::from(mark == Watermark::High));
        let mut companion = local.companion();
        let Some(state) = companion.state_mut() else { return };
        let context = self.context(slot, Names::Kept(&local.info));
        if guarded(|| self.shared().handler().watermark(&context, state, mark)).is_err() {
            self.panicked(slot);
        }
    }

    fn report_accept(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        let Companion::Listener { listener, origin } = local.replace_companion(Companion::Nobody) else { return };
        listener.told(usize::from(origin), self.index);
        self.accepts_due.set(true);
        // Into the table in any case: only from there is a number closed.
        let leaks = planted!(TakenAndLeaked) && self.shared().is_closing();
        let refused = if leaks || !self.enter_table(slot) || self.shared().is_closing() {
            Some(Close::Reset)
        } else {
            self.counters().accepts.add(1);
            traced!(
                DEBUG,
                "socket added",
                port = self.shared().number.get(),
                socket = local.info.raw() as u64,
                handle = slot.handle().into_raw()
            );
            self.call_accept(slot, local, &listener.state)
        };
        if let Some(close) = refused {
            // No user state, so nothing is reported any more, not even a farewell.
            local.machine().end(None, close);
            self.seal(slot);
        }
        self.unref_listener(listener);
    }

    /// Calls the accept callback; answers how to close the connection if it was refused.
    fn call_accept(&self, slot: &'static Slot<H>, local: &Local<H>, listener: &H::Listener) -> Option<Close> {
        let names = self.names_of(&local.info);
        let context = self.context(slot, Names::Full(&names));
        match guarded(|| self.shared().handler().accept(&context, listener)) {
            Ok(Some(state)) => {
                *local.companion() = Companion::State(state);
                None
            }
            Ok(None) => Some(Close::Background),
            Err(()) => {
                self.counters().panics.add(1);
                Some(Close::Reset)
            }
        }
    }

    /// A callback of this socket has panicked.
    pub(super) fn panicked(&self, slot: &'static Slot<H>) {
        self.counters().panics.add(1);
        let reason: Error = ErrorCode::Panic.into();
        self.local(slot).machine().end(Some(reason), Close::Reset);
        self.seal(slot);
    }
}
