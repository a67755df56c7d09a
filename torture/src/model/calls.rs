//! The answers that calls must have, and what an accepted call leaves outstanding.

use super::sends::{Part, Send};
use super::time::Timer;
use super::{Broken, Circumstances, Ending, Socket};
use crate::program::{Call, Setup};
use socket_iocp::ErrorCode;
use std::net::SocketAddr;
use std::time::Duration;

/// The pattern of an async send of so many bytes, in whichever of its ways.
macro_rules! async_send {
    ($len:pat) => {
        Call::Send($len)
            | Call::SendWithoutMemory($len)
            | Call::SendCopy($len)
            | Call::SendParts($len)
            | Call::SendOwned($len)
            | Call::SendWithin($len, _)
            | Call::SendFile($len)
            | Call::SendShortFile($len)
    };
}

/// What may be queued on one socket, and what may still be in its port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    sends: usize,
    bytes: usize,
    port_bytes: usize,
    /// So many of the port's may be in use, by sockets whose accept was refused: nobody is told when they are free.
    unsettled: usize,
}

impl Limits {
    /// With the bytes that are queued in the port, and those that may be.
    pub(crate) fn of(setup: &Setup, queued: usize, unsettled: usize) -> Limits {
        let limit = |given: usize| if given == 0 { usize::MAX } else { given };
        Limits {
            sends: limit(setup.max_queued_sends as usize),
            bytes: limit(setup.max_queued_bytes as usize),
            port_bytes: limit(setup.max_port_queued_bytes).saturating_sub(queued),
            unsettled,
        }
    }

    /// Whether a send may be refused for the port's limit, though it need not.
    fn may_exceed(&self, call: Call) -> bool {
        let (Call::Send(len) | Call::SendWithoutMemory(len)) = call else { return false };
        usize::from(len) > self.port_bytes.saturating_sub(self.unsettled)
    }
}

