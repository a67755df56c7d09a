//! Between the state machines and the backend: submissions one way, completions the other.

use super::{SHORTAGE_PAUSE, Worker};
use crate::handle::Slot;
use crate::handler::Handler;
use crate::planted::planted;
use crate::send_queue::Work;
use crate::socket::{Close, Step, Stop};
use crate::sys::net::Identity;
use crate::sys::{
    CancelOutcome, Completion, Direction, Failure, Key, Submitted, errno, hints_at_close, process, was_given_up,
};
use crate::time::Limit;
use crate::{ErrorCode, ReadBuffer};
use std::sync::atomic::Ordering;

/// Parts of files that a socket sends before others have their turn, where a part goes at once: 256 KiB.
const MAX_PARTS: usize = 4;

impl<H: Handler> Worker<H> {
    /// Sees to every socket that is dirty now; one that becomes dirty meanwhile waits for the next turn.
    pub(super) fn flush(&self) {
        for _ in 0..self.dirty.len() {
            let Some(index) = self.dirty.pop(|index| &self.local_at(index).dirty) else { break };
            let slot = self.slots().at(index);
            if self.local(slot).machine().is_gone() {
                self.release_if_unlisted(slot);
            } else if self.one_by_one {
                self.serve(slot);
                if process::is_forked_child() {
                    break;
                }
            } else if self.advance(slot) {
                self.mark_ready(index);
            }
        }
    }

    /// Does what the state machine says until it has nothing more. Whether a callback is due.
    pub(super) fn advance(&self, slot: &'static Slot<H>) -> bool {
        let local = self.local(slot);
        let (mut parts_of_files, mut rests) = (0, false);
        loop {
            let step = local.machine().next_step(slot.head.word.in_transit());
            let Some(step) = step else { break };
            match step {
                Step::StartConnect => {
                    self.start_connect(slot);
                    // It waits for memory.
                    if local.machine().wants_connect() {
                        break;
                    }
                }
                Step::StartSend => {
                    let part_has_gone = self.start_send(slot);
                    parts_of_files += usize::from(part_has_gone);
                    // One that goes as fast as it is read must not keep the worker, nor hold up what the socket receives.
                    let has_had_its_turn = part_has_gone && parts_of_files >= MAX_PARTS;
                    rests = has_had_its_turn && local.machine().rest_from_sending();
                }
                Step::StartSendTo => self.start_send_to(slot),
                Step::StartRecv | Step::StartRecvFrom => {
                    match step {
                        Step::StartRecv => self.start_recv(slot),
                        _ => self.start_recv_from(slot),
                    }
                    // One at a time: a peer whose input is discarded as fast as it comes must not keep the worker. But
                    // one that failed at once has ended the socket, and the steps of its end follow.
                    if local.machine().wants_recv() {
                        break;
                    }
                }
                Step::CancelRecv => self.cancel(slot, Direction::Recv),
                Step::CancelSend => {
                    self.cancel(slot, Direction::Send);
                    let machine = local.machine();
                    let ending = machine.is_ending().then(|| machine.ending().1);
                    drop(machine);
                    if matches!(ending, Some(Close::Background | Close::Reset)) {
                        self.abandon_send(slot);
                    }
                }
                Step::CancelConnect => self.cancel(slot, Direction::Connect),
                Step::ShutdownSend => self.shutdown_send(slot),
            }
        }
        if rests && local.machine().go_on_sending() {
            self.mark_dirty(slot.index());
        }
        self.seal(slot);
        self.watch(slot);
        self.close_if_idle(slot);
        local.machine().has_event()
    }

    /// Sends FIN, unless the number is somebody else's by now: that one's connection stays as it is.
    fn shutdown_send(&self, slot: &'static Slot<H>) {
        if self.is_still_ours(slot) {
            self.shared().net.shutdown_send(self.local(slot).info.raw());
        } else {
            self.local(slot).machine().end_foreign();
        }
    }

    pub(super) fn is_still_ours(&self, slot: &'static Slot<H>) -> bool {
        let (info, identity) = (&self.local(slot).info, Identity(slot.head.identity.load(Ordering::Relaxed)));
        // What there is not yet is nobody's.
        !info.has_socket() || self.shared().net.is_still(info.raw(), identity)
    }

    /// Starts the next send. Whether a part of a file has gone by it at once.
    fn start_send(&self, slot: &'static Slot<H>) -> bool {
        let local = self.local(slot);
        let (submitted, from_file) = {
            let mut machine = local.machine();
            let (io, work) = machine.start_send();
            let mut backend = self.backend.borrow_mut();
            let (memory, key, raw) = (self.memory(slot), Worker::key(slot), local.info.raw());
            match work {
                Work::Bytes(slices) => (backend.send(io, memory, key, raw, slices), false),
                Work::File(part) => (backend.send_file(io, memory, key, raw, part), true),
            }
        };
        let Submitted::Done(result) = submitted else { return false };
        self.send_ended(slot, result);
        from_file && result.is_ok()
    }

