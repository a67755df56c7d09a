//! The callbacks that are due, and their order.

use super::{Connect, Fin, Machine, Phase, RecvState, Stop, Timer};
use crate::buffer::ReadBuffer;
use crate::handle::NodeRef;
use crate::planted::planted;
use crate::{Error, ErrorCode, Watermark};

/// A callback that is due.
#[derive(Debug)]
pub(crate) enum Event<W> {
    /// The accept callback of a new connection.
    Accept,
    Connected,
    /// A recv's; no bytes are the peer's FIN. An error is that of the recv alone.
    Recv(Result<ReadBuffer, Error>),
    /// That of a datagram socket; no bytes are a datagram of none.
    Datagram(Result<ReadBuffer, Error>),
    Sent(NodeRef<W>),
    /// The bytes queued have become many, or few again.
    Watermark(Watermark),
    /// The timer's.
    Timer(Result<(), Error>),
    Farewell,
}

impl<W> Machine<W> {
    /// The next callback that is due, if any. The farewell is answered for ever once it is due.
    pub(crate) fn next_event(&mut self) -> Option<Event<W>> {
        if self.phase == Phase::Arriving {
            self.phase = Phase::Open;
            return Some(Event::Accept);
        }
        if self.connect == Connect::Ready {
            self.connect = Connect::Over;
            return Some(Event::Connected);
        }
        // Before the sends that made it so: their callbacks may only make the bytes fewer.
        if self.tells_watermark() {
            return Some(Event::Watermark(self.sends.cross_mark()));
        }
        if planted!(FarewellBeforeSends) && self.phase == Phase::Ended {
            return Some(Event::Farewell);
        }
        match self.recv {
            RecvState::Ready | RecvState::Stopped if self.recv_after_sends != 0 => self.recv_after_sends -= 1,
            RecvState::Ready => {
                self.recv = RecvState::Idle;
                let received = Ok(self.take_buffer());
                return Some(self.recv_event(received));
            }
            RecvState::Stopped => {
                self.recv = RecvState::Idle;
                let code = self.recv_stop.map_or(ErrorCode::Cancelled, Stop::code);
                return Some(self.recv_event(Err(code.into())));
            }
            _ => {}
        }
        match std::mem::replace(&mut self.timer, Timer::Idle) {
            Timer::Passed => return Some(Event::Timer(Ok(()))),
            Timer::Cancelled => return Some(Event::Timer(Err(ErrorCode::Cancelled.into()))),
            running => self.timer = running,
        }
        if let Some(node) = self.sends.take_done() {
            return Some(Event::Sent(node));
        }
        (self.phase == Phase::Ended).then_some(Event::Farewell)
    }

    fn recv_event(&self, received: Result<ReadBuffer, Error>) -> Event<W> {
        if self.is_datagram() { Event::Datagram(received) } else { Event::Recv(received) }
    }

    /// Whether a mark is crossed, and more sends may come.
    fn tells_watermark(&self) -> bool {
        self.sends.crosses_mark() && self.phase == Phase::Open && self.fin == Fin::NotWanted
    }

    /// Whether a callback is due.
    pub(crate) fn has_event(&self) -> bool {
        self.events_due() != 0
    }

    /// How many callbacks are due.
    pub(crate) fn events_due(&self) -> usize {
        let recv = matches!(self.recv, RecvState::Ready | RecvState::Stopped);
        let timer = matches!(self.timer, Timer::Passed | Timer::Cancelled);
        let end = matches!(self.phase, Phase::Arriving | Phase::Ended);
        let connect = self.connect == Connect::Ready;
        let others = [recv, timer, end, connect, self.tells_watermark()];
        self.sends.done() as usize + others.into_iter().map(usize::from).sum::<usize>()
    }
}
