//! The model of the contract: what a connected socket has been asked for, and what it may say.

mod calls;
mod connects;
mod datagrams;
mod endings;
mod recvs;
mod rest;
mod sends;
mod time;

pub(crate) use calls::{Given, Limits};
pub(crate) use connects::Connect;
pub(crate) use endings::Ending;

use crate::bytes::Stream;
use crate::mail::Mail;
use crate::program::Whither;
use sends::{Part, Send};
use socket_iocp::{Error, SocketHandle};
use std::collections::VecDeque;
use std::time::Duration;
use time::Timer;

/// A rule of the contract that was broken.
pub(crate) type Broken = String;

/// Longer than the linger of the ports under test.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

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

    /// The socket of before, handed back and added again.
    pub(crate) fn again(&self, handle: SocketHandle) -> Socket {
        // Where nothing was cut the numbers are the same.
        let issued = if self.cut { self.issued } else { self.sent };
        let (sent, received, cut, gone) = (self.sent, self.received, self.cut, self.gone.clone());
        Socket { issued, sent, received, cut, gone, ..Socket::new(handle, self.outgoing, self.incoming) }
    }

    /// What the surroundings are to this socket: nothing that fails ends a datagram socket, nor does time.
    fn around(&self, around: Circumstances) -> Circumstances {
        if self.mail.is_some() { Circumstances { may_fail: false, idle: None, ..around } } else { around }
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
}
