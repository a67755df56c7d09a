//! The calls for a socket's timer.

use crate::Error;
use crate::handle::{Control, SocketHandle};
use crate::handler::Handler;
use crate::port::{Place, PortHandle};
use crate::time::Limit;
use std::time::Duration;

impl<H: Handler> PortHandle<H> {
    /// Issues the socket's timer: [`Handler::timer`] is called once, when `delay` has passed, on the socket's worker like every
    /// callback of the socket. It is never early, and mostly some milliseconds late; more if callbacks hold the worker up. If
    /// it is cancelled, or the socket ends before, the callback says [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled). A
    /// socket has one timer: issue it again in its callback.
    ///
    /// Errors: `Busy` (it is outstanding), `InvalidArgument` (longer than [`MAX_TIME_LIMIT`](crate::MAX_TIME_LIMIT)), `QueueFull`
    /// (see [`send`](PortHandle::send)), `Closed`, `WrongPort`, `BadHandle`.
    pub fn timer(&self, socket: SocketHandle, delay: Duration) -> Result<(), Error> {
        self.timer_with(socket, delay, 0)
    }

    /// As [`timer`](PortHandle::timer); [`Context::timer_state`](crate::Context::timer_state) gives `state` back.
    #[doc(hidden)]
    pub fn timer_with(&self, socket: SocketHandle, delay: Duration, state: usize) -> Result<(), Error> {
        let delay = Limit::after(delay)?;
        let generation = socket.generation();
        self.with_slot(socket, |shared, slot, place| match place {
            Place::Here(worker) => worker.issue_timer(slot, generation, delay, state),
            Place::Elsewhere(worker) => slot.head.post_timer(generation, delay, state, &shared.workers[worker].mailbox),
        })
    }

    /// Cancels the socket's timer: its callback says [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled), unless its time had
    /// passed before the cancel reached it. That callback may still be to come when this returns.
    ///
    /// Errors: `NotOutstanding`, `QueueFull` (see [`send`](PortHandle::send)), `Closed`, `WrongPort`, `BadHandle`.
    pub fn cancel_timer(&self, socket: SocketHandle) -> Result<(), Error> {
        self.control(socket, Control::CancelTimer)
    }
}
