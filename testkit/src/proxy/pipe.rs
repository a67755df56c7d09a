//! One direction of a connection: bytes in, and out by its steps.

use super::plan::{Step, next_step};
use fastrand::Rng;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

/// Bytes that a pipe holds, at most: then it no longer reads, and pushes back on who sends.
const CAPACITY: usize = 16 * 1024;

/// One of a connection's two sockets, and what is known of it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) stream: TcpStream,
    pub(super) may_read: bool,
    pub(super) may_write: bool,
}

impl End {
    pub(super) fn new(stream: TcpStream) -> End {
        End { stream, may_read: true, may_write: true }
    }
}

/// What came of moving a pipe on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    /// Something has moved; it may be moved on at once.
    Some,
    /// It waits for an end.
    None,
    /// It waits for other bytes to pass.
    Held,
}

/// How many bytes of a direction pass, at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// As many as come.
    None,
    /// So many; then a FIN, and what comes after is thrown away.
    Fin(u64),
    /// So many; then the connection is to be reset.
    Reset(u64),
}

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    random: Rng,
    step: Step,
    /// The bytes that are held by the proxy, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    /// While the step is a hold: how many bytes have passed through the proxy when it ends.
    held_until: Option<u64>,
    end_of_input: bool,
    /// The FIN has been passed on.
    pub(super) finished: bool,
    /// That FIN was not the end's own.
    was_cut_short: bool,
    limit: Limit,
    pub(super) taken: u64,
    pub(super) passed: u64,
    pub(super) singles: u64,
    pub(super) holds: u64,
}

impl Pipe {
    pub(super) fn new(mut random: Rng, limit: Limit) -> Pipe {
        let step = next_step(&mut random);
        Pipe {
            random,
            step,
            buffer: Vec::with_capacity(CAPACITY),
            start: 0,
            held_until: None,
            end_of_input: false,
            finished: false,
            was_cut_short: false,
            limit,
            taken: 0,
            passed: 0,
            singles: 0,
            holds: 0,
        }
    }

    /// Whether nothing comes any more from where it reads.
    pub(super) fn is_drained(&self) -> bool {
        self.end_of_input && self.finished
    }

    /// Whether its FIN, if it has passed one, is that of the end it reads from.
    pub(super) fn ended_by_itself(&self) -> bool {
        self.finished && !self.was_cut_short
    }

    /// Whether the connection is to be reset now.
    pub(super) fn wants_reset(&self) -> bool {
        self.limit == Limit::Reset(self.passed)
    }

    /// After so many bytes more the connection is to be reset.
    pub(super) fn reset_after(&mut self, bytes: u64) {
        self.limit = Limit::Reset(self.passed + bytes);
    }

    /// How many of these bytes may pass.
    fn allowed(&self, bytes: u64) -> u64 {
        match self.limit {
            Limit::None => bytes,
            Limit::Fin(limit) | Limit::Reset(limit) => bytes.min(limit - self.passed),
        }
    }

    /// How many bytes will have passed through the proxy when it goes on, if it is held.
    pub(super) fn held_until(&self) -> Option<u64> {
        self.held_until
    }

    /// Ends a hold.
    pub(super) fn release(&mut self) {
        self.held_until = None;
        self.step = next_step(&mut self.random);
    }

    /// Moves bytes on, at most as many as one step has. `through` is what has passed through the proxy.
    pub(super) fn advance(&mut self, from: &mut End, to: &mut End, through: &mut u64) -> io::Result<Moved> {
        let read = self.fill(from)?;
        let cut_short = self.limit == Limit::Fin(self.passed);
        if cut_short {
            self.start = self.buffer.len();
        }
        if self.held_until.is_some_and(|until| *through >= until) {
            self.release();
        }
        if self.held_until.is_some() {
            return Ok(if read { Moved::Some } else { Moved::Held });
        }
        let wrote = self.pass_on(to, through)?;
        if !self.finished && self.start == self.buffer.len() && (cut_short || self.end_of_input) {
            to.stream.shutdown(Shutdown::Write)?;
            self.finished = true;
            self.was_cut_short = cut_short;
            return Ok(Moved::Some);
        }
        Ok(if read || wrote { Moved::Some } else { Moved::None })
    }

    /// Reads what there is room for.
    fn fill(&mut self, from: &mut End) -> io::Result<bool> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        let (mut part, mut any) = ([0; CAPACITY], false);
        while from.may_read && !self.end_of_input && self.buffer.len() < CAPACITY {
            match from.stream.read(&mut part[..CAPACITY - self.buffer.len()]) {
                Ok(0) => self.end_of_input = true,
                Ok(count) => {
                    self.buffer.extend_from_slice(&part[..count]);
                    self.taken += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    from.may_read = false;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            any = true;
        }
        Ok(any)
    }

    /// Writes by the step under way.
    fn pass_on(&mut self, to: &mut End, through: &mut u64) -> io::Result<bool> {
        let there = self.allowed((self.buffer.len() - self.start) as u64);
        if there == 0 || !to.may_write {
            return Ok(false);
        }
        let most = match self.step {
            Step::Whole(left) => there.min(left),
            Step::Single(_) => 1,
            Step::Hold(others) => {
                self.held_until = Some(*through + others);
                self.holds += 1;
                return Ok(true);
            }
        };
        match to.stream.write(&self.buffer[self.start..][..most as usize]) {
            Ok(count) => {
                self.start += count;
                self.passed += count as u64;
                *through += count as u64;
                self.take_from_step(count as u64);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                to.may_write = false;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn take_from_step(&mut self, count: u64) {
        self.singles += u64::from(matches!(self.step, Step::Single(_)));
        self.step = match self.step {
            Step::Whole(left) if left > count => Step::Whole(left - count),
            Step::Single(left) if left > 1 => Step::Single(left - 1),
            _ => next_step(&mut self.random),
        };
    }
}
