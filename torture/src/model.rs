//! The model of the contract: what a connected socket has been asked for, and what it may say.

use crate::bytes::Stream;
use crate::program::{Call, Setup};
use socket_iocp::{Error, ErrorCode, SocketHandle, Watermark};
use std::collections::VecDeque;
use std::time::Duration;

/// The pattern of an async send of so many bytes, in whichever of its ways.
macro_rules! async_send {
    ($len:pat) => {
        Call::Send($len)
            | Call::SendWithoutMemory($len)
            | Call::SendCopy($len)
            | Call::SendParts($len)
            | Call::SendOwned($len)
    };
}

/// A rule of the contract that was broken.
pub(crate) type Broken = String;

/// What an ending has been asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Close,
    /// With whether a graceful close was under way.
    Abort {
        closing: bool,
    },
    Remove,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Send {
    write: u64,
    len: usize,
    sync: bool,
}

/// What the surroundings have done to a connection, and so what may come of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Circumstances {
    /// Something may have failed: a fault was injected, or the client reset or closed its end.
    pub(crate) may_fail: bool,
    /// The number was closed behind the library's back.
    pub(crate) closed_behind: bool,
    /// The port has been asked to go.
    pub(crate) deleted: bool,
    /// The port's shutdown has begun: it closes what is idle.
    pub(crate) shut_down: bool,
    /// The port's idle time-out.
    pub(crate) idle: Option<Duration>,
    /// The network's clock.
    pub(crate) now: Duration,
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

/// A connected socket of the port.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) handle: SocketHandle,
    /// What it sends and what it receives.
    pub(crate) outgoing: Stream,
    pub(crate) incoming: Stream,
    pub(crate) ended: bool,
    recv_outstanding: bool,
    eof: bool,
    shutdown: bool,
    ending: Option<Ending>,
    /// A call was answered `Closed` without an ending having been asked for: one must follow.
    found_closed: bool,
    sends: VecDeque<Send>,
    next_write: u64,
    /// Bytes of sends that were accepted.
    issued: u64,
    /// Bytes reported as sent.
    pub(crate) sent: u64,
    send_failed: bool,
    /// The high mark was crossed last.
    above: bool,
    /// Since when the recv has been outstanding, or a byte has moved.
    recv_since: Duration,
    /// Since when sends have been outstanding, or one has been reported.
    send_since: Duration,
    /// The idle time-out had passed before the last callbacks: what beat the cancels that followed is reported all the same.
    idled: bool,
    pub(crate) received: u64,
    pub(crate) reason: Option<Result<(), Error>>,
}

/// What a call is to be given.
pub(crate) struct Given {
    pub(crate) write: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Socket {
    pub(crate) fn new(handle: SocketHandle, outgoing: Stream, incoming: Stream) -> Socket {
        Socket {
            handle,
            outgoing,
            incoming,
            ended: false,
            recv_outstanding: false,
            eof: false,
            shutdown: false,
            ending: None,
            found_closed: false,
            sends: VecDeque::new(),
            next_write: 0,
            issued: 0,
            sent: 0,
            send_failed: false,
            above: false,
            recv_since: Duration::ZERO,
            send_since: Duration::MAX,
            idled: false,
            received: 0,
            reason: None,
        }
    }

    /// The socket of before, handed back and added again.
    pub(crate) fn again(&self, handle: SocketHandle) -> Socket {
        let (issued, sent, received) = (self.sent, self.sent, self.received);
        Socket { issued, sent, received, ..Socket::new(handle, self.outgoing, self.incoming) }
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.ending
    }

    pub(crate) fn is_waiting_for_recv(&self) -> bool {
        self.recv_outstanding
    }

    pub(crate) fn has_sends(&self) -> bool {
        !self.sends.is_empty()
    }

    /// The bytes in the async sends outstanding.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.sends.iter().filter(|send| !send.sync).map(|send| send.len).sum()
    }

    pub(crate) fn issued(&self) -> u64 {
        self.issued
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shutdown
    }

    // ---- calls ----

    /// What goes with a send of so many bytes.
    pub(crate) fn give(&self, len: usize) -> Given {
        Given { write: self.next_write, bytes: self.outgoing.bytes(self.issued, len) }
    }

