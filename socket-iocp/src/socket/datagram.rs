//! What is different of a datagram socket.
//!
//! It has no FIN, in either direction, so that a recv or a send of no bytes is a datagram of none. Each send is one of the kernel's.
//! An error is that of its operation alone and the socket goes on, since it tells of one datagram, or of none: a datagram that went
//! to nobody, or that was too long, says nothing about the next. What ends such a socket is the program, its port, a panic, and a
//! number that is not its own any more. A graceful close sends what is queued and waits for nothing else.

use super::{Close, Kind, Machine, Origin, Phase, RecvState, Step, Stop};
use crate::Error;
use crate::buffer::{Destination, ReadBuffer};
use crate::planted::planted;
use crate::sys::{Failure, SocketIo};

impl Kind {
    pub(super) const fn of(origin: Origin, internet: bool) -> Kind {
        match origin {
            Origin::Datagram => Kind::Datagram,
            Origin::ByHost => Kind::Internet,
            _ if internet => Kind::Internet,
            _ => Kind::Unix,
        }
    }
}

impl<W> Machine<W> {
    /// Where a send is started from: the backend's bits, where it goes, and the slices.
    pub(crate) fn start_send_to(&mut self) -> (&mut SocketIo, Destination<'_>, impl Iterator<Item = &[u8]>) {
        let (to, slices) = self.sends.start_datagram();
        (&mut self.io, to, slices)
    }

    /// As `next_open_step`.
    pub(super) fn next_datagram_step(&mut self, in_transit: bool) -> Option<Step> {
        if self.sends.can_start() {
            return Some(Step::StartSendTo);
        }
        if self.phase == Phase::Closing {
            if !self.sends.is_flushed() || in_transit {
                return None;
            }
            self.end(None, Close::Background);
            return self.next_ending_step(in_transit);
        }
        if self.recv == RecvState::Wanted {
            self.recv = RecvState::Pending;
            return Some(Step::StartRecvFrom);
        }
        None
    }

    /// The kernel's recv has ended. A datagram that it has brought is in no socket any more, and reported whatever becomes of
    /// this one.
    pub(super) fn recv_from_ended(&mut self, result: Result<ReadBuffer, Failure>) {
        let stops = self.phase == Phase::Open && self.recv_stop.is_some();
        self.recv = if self.is_ending() { RecvState::Idle } else { RecvState::Wanted };
        match result {
            Ok(buffer) if planted!(EmptyDatagramLost) && buffer.is_empty() => {}
            Ok(buffer) => {
                self.buffer = buffer;
                self.recv_is_due(RecvState::Ready);
            }
            Err(Failure::Os(_)) if !self.is_ending() => {
                self.recv_stop = Some(Stop::Failed);
                self.recv_is_due(RecvState::Stopped);
            }
            Err(_) if stops => self.recv_is_due(RecvState::Stopped),
            Err(_) => {}
        }
    }

    /// The kernel's send has ended. Returns how many sends are done by it.
    pub(super) fn send_to_ended(&mut self, result: Result<usize, Failure>) -> u32 {
        let outcome = match result {
            Ok(bytes) => Some(Ok(bytes)),
            Err(Failure::Os(os)) => Some(Err(Error::from_os(os))),
            Err(Failure::Again | Failure::NoBuffer | Failure::Shortage | Failure::Cancelled) => None,
            Err(Failure::File(_) | Failure::FileEnded) => unreachable!("a datagram is in no file"),
        };
        let finished = self.sends.complete_datagram(outcome);
        if result == Err(Failure::Shortage) {
            self.sends.pause();
        }
        finished
    }
}
