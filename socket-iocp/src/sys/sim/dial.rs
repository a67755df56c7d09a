//! Connects by host name: the races of `hosts/race.rs`, run by the network itself, with its clock and its chances.

use super::attempt::CONNECT_ERRORS;
use super::network::{Network, STEP};
use super::socket::SimSocket;
use super::state::{Kind, Operation, State};
use crate::handle::SocketHandle;
use crate::hosts::Caller;
use crate::hosts::race::Race;
use crate::planted::planted;
use crate::sys::net::Net;
use crate::{Error, RawSocket};
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// A connect by host name that goes on.
#[derive(Debug)]
pub(super) struct Dial {
    handle: SocketHandle,
    caller: Caller,
    /// When the name has been looked up; never if that hangs.
    found_at: Option<Duration>,
    race: Result<Race, Error>,
    attempts: Vec<Attempt>,
}

#[derive(Debug)]
struct Attempt {
    number: RawSocket,
    address: SocketAddr,
    /// Never if nobody answers.
    ends_at: Option<Duration>,
}

/// A connect by host name that is over, and whom to tell.
pub(super) struct Ended {
    handle: SocketHandle,
    caller: Caller,
    result: Result<RawSocket, Error>,
}

impl Network {
    /// Begins to connect to these addresses; `None` is a name of which the resolver says nothing.
    pub(crate) fn dial(&self, handle: SocketHandle, found: Option<Result<Vec<SocketAddr>, Error>>, caller: Caller) {
        let mut state = self.lock();
        let found_at = found.is_some().then(|| state.some_time_from_now());
        let race = found.unwrap_or(Ok(Vec::new())).map(Race::new);
        state.dials.push(Dial { handle, caller, found_at, race, attempts: Vec::new() });
        self.notify(&state);
    }

    /// Nobody waits for it any more.
    pub(crate) fn give_up_dial(&self, handle: SocketHandle) {
        let mut state = self.lock();
        if let Some(at) = state.dials.iter().position(|dial| dial.handle == handle) {
            let dial = state.dials.remove(at);
            state.give_up_attempts(&dial.attempts);
            self.notify(&state);
        }
    }

    /// Lets them go on, and tells of those that are over.
    pub(super) fn run_dials<'s>(self: &'s Arc<Self>, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let ended = state.advance_dials();
        if ended.is_empty() {
            return state;
        }
        // There may be something in a listener's queue.
        self.notify(&state);
        // Whom it is told to calls the network again.
        drop(state);
        let net = Net::Sim(self.clone());
        for Ended { handle, caller, result } in ended {
            let socket = result.map(|number| SimSocket::from_raw(self.clone(), number).into());
            caller.tell(handle, &net, socket);
        }
        self.lock()
    }
}

impl State {
    fn some_time_from_now(&mut self) -> Duration {
        let steps = self.random.below(self.behaviour.max_delay_steps + 1);
        self.now() + STEP * steps as u32
    }

    /// When one of them can go on, if that takes only time.
    pub(super) fn next_dial(&self) -> Option<Duration> {
        self.dials.iter().filter_map(Dial::goes_on_at).min()
    }

    fn advance_dials(&mut self) -> Vec<Ended> {
        let (now, mut ended) = (self.now(), Vec::new());
        for mut dial in std::mem::take(&mut self.dials) {
            match dial.advance(self, now) {
                None => self.dials.push(dial),
                Some(result) => {
                    self.give_up_attempts(&dial.attempts);
                    ended.push(Ended { handle: dial.handle, caller: dial.caller, result });
                }
            }
        }
        ended
    }

    fn give_up_attempts(&mut self, attempts: &[Attempt]) {
        for attempt in attempts.iter().filter(|_| !planted!(AttemptLeaked)) {
            self.close_attempt(attempt.number);
        }
    }

    fn close_attempt(&mut self, number: RawSocket) {
        let descriptor = self.descriptors.take(number).expect("an attempt has a number");
        self.release_by_reset(descriptor.socket);
    }

    fn begin_attempt(&mut self, address: SocketAddr) -> Attempt {
        let local = self.client_address();
        let socket = self.create(Kind::Fresh { local });
        let number = self.descriptors.open(socket);
        let ends_at = (!self.silent.contains(&address)).then(|| self.some_time_from_now());
        Attempt { number, address, ends_at }
    }

    /// The end of an attempt that nobody leaves without an answer.
    fn end_attempt(&mut self, attempt: &Attempt) -> Result<(), i32> {
        let fails = self.random.chance(self.behaviour.connect_error_probability);
        if let Some(errno) = self.take_fault(Operation::Connect) {
            return Err(errno);
        }
        if fails {
            return Err(self.random.pick(&CONNECT_ERRORS));
        }
        let socket = self.descriptors.get(attempt.number).expect("an attempt has a number").socket;
        self.connect(socket, attempt.address)
    }
}

impl Dial {
    fn goes_on_at(&self) -> Option<Duration> {
        let Ok(race) = &self.race else { return self.found_at };
        let found_at = self.found_at?;
        let attempts = self.attempts.iter().filter_map(|attempt| attempt.ends_at);
        attempts.chain(race.next_at()).chain(race.lost().map(|_| found_at)).min().map(|at| at.max(found_at))
    }

    /// Does what is due; its outcome, once it is over.
    fn advance(&mut self, state: &mut State, now: Duration) -> Option<Result<RawSocket, Error>> {
        if self.found_at.is_none_or(|found_at| now < found_at) {
            return None;
        }
        let race = match &mut self.race {
            Ok(race) => race,
            Err(error) => return Some(Err(*error)),
        };
        let is_due = |attempt: &Attempt| attempt.ends_at.is_some_and(|at| at <= now);
        while let Some(at) = self.attempts.iter().position(is_due) {
            let attempt = self.attempts.remove(at);
            match state.end_attempt(&attempt) {
                Ok(()) => return Some(Ok(attempt.number)),
                Err(errno) => {
                    state.close_attempt(attempt.number);
                    race.failed(Error::from_os(errno));
                }
            }
        }
        while let Some(address) = race.next(now) {
            self.attempts.push(state.begin_attempt(address));
        }
        race.lost().map(Err)
    }
}
