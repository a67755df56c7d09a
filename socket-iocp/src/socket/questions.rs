//! What the worker asks of a socket. No answer changes anything.

use super::{Close, Fate, Fin, Kind, Machine, Phase, RecvState, Timer};
use crate::planted::planted;
use crate::time::Limit;
use crate::{Error, ErrorCode};

impl<W> Machine<W> {
    /// Whether the socket has begun to end (a graceful close has not).
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Ended | Phase::Gone)
    }

    /// Whether a graceful close has begun, whatever has become of it.
    pub(crate) fn has_closed(&self) -> bool {
        self.discarding
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.kind == Kind::Datagram
    }

    /// Whether an operation is outstanding, which the peer's idleness may end. A datagram socket has no peer.
    pub(crate) fn awaits_peer(&self) -> bool {
        self.phase == Phase::Open
            && !self.is_datagram()
            && self.is_connected()
            && (self.awaits_input() || !self.sends.is_flushed())
    }

    /// Whether it waits for its peer to begin something: a recv is outstanding, and nothing else. A datagram socket does whenever
    /// it has nothing to send.
    pub(crate) fn is_idle(&self) -> bool {
        let says_nothing = self.sends.is_flushed() && self.fin == Fin::NotWanted;
        let awaits_input = self.awaits_input() || self.is_datagram();
        self.phase == Phase::Open && self.is_connected() && awaits_input && says_nothing && !self.has_event()
    }

    pub(super) fn awaits_input(&self) -> bool {
        matches!(self.recv, RecvState::Wanted | RecvState::Pending)
    }

    /// Whether a recv is outstanding that its time limit may end.
    pub(crate) fn recv_may_time_out(&self) -> bool {
        self.phase == Phase::Open && self.awaits_input()
    }

    /// Whether a recv waits to be started.
    pub(crate) fn wants_recv(&self) -> bool {
        self.recv == RecvState::Wanted
    }

    pub(crate) fn timer_is_idle(&self) -> bool {
        self.timer == Timer::Idle
    }

    pub(crate) fn timer_runs(&self) -> bool {
        self.timer == Timer::Running
    }

    /// The first time limit of a send that waits, or a moment before it.
    pub(crate) fn first_send_limit(&self) -> Limit {
        self.sends.first_limit()
    }

    /// Whether an end of input may in truth be a reset that a send has been told of, and told nobody.
    pub(crate) fn may_hide_a_reset(&self) -> bool {
        self.kind == Kind::Internet && self.fin != Fin::Sent
    }

    /// The farewell's reason, and what becomes of the descriptor.
    pub(crate) fn ending(&self) -> (Result<(), Error>, Close) {
        let Fate::Ends(Some(reason)) = self.fate else { return (Ok(()), self.close) };
        if planted!(AbortIsSuccess) && reason.code() == ErrorCode::Cancelled {
            return (Ok(()), self.close);
        }
        (Err(reason), self.close)
    }

    /// When the worker is to look at the socket, as it has asked for; none once the socket ends.
    pub(crate) fn watch(&self) -> Limit {
        match self.fate {
            Fate::GoesOn(limit) => limit,
            Fate::Ends(_) => Limit::NONE,
        }
    }
}