/// What a call is to be given.
pub(crate) struct Given {
    pub(crate) write: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Socket {
    /// What goes with a send of so many bytes.
    pub(crate) fn give(&self, len: usize) -> Given {
        Given { write: self.next_write, bytes: self.outgoing.bytes(self.issued, len) }
    }

    /// The answer that a call must have; `Closed` may come in its place where something may have failed.
    fn expected(&self, call: Call, limits: Limits) -> Result<(), ErrorCode> {
        if self.ended {
            return Err(ErrorCode::Closed);
        }
        if self.mail.is_some() && matches!(call, Call::Shutdown | Call::SendFile(_) | Call::SendShortFile(_)) {
            return Err(ErrorCode::NotStream);
        }
        match (self.ending, call) {
            (Some(Ending::Close), Call::Abort) | (None, Call::Abort) => return Ok(()),
            (Some(_), _) => return Err(ErrorCode::Closed),
            (None, _) => {}
        }
        let is_full = |len: u16| {
            let count = self.sends.iter().filter(|send| !send.sync).count();
            count >= limits.sends || self.queued_bytes() + usize::from(len) > limits.bytes
        };
        match call {
            Call::Recv | Call::RecvWithin(_) if self.recv_outstanding => Err(ErrorCode::Busy),
            Call::Recv | Call::RecvWithin(_) if self.eof => Err(ErrorCode::Eof),
            Call::CancelRecv if !self.recv_outstanding => Err(ErrorCode::NotOutstanding),
            Call::Timer(_) if self.timer.is_some() => Err(ErrorCode::Busy),
            Call::CancelTimer if self.timer.is_none() => Err(ErrorCode::NotOutstanding),
            Call::CancelConnect if self.connect.is_none() => Err(ErrorCode::NotOutstanding),
            Call::SyncSend(_) | Call::SyncSendWithin(..) | Call::Shutdown if self.shutdown => Err(ErrorCode::Shutdown),
            Call::SyncSend(_) | Call::SyncSendWithin(..) if self.sends.iter().any(|send| send.sync) => {
                Err(ErrorCode::Busy)
            }
            async_send!(_) if self.shutdown => Err(ErrorCode::Shutdown),
            async_send!(len) if usize::from(len) > limits.port_bytes => Err(ErrorCode::Limit),
            async_send!(len) if is_full(len) => Err(ErrorCode::QueueFull),
            _ => Ok(()),
        }
    }

    /// A call has been answered.
    pub(crate) fn called(
        &mut self,
        call: Call,
        limits: Limits,
        around: Circumstances,
        answer: Result<(), ErrorCode>,
    ) -> Result<(), Broken> {
        let (expected, around) = (self.expected(call, limits), self.around(around));
        let short = matches!(call, Call::SendWithoutMemory(_)) && answer == Err(ErrorCode::NoMemory);
        let asked = around.deleted || around.shut_down || self.found_closed;
        let failed = around.may_fail || around.closed_behind || self.may_have_failed(around.now);
        let ended = failed || around.idle.is_some() || asked;
        match (expected, answer) {
            (_, Err(ErrorCode::NoMemory)) if short => return Ok(()),
            (Ok(()) | Err(ErrorCode::QueueFull), Err(ErrorCode::Limit)) if limits.may_exceed(call) => return Ok(()),
            (Err(expected), Err(answer)) if expected == answer => return Ok(()),
            (_, Err(ErrorCode::Closed)) if ended && !self.ended => {
                self.found_closed = true;
                return Ok(());
            }
            // A graceful close may be over, all but the farewell.
            (Ok(()), Err(ErrorCode::Closed)) if call == Call::Abort && self.ending == Some(Ending::Close) => {
                return Ok(());
            }
            // Those that it would pick are done; or it is told so only on the socket's worker.
            (Ok(()), Err(ErrorCode::NotOutstanding)) if matches!(call, Call::CancelSends(_)) => return Ok(()),
            (Ok(()), Ok(())) if !self.found_closed || call == Call::Abort => {}
            // An engine that has ended the socket by itself still takes an abort until the farewell, or no more.
            _ => return Err(format!("{call:?} was answered {answer:?} where {expected:?} was expected: {self:?}")),
        }
        self.accepted(call, around.now);
        Ok(())
    }

    fn accepted(&mut self, call: Call, now: Duration) {
        let over = |time_ms: u16| now + Duration::from_millis(time_ms.into());
        match call {
            Call::Recv | Call::RecvWithin(_) => {
                self.recv_outstanding = true;
                self.recv_since = now;
                self.idled = false;
                self.recv_cancelled = false;
                self.recv_limit = if let Call::RecvWithin(time_ms) = call { Some(over(time_ms)) } else { None };
            }
            Call::SyncSend(len) => self.queue(len, call, None, now),
            async_send!(len) => {
                let limit = if let Call::SendWithin(_, limit_ms) = call { Some(over(limit_ms)) } else { None };
                self.queue(len, call, limit, now);
                if matches!(call, Call::SendShortFile(1..)) {
                    self.sends.back_mut().into_iter().for_each(|send| send.short = true);
                    self.meets_short_file = true;
                }
            }
            Call::SyncSendWithin(len, limit_ms) => self.queue(len, call, Some(over(limit_ms)), now),
            Call::CancelRecv => self.recv_cancelled = true,
            Call::CancelSends(odd) => {
                for send in self.sends.iter_mut().filter(|send| (send.write % 2 == 1) == odd) {
                    send.picked = true;
                    self.cut = true;
                }
            }
            Call::Timer(delay_ms) => self.timer = Some(Timer { over: over(delay_ms), cancelled: false }),
            Call::CancelTimer => self.timer.iter_mut().for_each(|timer| timer.cancelled = true),
            Call::CancelConnect => self.connect.iter_mut().for_each(|connect| connect.cancelled = true),
            Call::Shutdown => self.shutdown = true,
            Call::Close => self.ending = Some(Ending::Close),
            Call::Abort => self.ending = Some(Ending::Abort { closing: self.ending == Some(Ending::Close) }),
            Call::Remove => self.ending = Some(Ending::Remove),
        }
    }

    fn queue(&mut self, len: u16, call: Call, limit: Option<Duration>, now: Duration) {
        let sync = matches!(call, Call::SyncSend(_) | Call::SyncSendWithin(..));
        if self.sends.is_empty() {
            self.send_since = now;
        }
        self.idled = false;
        let (write, len) = (self.next_write, usize::from(len));
        self.cut |= limit.is_some();
        let addressed = call.may_have_address() && self.address_for(write).is_some();
        self.sends.push_back(Send { write, len, sync, limit, picked: false, addressed, short: false });
        self.parts.push_back(Part { write, start: self.issued, sent: None });
        self.next_write += 1;
        self.issued += len as u64;
    }

    /// The address that goes with a send, where it may have one.
    pub(crate) fn address_for(&self, write: u64) -> Option<SocketAddr> {
        self.mail.as_ref().and_then(|mail| mail.address_for(write))
    }
}
