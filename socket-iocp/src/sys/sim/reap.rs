//! Waiting for operations to end, taking their completions, and cancelling them.

use super::Backend;
use super::attempt::Attempt;
use super::network::{Network, STEP};
use super::pending::{Extra, OperationId, Pending, Sending, Stage, Target};
use super::state::{Clock, Operation, State};
use crate::buffer::BufferPool;
use crate::sys::{CancelOutcome, Completion, Direction, Failure, Key, ListenerKey, Submitted, errno};
use crate::{Error, RawSocket};
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

/// A completion to be taken, with the operation that is over when it is.
#[derive(Debug)]
pub(super) struct Reaped {
    completion: Completion,
    ends: Option<OperationId>,
}

/// When a wait is over, on the clock that the network has.
#[derive(Clone, Copy, Debug)]
enum Deadline {
    Never,
    Real(Instant),
    Virtual(Duration),
}

impl Backend {
    /// Starts an operation: ends it at once, by chance, or makes it pending.
    pub(super) fn submit<T>(
        &mut self,
        id: OperationId,
        number: RawSocket,
        sending: impl FnOnce(usize) -> Option<Sending>,
        attempt: impl FnOnce(Attempt<'_>) -> Option<Result<T, Failure>>,
    ) -> Submitted<T> {
        self.submit_with(id, number, Extra::default(), sending, attempt)
    }

    /// As [`submit`](Backend::submit), with what a connect or an operation on datagrams has more.
    pub(super) fn submit_with<T>(
        &mut self,
        id: OperationId,
        number: RawSocket,
        extra: Extra,
        sending: impl FnOnce(usize) -> Option<Sending>,
        attempt: impl FnOnce(Attempt<'_>) -> Option<Result<T, Failure>>,
    ) -> Submitted<T> {
        assert!(!self.operations.contains_key(&id), "sim: {id:?} is submitted while one is pending");
        let mut state = self.network.lock();
        let operation = id.operation();
        let Some(target) = Target::find(&mut state, number, operation) else {
            return Submitted::Done(Err(Failure::Os(errno::EBADF)));
        };
        let doomed = (operation == Operation::Accept && state.exhausted).then_some(errno::EMFILE);
        let sending = sending(state.behaviour.window_bytes);
        let pending = Pending { target, sending, extra, doomed, due: None, cancelled: false, stage: Stage::Waiting };
        let immediate = self.random.chance(state.behaviour.immediate_probability);
        let Backend { random, .. } = self;
        if immediate && let Some(result) = attempt(Attempt { state: &mut state, random, id, pending: &pending }) {
            self.network.notify(&state);
            return Submitted::Done(result);
        }
        target.hold(&mut state, operation);
        self.operations.insert(id, pending);
        Submitted::Pending
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>, pool: &mut BufferPool) -> Result<(), Error> {
        let network = self.network.clone();
        let mut state = network.lock();
        if let Some(errno) = state.take_fault(Operation::Wait) {
            return Err(Error::from_os(errno));
        }
        let deadline = Deadline::after(&state, timeout);
        self.report_strays(&state);
        self.pass(&mut state, 1);
        loop {
            state = network.run_dials(state);
            self.look(&mut state, pool);
            if !self.reaped.is_empty() {
                network.notify(&state);
                return Ok(());
            }
            if timeout == Some(Duration::ZERO) || deadline.is_over(&state) {
                return Ok(());
            }
            state = self.sleep(&network, state, deadline);
        }
    }

    /// Nothing has ended in this step: goes to the next one in which something can.
    fn sleep<'s>(
        &mut self,
        network: &'s Network,
        mut state: MutexGuard<'s, State>,
        deadline: Deadline,
    ) -> MutexGuard<'s, State> {
        if let Some(due) = self.operations.values().filter_map(|pending| pending.due).min() {
            // What was due by now has been tried, so this is at least one step.
            let steps = (due - self.step).min(deadline.steps_left(&state));
            self.pass(&mut state, steps);
            return state;
        }
        let dial = state.next_dial();
        match (deadline, dial, &mut state.clock) {
            (Deadline::Virtual(end), _, Clock::Virtual(now)) => {
                *now = dial.map_or(end, |dial| dial.min(end)).max(*now);
                state
            }
            (_, Some(dial), Clock::Virtual(now)) => {
                *now = dial.max(*now);
                state
            }
            (_, _, Clock::Real(start)) => {
                let dial = dial.map(|dial| *start + dial);
                network.block(state, deadline.real().into_iter().chain(dial).min())
            }
            _ => network.block(state, None),
        }
    }