    fn start_recv(&self, slot: &'static Slot<H>) {
        let local = self.local(slot);
        let submitted = {
            let mut machine = local.machine();
            let mut backend = self.backend.borrow_mut();
            let (memory, pool) = (self.memory(slot), &mut self.pool.borrow_mut());
            backend.recv(&mut machine.io, memory, Worker::key(slot), local.info.raw(), pool)
        };
        if let Submitted::Done(result) = submitted {
            let failure = self.recv_ended(slot, result);
            self.try_recv_again(slot, failure);
        }
    }

    /// After a recv that ended without a callback (discarded, interrupted, no memory): the next one, now or when there
    /// may be memory.
    pub(super) fn try_recv_again(&self, slot: &'static Slot<H>, failure: Option<Failure>) {
        let short = match failure {
            Some(Failure::Shortage) => true,
            Some(Failure::NoBuffer) => !self.pool.borrow_mut().can_supply(),
            _ => false,
        };
        if short {
            self.retry_later();
        } else if self.local(slot).machine().wants_recv() {
            self.mark_dirty(slot.index());
        }
    }

    /// Memory was short: what waits for it is tried again after a pause.
    pub(super) fn retry_later(&self) {
        if self.retry_at.get().is_none() && !planted!(ShortageForgotten) {
            self.counters().shortage_pauses.add(1);
            self.retry_at.set(Some(self.now() + SHORTAGE_PAUSE));
        }
    }

    fn cancel(&self, slot: &'static Slot<H>, direction: Direction) {
        let local = self.local(slot);
        let outcome = {
            let mut machine = local.machine();
            let (memory, raw) = (self.memory(slot), local.info.raw());
            self.backend.borrow_mut().cancel(&mut machine.io, memory, Worker::key(slot), raw, direction)
        };
        match (outcome, direction) {
            (CancelOutcome::Requested, _) => {}
            (CancelOutcome::Done, Direction::Recv) => drop(self.recv_ended(slot, Err(Failure::Cancelled))),
            (CancelOutcome::Done, Direction::Send) => self.send_ended(slot, Err(Failure::Cancelled)),
            (CancelOutcome::Done, Direction::Connect) => self.connect_ended(slot, Err(Failure::Cancelled)),
        }
    }

    /// The bytes queued on a socket may have crossed a mark, if its port has any.
    pub(super) fn weigh(&self, slot: &'static Slot<H>) {
        if let Some(marks) = self.shared().queue.marks
            && let Some(queued) = slot.queued_bytes(slot.head.word.generation())
        {
            self.local(slot).machine().weigh(queued, marks);
        }
    }

    /// Has a send without a copy end although its peer acknowledges nothing, by a reset, unless the number is somebody else's
    /// by now.
    pub(super) fn abandon_send(&self, slot: &'static Slot<H>) {
        if self.shared().options.zero_copy_from != 0 && self.is_still_ours(slot) {
            self.backend.borrow_mut().abandon_send(Worker::key(slot), self.local(slot).info.raw());
        }
    }

    /// Tells the state machine. Returns why the recv failed, if it did.
    pub(super) fn recv_ended(&self, slot: &'static Slot<H>, result: Result<ReadBuffer, Failure>) -> Option<Failure> {
        let result = self.unmask_reset(slot, result).map_err(|failure| self.judge(slot, failure));
        let failure = result.as_ref().err().copied();
        if let Some(Failure::Os(os)) = failure {
            self.note_datagram_failure(slot, os);
        }
        self.local(slot).machine().recv_ended(result);
        if matches!(failure, Some(Failure::Os(_))) {
            self.seal(slot);
        }
        self.count_shortage(failure);
        failure
    }

    fn count_shortage(&self, failure: Option<Failure>) {
        if let Some(short @ (Failure::NoBuffer | Failure::Shortage)) = failure {
            self.counters().buffer_shortages.add(1);
            self.counters().empty_rings.add(u64::from(short == Failure::NoBuffer));
        }
    }

    /// The kernel tells a reset to one operation. Where that is a send of which a part had gone (io_uring sends the rest by
    /// itself), its answer is the part, and the recv is answered like a FIN: which it must not be taken for.
    fn unmask_reset(&self, slot: &'static Slot<H>, result: Result<ReadBuffer, Failure>) -> Result<ReadBuffer, Failure> {
        let local = self.local(slot);
        let is_end = result.as_ref().is_ok_and(|buffer| buffer.is_empty());
        if is_end && local.machine().may_hide_a_reset() && self.shared().net.was_reset(local.info.raw()) {
            return Err(Failure::Os(errno::ECONNRESET));
        }
        result
    }

    pub(super) fn send_ended(&self, slot: &'static Slot<H>, result: Result<usize, Failure>) {
        let result = result.map_err(|failure| self.judge(slot, failure));
        let failure = result.as_ref().err().copied();
        self.local(slot).machine().send_ended(result);
        self.count_shortage(failure);
        match failure {
            Some(Failure::Os(_) | Failure::File(_) | Failure::FileEnded) => self.seal(slot),
            Some(Failure::Shortage) => self.retry_later(),
            _ => {}
        }
    }