    /// The answer that a call must have; `Closed` may come in its place where something may have failed.
    fn expected(&self, call: Call, limits: Limits) -> Result<(), ErrorCode> {
        if self.ended {
            return Err(ErrorCode::Closed);
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
            Call::Recv if self.recv_outstanding => Err(ErrorCode::Busy),
            Call::Recv if self.eof => Err(ErrorCode::Eof),
            Call::SyncSend(_) | Call::Shutdown if self.shutdown => Err(ErrorCode::Shutdown),
            Call::SyncSend(_) if self.sends.iter().any(|send| send.sync) => Err(ErrorCode::Busy),
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
        let expected = self.expected(call, limits);
        let short = matches!(call, Call::SendWithoutMemory(_)) && answer == Err(ErrorCode::NoMemory);
        let asked = around.deleted || around.shut_down || self.found_closed;
        let ended = around.may_fail || around.closed_behind || around.idle.is_some() || asked;
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
            (Ok(()), Ok(())) if !self.found_closed || call == Call::Abort => {}
            // An engine that has ended the socket by itself still takes an abort until the farewell, or no more.
            _ => return Err(format!("{call:?} was answered {answer:?} where {expected:?} was expected: {self:?}")),
        }
        self.accepted(call, around.now);
        Ok(())
    }

    fn accepted(&mut self, call: Call, now: Duration) {
        match call {
            Call::Recv => {
                self.recv_outstanding = true;
                self.recv_since = now;
                self.idled = false;
            }
            async_send!(len) => self.queue(len, false, now),
            Call::SyncSend(len) => self.queue(len, true, now),
            Call::Shutdown => self.shutdown = true,
            Call::Close => self.ending = Some(Ending::Close),
            Call::Abort => self.ending = Some(Ending::Abort { closing: self.ending == Some(Ending::Close) }),
            Call::Remove => self.ending = Some(Ending::Remove),
        }
    }

    fn queue(&mut self, len: u16, sync: bool, now: Duration) {
        if self.sends.is_empty() {
            self.send_since = now;
        }
        self.idled = false;
        self.sends.push_back(Send { write: self.next_write, len: len.into(), sync });
        self.next_write += 1;
        self.issued += u64::from(len);
    }

    // ---- callbacks ----

    /// A recv callback. `from_peer`: what the client has sent, and whether its FIN has gone.
    pub(crate) fn received(
        &mut self,
        result: &Result<Vec<u8>, Error>,
        buffer_size: usize,
        from_peer: (u64, bool),
        around: Circumstances,
    ) -> Result<(), Broken> {
        let (written, fin) = from_peer;
        self.idled |= self.was_idle(around);
        self.recv_since = around.now;
        if self.ended || !self.recv_outstanding {
            return Err(format!("a recv callback without a recv: {self:?}"));
        }
        self.recv_outstanding = false;
        let bytes = result.as_ref().map_err(|error| format!("a recv callback with {error:?}: {self:?}"))?;
        if bytes.len() > buffer_size {
            return Err(format!("{} bytes in a buffer of {buffer_size}", bytes.len()));
        }
        if bytes.is_empty() {
            if !fin || self.received != written {
                return Err(format!("a FIN after {} of {written} bytes, sent: {fin}: {self:?}", self.received));
            }
            if std::mem::replace(&mut self.eof, true) {
                return Err(format!("a second FIN: {self:?}"));
            }
        }
        if !self.incoming.is_at(self.received, bytes) {
            return Err(format!("wrong bytes at {}: {self:?}", self.received));
        }
        self.received += bytes.len() as u64;
        if self.received > written {
            return Err(format!("{} bytes received of {written} sent: {self:?}", self.received));
        }
        Ok(())
    }

    /// A send callback.
    pub(crate) fn sent(
        &mut self,
        write: u64,
        len: usize,
        result: Result<(), Error>,
        bytes: usize,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let Some(send) = self.sends.pop_front().filter(|_| !self.ended) else {
            return Err(format!("a send callback without a send: {self:?}"));
        };
        if (send.write, send.len) != (write, len) {
            return Err(format!("send {write} of {len} bytes reported where {send:?} was due: {self:?}"));
        }
        self.sent += bytes as u64;
        self.idled |= self.was_idle(around);
        match result {
            Ok(()) if bytes != len => return Err(format!("{bytes} of {len} bytes, and success: {self:?}")),
            Ok(()) if self.send_failed && len != 0 => return Err(format!("a success after a failure: {self:?}")),
            Ok(()) => {
                self.send_since = if self.sends.is_empty() { Duration::MAX } else { around.now };
                return Ok(());
            }
            Err(_) if bytes > len => return Err(format!("{bytes} of {len} bytes: {self:?}")),
            Err(_) => {}
        }
        let first = !std::mem::replace(&mut self.send_failed, true);
        let code = result.map_err(|error| error.code()).err();
        let asked = self.ending.is_some() || around.deleted || around.shut_down;
        let explained = match code {
            Some(ErrorCode::Cancelled) => asked || around.may_fail || around.closed_behind || self.was_idle(around),
            Some(_) => first && (around.may_fail || around.closed_behind),
            None => true,
        };
        if explained { Ok(()) } else { Err(format!("a send failed with {code:?} for no reason: {self:?}")) }
    }

