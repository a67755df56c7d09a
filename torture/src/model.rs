//! The model of the contract: what a connected socket has been asked for, and what it may say.

use crate::bytes::Stream;
use crate::mail::{Letter, Mail};
use crate::program::{Call, Host, Setup, Whither};
use socket_iocp::{Error, ErrorCode, SocketHandle, Watermark};
use std::collections::VecDeque;
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
    /// When its time limit is over.
    limit: Option<Duration>,
    /// It is to be cancelled alone.
    picked: bool,
    /// It is a datagram's, with an address.
    addressed: bool,
    /// Its file ends too early.
    short: bool,
}

/// What the client may read of a send.
#[derive(Clone, Copy, Debug)]
struct Part {
    write: u64,
    /// Where its bytes begin in what was issued.
    start: u64,
    /// How many went, once that has been reported.
    sent: Option<usize>,
}

/// The socket's timer.
#[derive(Clone, Copy, Debug)]
struct Timer {
    /// When its time has passed.
    over: Duration,
    cancelled: bool,
}

/// A connect that has not been told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connect {
    /// Of a host: what the best of its addresses is; that of an unknown one is nobody's.
    pub(crate) whither: Whither,
    /// The host, if it is to one: until it is connected there is no socket.
    pub(crate) host: Option<Host>,
    /// The socket's own address if there is one yet, and where it is connected to.
    pub(crate) ends: (Option<SocketAddr>, Option<SocketAddr>),
    /// When its time limit is over.
    pub(crate) limit: Option<Duration>,
    pub(crate) cancelled: bool,
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
    /// The other end is the port's too, and has cut what it sends.
    pub(crate) peer_cut: bool,
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
    /// Of the recv that is outstanding: when its time limit is over, and whether it is to be cancelled.
    recv_limit: Option<Duration>,
    recv_cancelled: bool,
    timer: Option<Timer>,
    /// Its connect, as long as that has not been told of.
    connect: Option<Connect>,
    /// It was connected when its time limit was over: it may be ending for that already.
    connected_late: bool,
    /// A send of a file that is too short was accepted.
    meets_short_file: bool,
    /// Sends may have ended early: what the client reads is not all that was issued.
    cut: bool,
    /// What the client reads, as far as every send has been reported; and the sends from the first that has not.
    gone: Vec<u8>,
    parts: VecDeque<Part>,
    pub(crate) received: u64,
    pub(crate) reason: Option<Result<(), Error>>,
    /// It is a datagram socket.
    pub(crate) mail: Option<Mail>,
}

