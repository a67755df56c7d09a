//! The thread that connects to hosts: the races of all hosts of a port at once.

use super::attempt::{Attempt, Progress};
use super::desk::Desk;
use super::race::Race;
use crate::handle::SocketHandle;
use crate::sys::process::{self, Thread};
use crate::{Error, ErrorCode, Socket, sys};
use mio::{Events, Poll, Registry, Token, Waker};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Events taken at once.
const EVENTS: usize = 32;
/// The token of the waker.
const WAKER: Token = Token(0);

/// The dialler as others reach it: kept until it has ended, since a waker that is gone wakes nobody.
#[derive(Debug)]
pub(super) struct Reach {
    waker: Waker,
    thread: Thread,
}

impl Reach {
    pub(super) fn wake(&self) {
        // It fails only where the system has no memory for one more event: then one is on its way.
        let _ = self.waker.wake();
    }

    /// Waits for its end.
    pub(super) fn join(self) {
        self.thread.join();
    }
}

/// Starts the thread.
pub(super) fn start(desk: &Arc<Desk>) -> io::Result<Reach> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let (events, desk) = (Events::with_capacity(EVENTS), desk.clone());
    let body = move || Dialler { desk: &desk, poll, events, running: Vec::new(), last_token: WAKER }.run();
    Ok(Reach { waker, thread: process::spawn_worker(format_args!("iocp-dialler"), body)? })
}

struct Dialler<'a> {
    desk: &'a Desk,
    poll: Poll,
    events: Events,
    running: Vec<Running>,
    last_token: Token,
}

/// A host to which a connection is being made.
struct Running {
    handle: SocketHandle,
    race: Race,
    attempts: Vec<Attempt>,
    outcome: Option<Result<Socket, Error>>,
}

impl Dialler<'_> {
    /// Until the port is deleted.
    fn run(mut self) {
        while self.take_found() {
            let now = sys::clock();
            for running in &mut self.running {
                running.go_on(now, self.poll.registry(), &mut self.last_token);
            }
            self.tell();
            let next = self.running.iter().filter_map(|running| running.race.next_at()).min();
            // An error is a signal, or a refusal of memory: the times are looked at all the same.
            if self.poll.poll(&mut self.events, next.map(|next| next.saturating_sub(now))).is_ok() {
                self.look();
            }
        }
    }

    /// Takes up the hosts that have been looked up, and gives up those that nobody waits for any more. False at the end.
    fn take_found(&mut self) -> bool {
        loop {
            let found = match self.desk.next_found(|waits| self.running.retain(|running| waits(running.handle))) {
                None => return false,
                Some(None) => return true,
                Some(Some(found)) => found,
            };
            let why = match found.addresses {
                Ok(addresses) if self.running.try_reserve(1).is_ok() => {
                    self.running.push(Running::new(found.handle, Race::new(addresses)));
                    continue;
                }
                Ok(_) => ErrorCode::NoMemory.into(),
                Err(error) => error,
            };
            self.desk.tell(found.handle, Err(why));
        }
    }

    /// Sees to the attempts that there are events of.
    fn look(&mut self) {
        for event in &self.events {
            let mut all = self.running.iter_mut();
            let found = all.find_map(|running| running.attempt_of(event.token()).map(|at| (running, at)));
            if let Some((running, at)) = found {
                running.look(at, self.poll.registry());
            }
        }
    }

    /// Tells of those that are over.
    fn tell(&mut self) {
        self.running.retain_mut(|running| {
            let Some(outcome) = running.outcome.take() else { return true };
            self.desk.tell(running.handle, outcome);
            false
        });
    }
}

impl Running {
    fn new(handle: SocketHandle, race: Race) -> Running {
        Running { handle, race, attempts: Vec::new(), outcome: None }
    }

    fn attempt_of(&self, token: Token) -> Option<usize> {
        self.attempts.iter().position(|attempt| attempt.token == token)
    }

    /// Begins the attempts that are due.
    fn go_on(&mut self, now: Duration, registry: &Registry, last_token: &mut Token) {
        while self.outcome.is_none()
            && let Some(address) = self.race.next(now)
        {
            last_token.0 += 1;
            if self.attempts.try_reserve(1).is_err() {
                self.race.failed(ErrorCode::NoMemory.into());
                continue;
            }
            match Attempt::begin(address, registry, *last_token) {
                Ok((attempt, progress)) => {
                    self.attempts.push(attempt);
                    self.follow(self.attempts.len() - 1, Ok(progress), registry);
                }
                Err(error) => self.race.failed(error),
            }
        }
        if self.outcome.is_none() {
            self.outcome = self.race.lost().map(Err);
        }
    }

    /// Looks what an event means for an attempt.
    fn look(&mut self, at: usize, registry: &Registry) {
        let progress = self.attempts[at].look();
        self.follow(at, progress, registry);
    }

    fn follow(&mut self, at: usize, progress: Result<Progress, Error>, registry: &Registry) {
        let error = match progress {
            Ok(Progress::Connecting) => return,
            Ok(Progress::Connected) if self.outcome.is_some() => return,
            Ok(Progress::Connected) => match self.attempts.swap_remove(at).into_socket(registry) {
                Ok(socket) => {
                    self.outcome = Some(Ok(socket));
                    return;
                }
                Err(error) => error,
            },
            Err(error) => {
                self.attempts.swap_remove(at);
                error
            }
        };
        self.race.failed(error);
    }
}