    /// A watermark callback.
    pub(crate) fn crossed(&mut self, mark: Watermark, setup: &Setup) -> Result<(), Broken> {
        let queued = self.queued_bytes();
        let before = std::mem::replace(&mut self.above, mark == Watermark::High);
        let right = match mark {
            Watermark::High => !before && queued > setup.high_watermark as usize,
            Watermark::Low => before && queued <= setup.low_watermark as usize,
        };
        if right && !self.ended && self.ending.is_none() && !self.shutdown {
            return Ok(());
        }
        Err(format!("{mark:?} with {queued} bytes queued, told before: {before}: {self:?}"))
    }

    /// Whether nothing is left to be told of the bytes queued.
    fn has_told(&self, setup: &Setup) -> bool {
        let (queued, takes_sends) = (self.queued_bytes(), self.ending.is_none() && !self.shutdown);
        let untold =
            if self.above { queued <= setup.low_watermark as usize } else { queued > setup.high_watermark as usize };
        setup.high_watermark == 0 || !takes_sends || !untold
    }

    /// The farewell.
    pub(crate) fn farewell(
        &mut self,
        reason: Result<(), Error>,
        handed_back: bool,
        around: Circumstances,
    ) -> Result<(), Broken> {
        if std::mem::replace(&mut self.ended, true) {
            return Err(format!("a second farewell: {self:?}"));
        }
        if !self.sends.is_empty() {
            return Err(format!("a farewell with sends unreported: {self:?}"));
        }
        self.reason = Some(reason);
        let code = reason.map_err(|error| error.code());
        let failed = |code: ErrorCode| around.may_fail && !matches!(code, ErrorCode::Cancelled | ErrorCode::Panic);
        let explained = match (self.ending, code) {
            (_, Err(ErrorCode::ForeignClose)) => around.closed_behind,
            (Some(Ending::Close | Ending::Abort { closing: true }), Ok(()) | Err(ErrorCode::TimedOut)) => true,
            (Some(Ending::Abort { .. }), Err(ErrorCode::Cancelled)) => true,
            (Some(Ending::Remove), Ok(())) => true,
            (None | Some(Ending::Abort { .. }), Ok(()) | Err(ErrorCode::TimedOut)) if around.shut_down => true,
            (None, Err(ErrorCode::TimedOut)) if self.was_idle(around) => true,
            (_, Err(ErrorCode::Cancelled)) => around.deleted,
            (_, Ok(())) => false,
            (_, Err(code)) => failed(code),
        };
        let kept = self.ending == Some(Ending::Remove) && code.is_ok();
        if !explained || handed_back != kept {
            return Err(format!("a farewell of {code:?}, handed back: {handed_back}: {self:?}"));
        }
        Ok(())
    }

    /// Whether the idle time-out may have ended it by now.
    fn was_idle(&self, around: Circumstances) -> bool {
        let recv = self.recv_outstanding.then_some(self.recv_since);
        let since = recv.into_iter().chain([self.send_since]).min().unwrap_or(Duration::MAX);
        self.idled || around.idle.is_some_and(|idle| around.now.saturating_sub(since) >= idle)
    }

    /// Nothing moves any more: is there something that should have?
    pub(crate) fn check_at_rest(&self, from_peer: (u64, bool), peer_reads: bool, setup: &Setup) -> Result<(), Broken> {
        let (written, fin) = from_peer;
        let may_idle = setup.idle_timeout_ms != 0;
        if self.ended {
            return Ok(());
        }
        if self.ending.is_none() && self.recv_outstanding && (self.received < written || fin && !self.eof) {
            return Err(format!("a recv is not reported though there is something: {self:?}"));
        }
        if peer_reads && !self.sends.is_empty() {
            return Err(format!("sends are not reported though the client reads: {self:?}"));
        }
        if !self.has_told(setup) {
            return Err(format!("a mark was crossed and nobody told: {self:?}"));
        }
        if may_idle && (self.recv_outstanding || !self.sends.is_empty()) {
            return Err(format!("no farewell though it has been idle: {self:?}"));
        }
        if self.ending.is_some() || self.found_closed {
            return Err(format!("no farewell though the end has begun: {self:?}"));
        }
        Ok(())
    }
}

/// Longer than the linger of the ports under test.
pub(crate) const LINGER: Duration = Duration::from_secs(5);