    fn pass(&mut self, state: &mut State, steps: u64) {
        self.step += steps;
        if let Clock::Virtual(now) = &mut state.clock {
            *now += STEP * u32::try_from(steps).unwrap_or(u32::MAX);
        }
    }

    /// Ends what is due in this step, in a shuffled order.
    fn look(&mut self, state: &mut State, pool: &mut BufferPool) {
        let Backend { operations, random, step, .. } = self;
        let mut due = Vec::new();
        for (id, pending) in operations.iter_mut().filter(|(_, pending)| pending.stage == Stage::Waiting) {
            if !(Attempt { state, random, id: *id, pending }).can_end() {
                pending.due = None;
                continue;
            }
            let draw = || *step + random.below(state.behaviour.max_delay_steps + 1) as u64;
            if *pending.due.get_or_insert_with(draw) <= *step {
                due.push(*id);
            }
        }
        random.shuffle(&mut due);
        for id in due {
            self.end(state, pool, id);
        }
        if std::mem::take(&mut state.wakes[self.number]) {
            self.report_wake();
            if self.random.chance(state.behaviour.duplicate_wake_probability) {
                self.report_wake();
            }
        }
    }

    /// Ends one operation that is due, or finds that it has to go on waiting: another took what was there.
    fn end(&mut self, state: &mut State, pool: &mut BufferPool, id: OperationId) {
        if self.random.chance(state.behaviour.ready_probability) && self.report_ready(id) {
            return;
        }
        let Backend { operations, random, .. } = self;
        let Some(pending) = operations.get_mut(&id) else { return };
        let attempt = Attempt { state, random, id, pending };
        let completion = match id {
            OperationId::Recv { index, generation } => {
                let key = Key { index, generation };
                attempt.recv(pool).map(|result| Completion::Recv { key, result })
            }
            OperationId::Send { index, generation } => {
                let key = Key { index, generation };
                attempt.send().map(|result| Completion::Send { key, result })
            }
            OperationId::Accept { listener, .. } => {
                let listener = ListenerKey(listener);
                attempt.accept().map(|result| Completion::Accept { listener, result })
            }
            OperationId::Connect { index, generation } => {
                let key = Key { index, generation };
                attempt.connect().map(|result| Completion::Connect { key, result })
            }
        };
        pending.due = None;
        if let Some(completion) = completion {
            pending.stage = Stage::Completed;
            self.reaped.push_back(Reaped { completion, ends: Some(id) });
        }
    }

    /// What a backend may report although nothing has happened.
    fn report_strays(&mut self, state: &State) {
        if self.random.chance(state.behaviour.spurious_wake_probability) {
            self.report_wake();
        }
        if self.random.chance(state.behaviour.spurious_ready_probability) && !self.operations.is_empty() {
            let chosen = self.random.below(self.operations.len());
            if let Some(id) = self.operations.keys().nth(chosen).copied() {
                self.report_ready(id);
            }
        }
    }

    /// Puts a wake-up anywhere among the completions.
    fn report_wake(&mut self) {
        let place = self.random.below(self.reaped.len() + 1);
        self.reaped.insert(place, Reaped { completion: Completion::Woken, ends: None });
    }

    /// Ends a waiting operation without effect, as a readiness backend does, where the contract allows it.
    fn report_ready(&mut self, id: OperationId) -> bool {
        if !self.operations.get(&id).is_some_and(Pending::may_be_ready) {
            return false;
        }
        let also = self.random.chance(0.25);
        let completion = match id {
            OperationId::Recv { index, generation } => {
                Completion::Ready { key: Key { index, generation }, readable: true, writable: also }
            }
            OperationId::Send { index, generation } | OperationId::Connect { index, generation } => {
                Completion::Ready { key: Key { index, generation }, readable: also, writable: true }
            }
            OperationId::Accept { listener, .. } => Completion::AcceptReady { listener: ListenerKey(listener) },
        };
        if let Some(pending) = self.operations.get_mut(&id) {
            pending.stage = Stage::Ready;
            pending.due = None;
        }
        self.reaped.push_back(Reaped { completion, ends: None });
        true
    }