    /// What a failure means. The number may be no socket any more, or another's: only the caller can have closed it. If it
    /// is ours still, an operation that the system has given up by itself is tried again.
    pub(super) fn judge(&self, slot: &'static Slot<H>, failure: Failure) -> Failure {
        match failure {
            Failure::Os(os) if hints_at_close(os) => {
                if !self.is_still_ours(slot) {
                    self.local(slot).machine().end_foreign();
                    failure
                } else if was_given_up(os) {
                    Failure::Shortage
                } else {
                    failure
                }
            }
            other => other,
        }
    }

    /// Tells the word that the socket is ending, if it is: no claim is granted from here on.
    pub(super) fn seal(&self, slot: &'static Slot<H>) {
        let machine = self.local(slot).machine();
        if machine.is_ending() {
            slot.head.word.end();
        }
    }

    /// Carries out what stands in the word.
    pub(super) fn obey(&self, slot: &'static Slot<H>) {
        let requests = slot.head.word.requests();
        let local = self.local(slot);
        let mut lingers = false;
        {
            let mut machine = local.machine();
            // A close reads what comes and throws it away: not from a stranger.
            let closes = requests.close && !machine.is_ending();
            if requests.foreign || closes && !self.is_still_ours(slot) {
                machine.end_foreign();
            } else if requests.abort {
                machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
            } else if requests.remove {
                machine.end(None, Close::HandBack);
            } else if requests.close {
                lingers = machine.close();
            }
            if requests.shutdown {
                machine.shutdown_send();
            }
            if requests.cancel_recv && !planted!(CancelForgotten) {
                machine.stop_recv(Stop::Cancelled);
            }
            // One that another thread has issued comes by this way.
            let delay = slot.head.control_link.published_limit();
            if delay != Limit::NONE && machine.timer_is_idle() {
                machine.issue_timer();
                self.note_limit(slot, delay);
            }
            if requests.cancel_timer {
                machine.cancel_timer();
            }
        }
        if lingers {
            self.begin_linger(slot);
        }
        self.seal(slot);
        self.mark_dirty(slot.index());
    }

    /// Takes the completions that the wait found, and says how many there were.
    pub(super) fn reap(&self) -> u64 {
        let mut count = 0;
        loop {
            let find = |key| self.slot_of(key).map(|slot| self.memory(slot));
            let next = self.backend.borrow_mut().next(&mut self.pool.borrow_mut(), find);
            let Some(completion) = next else { break };
            count += 1;
            self.take(completion);
        }
        self.counters().completions.add(count);
        count
    }

    fn take(&self, completion: Completion) {
        match completion {
            Completion::Recv { key, result } => {
                let Some(slot) = self.slot_of(key) else { return };
                self.recv_completed(slot, result);
            }
            Completion::Send { key, result } => {
                let Some(slot) = self.slot_of(key) else { return };
                self.send_ended(slot, result);
                self.settle(slot);
            }
            Completion::Connect { key, result } => {
                let Some(slot) = self.slot_of(key) else { return };
                self.connect_ended(slot, result);
                self.settle(slot);
            }
            Completion::Ready { key, readable, writable } => {
                let Some(slot) = self.slot_of(key) else { return };
                self.local(slot).machine().ready(readable, writable);
                self.mark_dirty(slot.index());
            }
            Completion::Accept { listener, result } => self.accept_completed(listener, result),
            Completion::AcceptReady { listener } => self.accept_ready(listener),
            Completion::Woken => {}
            #[cfg(target_os = "linux")]
            Completion::Arrived { key, result, stands } => {
                let Some(slot) = self.slot_of(key) else { return };
                self.arrived(slot, result, stands);
            }
            #[cfg(not(target_os = "linux"))]
            Completion::Arrived { .. } => unreachable!("io_uring alone has recvs that stand"),
        }
    }

    fn recv_completed(&self, slot: &'static Slot<H>, result: Result<ReadBuffer, Failure>) {
        let failure = self.recv_ended(slot, result);
        self.try_recv_again(slot, failure);
        // Else that has said when its next step is due.
        if !self.local(slot).machine().wants_recv() {
            self.settle(slot);
        }
    }

    #[cfg(target_os = "linux")]
    fn arrived(&self, slot: &'static Slot<H>, result: Result<ReadBuffer, Failure>, stands: bool) {
        let answer = {
            let io = &mut self.local(slot).machine().io;
            self.backend.borrow_mut().arrived(io, Worker::key(slot), result, stands)
        };
        match answer {
            Some(result) => self.recv_completed(slot, result),
            // The farewell may have waited for it.
            None if !stands => self.settle(slot),
            None => {}
        }
    }

    /// The slot of a key, unless the key is of an earlier socket there.
    fn slot_of(&self, key: Key) -> Option<&'static Slot<H>> {
        let slot = self.slots().at(key.index);
        slot.head.word.is_live(key.generation).then_some(slot)
    }

    /// After a completion: its callbacks first, which see to the socket's next step too; else that step.
    fn settle(&self, slot: &'static Slot<H>) {
        if self.local(slot).machine().has_event() {
            self.mark_ready(slot.index());
        } else {
            self.mark_dirty(slot.index());
        }
    }
}