/// What a call is to be given.
pub(crate) struct Given {
    pub(crate) write: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Connect {
    fn is_over(&self, now: Duration) -> bool {
        self.limit.is_some_and(|limit| limit <= now)
    }

    /// Whether nobody answers.
    fn is_silent(&self) -> bool {
        self.whither == Whither::Silent
    }

    /// Whether nobody answers once the addresses that do have failed.
    fn may_be_silent(&self) -> bool {
        matches!(self.host, Some(Host::Known(Whither::Silent, _) | Host::Known(_, Whither::Silent)))
    }

    /// Whether the socket may have ended for this cause.
    fn explains(&self, code: ErrorCode, now: Duration) -> bool {
        match code {
            ErrorCode::Unresolved => self.host == Some(Host::Unknown),
            ErrorCode::Refused => self.whither == Whither::Nobody && self.host != Some(Host::Unknown),
            ErrorCode::TimedOut => self.is_over(now),
            ErrorCode::Cancelled => self.cancelled,
            _ => false,
        }
    }
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
            recv_limit: None,
            recv_cancelled: false,
            timer: None,
            connect: None,
            connected_late: false,
            meets_short_file: false,
            cut: false,
            gone: Vec::new(),
            parts: VecDeque::new(),
            received: 0,
            reason: None,
            mail: None,
        }
    }

    /// A datagram socket.
    pub(crate) fn mailing(self, mail: Mail) -> Socket {
        Socket { mail: Some(mail), ..self }
    }

    /// What the surroundings are to this socket: nothing that fails ends a datagram socket, nor does time.
    fn around(&self, around: Circumstances) -> Circumstances {
        if self.mail.is_some() { Circumstances { may_fail: false, idle: None, ..around } } else { around }
    }

    /// A socket that is being connected.
    pub(crate) fn connecting(self, connect: Connect) -> Socket {
        Socket { connect: Some(connect), ..self }
    }

    /// Whether it is being connected, or has ended before it was.
    pub(crate) fn is_connecting(&self) -> bool {
        self.connect.is_some()
    }

    /// Whether it is being connected to a host.
    pub(crate) fn has_no_socket(&self) -> bool {
        self.connect.is_some_and(|connect| connect.host.is_some())
    }

    /// Whether it ends, or may end, by a reset without anybody's doing: it was not connected in time, or sends what is not there.
    pub(crate) fn may_be_in_vain(&self) -> bool {
        self.is_connecting() || self.connected_late || self.meets_short_file
    }

    /// Whether its connect, or a file that is too short, may have ended it by now.
    fn may_have_failed(&self, now: Duration) -> bool {
        let fails = |connect: Connect| connect.whither == Whither::Nobody || connect.cancelled || connect.is_over(now);
        self.connected_late || self.meets_short_file || self.connect.is_some_and(fails)
    }

    /// The socket of before, handed back and added again.
    pub(crate) fn again(&self, handle: SocketHandle) -> Socket {
        // Where nothing was cut the numbers are the same.
        let issued = if self.cut { self.issued } else { self.sent };
        let (sent, received, cut, gone) = (self.sent, self.received, self.cut, self.gone.clone());
        Socket { issued, sent, received, cut, gone, ..Socket::new(handle, self.outgoing, self.incoming) }
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

    pub(crate) fn is_cut(&self) -> bool {
        self.cut
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

    // ---- callbacks ----

    /// A datagram's callback.
    pub(crate) fn mailed(
        &mut self,
        result: &Result<Letter, Error>,
        buffer_size: usize,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let outstanding = std::mem::replace(&mut self.recv_outstanding, false);
        let Some(mail) = self.mail.as_mut().filter(|_| outstanding && !self.ended) else {
            return Err(format!("a datagram's callback without a recv: {self:?}"));
        };
        let explained = match result.as_ref().map_err(|error| error.code()) {
            Ok(letter) => mail.received(letter, buffer_size),
            Err(ErrorCode::Cancelled) if self.recv_cancelled => Ok(()),
            Err(ErrorCode::TimedOut) if self.recv_limit.is_some_and(|over| over <= around.now) => Ok(()),
            Err(code) if mail.explains(code, around.may_fail) => Ok(()),
            Err(code) => Err(format!("a datagram's callback with {code:?}")),
        };
        explained.map_err(|broken| format!("{broken}: {self:?}"))
    }

    /// The connect callback.
    pub(crate) fn connected(
        &mut self,
        ends: (Option<SocketAddr>, Option<SocketAddr>),
        now: Duration,
    ) -> Result<(), Broken> {
        let Some(connect) = self.connect.take().filter(|_| !self.ended) else {
            return Err(format!("a connect callback without a connect: {self:?}"));
        };
        let answers = matches!(connect.whither, Whither::Far | Whither::Own(_));
        let local_differs = connect.ends.0.is_some() && connect.ends.0 != ends.0;
        if !answers || local_differs || connect.ends.1 != ends.1 {
            return Err(format!("{connect:?} has connected {ends:?}: {self:?}"));
        }
        self.connected_late = connect.is_over(now);
        // The idle time-out begins.
        self.recv_since = now;
        self.send_since = if self.sends.is_empty() { Duration::MAX } else { now };
        Ok(())
    }

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
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(error) => {
                let explained = match error.code() {
                    ErrorCode::Cancelled => self.recv_cancelled,
                    ErrorCode::TimedOut => self.recv_limit.is_some_and(|over| over <= around.now),
                    _ => false,
                };
                return if explained { Ok(()) } else { Err(format!("a recv callback with {error:?}: {self:?}")) };
            }
        };
        if self.is_connecting() {
            return Err(format!("{} bytes before the connect: {self:?}", bytes.len()));
        }
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
        if !around.peer_cut && !self.incoming.is_at(self.received, bytes) {
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
        let at = self.sends.iter().position(|send| send.write == write).filter(|_| !self.ended);
        let Some(send) = at.and_then(|at| self.sends.remove(at)) else {
            return Err(format!("a send callback without a send: {self:?}"));
        };
        let ends_alone = match result.map_err(|error| error.code()) {
            Err(ErrorCode::Cancelled) => send.picked,
            Err(ErrorCode::TimedOut) => send.limit.is_some_and(|over| over <= around.now),
            _ => false,
        };
        if send.len != len || at != Some(0) && !ends_alone {
            return Err(format!("{send:?} of {len} bytes reported, which is not due: {self:?}"));
        }
        if self.is_connecting() && (bytes != 0 || result.is_ok()) {
            return Err(format!("{bytes} bytes sent before the connect, {result:?}: {self:?}"));
        }
        if self.mail.is_some() {
            return self.mail_sent(send, result, bytes, ends_alone, around);
        }
        self.sent += bytes as u64;
        self.note_part(write, bytes);
        self.idled |= self.was_idle(around);
        if self.sends.is_empty() {
            self.send_since = Duration::MAX;
        }
        match result {
            Err(_) if ends_alone && bytes <= len => return Ok(()),
            Ok(()) if send.short => return Err(format!("more was sent than the file has: {self:?}")),
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
            Some(ErrorCode::Cancelled) if self.may_have_failed(around.now) => true,
            Some(ErrorCode::FileTooShort) => first && send.short && bytes < len,
            Some(ErrorCode::Cancelled) => asked || around.may_fail || around.closed_behind || self.was_idle(around),
            Some(_) => first && (around.may_fail || around.closed_behind),
            None => true,
        };
        if explained { Ok(()) } else { Err(format!("a send failed with {code:?} for no reason: {self:?}")) }
    }

    /// The send callback of a datagram socket.
    fn mail_sent(
        &mut self,
        send: Send,
        result: Result<(), Error>,
        bytes: usize,
        ends_alone: bool,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let part = self.parts.iter().position(|part| part.write == send.write).and_then(|at| self.parts.remove(at));
        let start = part.map_or(0, |part| part.start);
        let asked = self.ending.is_some() || around.deleted || around.shut_down;
        let is_cancelled = result.is_err_and(|error| error.code() == ErrorCode::Cancelled);
        if bytes != if result.is_ok() { send.len } else { 0 } {
            return Err(format!("{bytes} of {} bytes of a datagram, {result:?}: {self:?}", send.len));
        }
        if result.is_err() && ends_alone || is_cancelled && asked {
            return Ok(());
        }
        let whole = self.outgoing.bytes(start, send.len);
        let Some(mail) = &mut self.mail else { return Ok(()) };
        let explained = mail.sent(whole, send.addressed, result, around.may_fail);
        explained.map_err(|broken| format!("{broken}: {self:?}"))
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

    /// A send has been reported: so much of it is what the client reads.
    fn note_part(&mut self, write: u64, sent: usize) {
        self.parts.iter_mut().filter(|part| part.write == write).for_each(|part| part.sent = Some(sent));
        while let Some(Part { start, sent: Some(sent), .. }) = self.parts.front().copied() {
            self.parts.pop_front();
            self.gone.extend(self.outgoing.bytes(start, sent));
        }
    }

    /// Everything that the client has read. `whole`: it must have read all that went. `may_fail`: a send that failed may have
    /// gone farther than it could tell.
    pub(crate) fn check_read(&self, read: &[u8], whole: bool, may_fail: bool) -> Result<(), Broken> {
        if !self.sends.is_empty() || may_fail {
            return Ok(());
        }
        let right = self.gone.starts_with(read) && (read.len() == self.gone.len() || !whole || self.ended);
        if right {
            return Ok(());
        }
        let at = self.gone.iter().zip(read).take_while(|(gone, read)| gone == read).count();
        let (read, gone) = (read.len(), self.gone.len());
        Err(format!("the client read {read} bytes, the first {at} right, of {gone}: socket {:?}", self.handle))
    }

    /// The timer's callback.
    pub(crate) fn timer_told(&mut self, result: Result<(), Error>, around: Circumstances) -> Result<(), Broken> {
        let Some(timer) = self.timer.take().filter(|_| !self.ended) else {
            return Err(format!("a timer's callback without a timer: {self:?}"));
        };
        let asked = self.ending.is_some() || around.deleted || around.shut_down;
        let ends = asked || around.may_fail || around.closed_behind;
        let explained = match result.map_err(|error| error.code()) {
            Ok(()) => timer.over <= around.now,
            Err(ErrorCode::Cancelled) if self.may_have_failed(around.now) => true,
            Err(ErrorCode::Cancelled) => timer.cancelled || ends || around.idle.is_some(),
            Err(_) => false,
        };
        if explained { Ok(()) } else { Err(format!("{timer:?} said {result:?} at {:?}: {self:?}", around.now)) }
    }

    /// The farewell.
    pub(crate) fn farewell(
        &mut self,
        reason: Result<(), Error>,
        handed_back: bool,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let around = self.around(around);
        if std::mem::replace(&mut self.ended, true) {
            return Err(format!("a second farewell: {self:?}"));
        }
        if !self.sends.is_empty() {
            return Err(format!("a farewell with sends unreported: {self:?}"));
        }
        if self.timer.is_some() {
            return Err(format!("a farewell with a timer unreported: {self:?}"));
        }
        self.reason = Some(reason);
        let code = reason.map_err(|error| error.code());
        let failed = |code: ErrorCode| around.may_fail && !matches!(code, ErrorCode::Cancelled | ErrorCode::Panic);
        let explained = match (self.ending, code) {
            (_, Err(ErrorCode::ForeignClose)) => around.closed_behind,
            (_, Err(ErrorCode::TimedOut)) if self.connected_late => true,
            (_, Err(code)) if self.connect.is_some_and(|connect| connect.explains(code, around.now)) => true,
            (_, Err(ErrorCode::FileTooShort)) => self.meets_short_file && self.send_failed,
            (Some(Ending::Close | Ending::Abort { closing: true }), Ok(()) | Err(ErrorCode::TimedOut)) => true,
            (Some(Ending::Abort { .. }), Err(ErrorCode::Cancelled)) => true,
            (Some(Ending::Remove), Ok(())) => true,
            (None | Some(Ending::Abort { .. }), Ok(()) | Err(ErrorCode::TimedOut)) if around.shut_down => true,
            (None, Err(ErrorCode::TimedOut)) if self.was_idle(around) => true,
            (_, Err(ErrorCode::Cancelled)) => around.deleted,
            (_, Ok(())) => false,
            (_, Err(code)) => failed(code),
        };
        let undisturbed = !around.may_fail && !around.closed_behind && !around.deleted;
        if self.ending == Some(Ending::Close) && code.is_ok() && self.send_failed && undisturbed {
            return Err(format!("a close that has not sent everything says that all is well: {self:?}"));
        }
        let kept = self.ending == Some(Ending::Remove) && code.is_ok() && !self.has_no_socket();
        if !explained || handed_back != kept {
            return Err(format!("a farewell of {code:?}, handed back: {handed_back}: {self:?}"));
        }
        Ok(())
    }

    /// Whether the idle time-out may have ended it by now.
    fn was_idle(&self, around: Circumstances) -> bool {
        if self.is_connecting() || self.mail.is_some() {
            return false;
        }
        let recv = self.recv_outstanding.then_some(self.recv_since);
        let since = recv.into_iter().chain([self.send_since]).min().unwrap_or(Duration::MAX);
        self.idled || around.idle.is_some_and(|idle| around.now.saturating_sub(since) >= idle)
    }

    /// Nothing moves any more: is there something that should have? `may_fail`: a connect may have failed that succeeds else.
    pub(crate) fn check_at_rest(
        &self,
        from_peer: (u64, bool),
        peer_reads: bool,
        may_fail: bool,
        setup: &Setup,
    ) -> Result<(), Broken> {
        let (written, fin) = from_peer;
        let may_idle = setup.idle_timeout_ms != 0 && !self.is_connecting() && self.mail.is_none();
        if self.ended {
            return Ok(());
        }
        let must_end = |connect: Connect| {
            connect.limit.is_some()
                || connect.cancelled
                || !(connect.is_silent() || may_fail && connect.may_be_silent())
        };
        if self.connect.is_some_and(must_end) {
            return Err(format!("a connect goes on though it was to end: {self:?}"));
        }
        if self.ending.is_none() && self.recv_outstanding && (self.received < written || fin && !self.eof) {
            return Err(format!("a recv is not reported though there is something: {self:?}"));
        }
        if let Some(mail) = self.mail.as_ref().filter(|_| self.ending.is_none())
            && (!self.sends.is_empty() || self.recv_outstanding && mail.has_incoming())
        {
            return Err(format!("datagrams go neither way: {self:?}"));
        }
        if peer_reads && !self.sends.is_empty() {
            return Err(format!("sends are not reported though the client reads: {self:?}"));
        }
        if !self.has_told(setup) {
            return Err(format!("a mark was crossed and nobody told: {self:?}"));
        }
        // Longer than every time limit.
        if self.ending.is_none() && self.recv_outstanding && (self.recv_cancelled || self.recv_limit.is_some()) {
            return Err(format!("a recv goes on though it was to end: {self:?}"));
        }
        if self.sends.iter().any(|send| send.picked || send.limit.is_some()) {
            return Err(format!("a send goes on though it was to end: {self:?}"));
        }
        if self.timer.is_some() {
            return Err(format!("a timer runs though its time has passed: {self:?}"));
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