    pub(crate) fn next(&mut self, _pool: &mut BufferPool) -> Option<Completion> {
        let network = self.network.clone();
        let mut state = network.lock();
        while let Some(Reaped { completion, ends }) = self.reaped.pop_front() {
            if let Some(id) = ends {
                self.retire(&mut state, id);
            }
            let completion = match completion {
                Completion::Ready { key, readable, writable } => {
                    let mut retire = |direction| self.retire_if_ready(&mut state, OperationId::of(key, direction));
                    let readable = readable && retire(Direction::Recv);
                    let writable = writable && retire(Direction::Send) && retire(Direction::Connect);
                    (readable || writable).then_some(Completion::Ready { key, readable, writable })
                }
                Completion::AcceptReady { listener } => {
                    self.retire_ready_accept(&mut state, listener).then_some(Completion::AcceptReady { listener })
                }
                other => Some(other),
            };
            network.notify(&state);
            if completion.is_some() {
                return completion;
            }
        }
        None
    }

    /// A readiness is taken: the operation, if one is pending by now, is over. False if it cannot be, because it is
    /// cancelled or completed and will be told of by itself.
    fn retire_if_ready(&mut self, state: &mut State, id: OperationId) -> bool {
        match self.operations.get(&id) {
            None => true,
            Some(pending) if pending.may_be_ready() || pending.stage == Stage::Ready => {
                self.retire(state, id);
                true
            }
            Some(_) => false,
        }
    }

    /// As above for an accept. With several pending on the listener it is not told: the contract does not say how many
    /// of them one readiness ends.
    fn retire_ready_accept(&mut self, state: &mut State, listener: ListenerKey) -> bool {
        let mut accepts = self.operations.range_mut(OperationId::accepts(listener));
        match (accepts.next(), accepts.next()) {
            (None, _) => true,
            (Some((id, _)), None) => {
                let id = *id;
                self.retire_if_ready(state, id)
            }
            (Some(_), Some(_)) => {
                for (_, pending) in self.operations.range_mut(OperationId::accepts(listener)) {
                    pending.wait_again();
                }
                false
            }
        }
    }

    /// An operation is over for the worker, too. Up to here a send's bytes were to stay.
    fn retire(&mut self, state: &mut State, id: OperationId) {
        if let Some(pending) = self.operations.remove(&id) {
            if let Some(sending) = &pending.sending {
                sending.assert_unchanged(pending.target.number);
            }
            pending.target.let_go(state, id.operation());
        }
    }

    pub(super) fn cancel_all(&mut self, ids: &[OperationId]) -> CancelOutcome {
        let network = self.network.clone();
        let mut state = network.lock();
        // What is completed, or asked to end already, will be told of; what was reported ready is over.
        let told = ids.iter().any(|id| self.operations.get(id).is_some_and(Pending::will_be_told));
        let all_ready =
            ids.iter().all(|id| self.operations.get(id).is_none_or(|pending| pending.stage == Stage::Ready));
        let at_once = self.random.chance(state.behaviour.cancel_done_probability) && !told;
        if at_once || all_ready {
            for id in ids {
                self.retire(&mut state, *id);
            }
            network.notify(&state);
            return CancelOutcome::Done;
        }
        for id in ids {
            if let Some(pending) = self.operations.get_mut(id) {
                pending.ask_to_end();
            }
        }
        CancelOutcome::Requested
    }
}

impl Deadline {
    fn after(state: &State, timeout: Option<Duration>) -> Deadline {
        match (timeout, &state.clock) {
            (None, _) => Deadline::Never,
            (Some(timeout), Clock::Real(_)) => {
                Instant::now().checked_add(timeout).map_or(Deadline::Never, Deadline::Real)
            }
            (Some(timeout), Clock::Virtual(now)) => Deadline::Virtual(now.saturating_add(timeout)),
        }
    }

    fn real(self) -> Option<Instant> {
        if let Deadline::Real(end) = self { Some(end) } else { None }
    }

    /// The steps to go until then; steps cost no real time.
    fn steps_left(self, state: &State) -> u64 {
        match (self, &state.clock) {
            (Deadline::Virtual(end), Clock::Virtual(now)) => {
                end.saturating_sub(*now).as_nanos().div_ceil(STEP.as_nanos()).try_into().unwrap_or(u64::MAX)
            }
            _ => u64::MAX,
        }
    }

    fn is_over(self, state: &State) -> bool {
        match (self, &state.clock) {
            (Deadline::Never, _) => false,
            (Deadline::Real(end), _) => Instant::now() >= end,
            (Deadline::Virtual(end), Clock::Virtual(now)) => *now >= end,
            // The clock was changed in the middle of the wait.
            (Deadline::Virtual(_), Clock::Real(_)) => true,
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let pending = self.operations.len();
        assert!(
            pending == 0 || std::thread::panicking(),
            "sim: a backend is dropped with {pending} operations pending"
        );
    }
}
