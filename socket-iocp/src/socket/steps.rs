//! What the worker is to do in the operating system, phase by phase.

use super::{Close, Connect, Fin, Machine, Phase, RecvState};
use crate::ErrorCode;
use crate::planted::planted;
use crate::send_queue::Work;
use crate::sys::SocketIo;

/// What the worker is to do in the operating system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    StartConnect,
    StartRecv,
    StartSend,
    StartRecvFrom,
    StartSendTo,
    CancelRecv,
    CancelSend,
    CancelConnect,
    ShutdownSend,
}

impl<W> Machine<W> {
    /// Where a send is started from: the backend's bits, and what is to be sent.
    pub(crate) fn start_send(&mut self) -> (&mut SocketIo, Work<'_, impl Iterator<Item = &[u8]>>) {
        (&mut self.io, self.sends.start())
    }

    /// What to do next in the operating system, if anything. `in_transit`: a claim is on its way here. An answer counts
    /// as done, but for what [`recv_ended`](Machine::recv_ended) and [`send_ended`](Machine::send_ended) tell.
    pub(crate) fn next_step(&mut self, in_transit: bool) -> Option<Step> {
        match self.phase {
            Phase::Arriving => None,
            Phase::Open | Phase::Closing => self.next_open_step(in_transit),
            Phase::Ending | Phase::Ended | Phase::Gone => self.next_ending_step(in_transit),
        }
    }

    fn next_open_step(&mut self, in_transit: bool) -> Option<Step> {
        if self.recv == RecvState::Unwanted {
            self.recv = RecvState::Cancelling;
            return Some(Step::CancelRecv);
        }
        if self.sends.start_cut() {
            return Some(Step::CancelSend);
        }
        if self.is_datagram() {
            return self.next_datagram_step(in_transit);
        }
        if self.connect == Connect::Unwanted {
            self.connect = Connect::Cancelling;
            return Some(Step::CancelConnect);
        }
        // A connect is waited for only to send what was issued before the close, some of which may come after it.
        let in_vain = self.phase == Phase::Closing && self.sends.is_flushed() && !in_transit;
        if in_vain && !self.is_connected() {
            self.end(None, Close::Background);
            return self.next_ending_step(in_transit);
        }
        if self.connect == Connect::Wanted {
            self.connect = Connect::Pending;
            return Some(Step::StartConnect);
        }
        if !self.is_connected() {
            return None;
        }
        if self.sends.can_start() {
            return Some(Step::StartSend);
        }
        if self.fin == Fin::Wanted && (self.sends.is_flushed() && !in_transit || planted!(FinBeforeSends)) {
            self.fin = Fin::Sent;
            return Some(Step::ShutdownSend);
        }
        // While closing, input is read without being asked for: a peer that waits for us to read would not read either.
        let wanted = self.recv == RecvState::Wanted || self.discarding && self.recv == RecvState::Idle;
        if wanted && !self.peer_fin {
            self.recv = RecvState::Pending;
            return Some(Step::StartRecv);
        }
        if self.phase == Phase::Closing && self.fin == Fin::Sent && self.peer_fin {
            self.end(None, Close::Background);
            return self.next_ending_step(in_transit);
        }
        None
    }

    pub(super) fn next_ending_step(&mut self, in_transit: bool) -> Option<Step> {
        match self.connect {
            Connect::Wanted | Connect::Elsewhere => self.connect = Connect::Over,
            Connect::Pending | Connect::Unwanted => {
                self.connect = Connect::Cancelling;
                return Some(Step::CancelConnect);
            }
            Connect::Over | Connect::Cancelling | Connect::Ready => {}
        }
        match self.recv {
            RecvState::Wanted => self.recv = RecvState::Idle,
            RecvState::Pending | RecvState::Unwanted => {
                self.recv = RecvState::Cancelling;
                return Some(Step::CancelRecv);
            }
            RecvState::Idle | RecvState::Cancelling | RecvState::Ready | RecvState::Stopped => {}
        }
        if self.sends.start_cancel() {
            return Some(Step::CancelSend);
        }
        if self.recv == RecvState::Cancelling || self.connect == Connect::Cancelling || self.sends.is_in_kernel() {
            return None;
        }
        if !planted!(TimerForgotten) {
            self.cancel_timer();
        }
        if !self.sends.is_flushed() {
            self.sends.fail(ErrorCode::Cancelled.into());
        }
        if !in_transit {
            self.phase = Phase::Ended;
        }
        None
    }
}
