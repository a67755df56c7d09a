//! The calls that cancel a recv, sends or a connect. The socket goes on, except when it was still to be connected.

use crate::Error;
use crate::handle::{Claimer, Control, SocketHandle};
use crate::handler::Handler;
use crate::port::{Place, PortHandle};

impl<H: Handler> PortHandle<H> {
    /// Cancels the recv that is outstanding: its recv callback says [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled),
    /// unless bytes or the FIN came before the cancel reached it, and the socket goes on. That callback may still be to come
    /// when this returns. A recv issued after it is not meant.
    ///
    /// Errors: `NotOutstanding`, `QueueFull` (see [`send`](PortHandle::send)), `Closed`, `WrongPort`, `BadHandle`.
    ///
    /// See [`io_uring_prep_cancel(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_cancel.3.html),
    /// [CancelIoEx](https://learn.microsoft.com/windows/win32/fileio/cancelioex-func).
    pub fn cancel_recv(&self, socket: SocketHandle) -> Result<(), Error> {
        self.control(socket, Control::CancelRecv)
    }

    /// Cancels the outstanding sends whose state `which` picks: the callback of each says
    /// [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled), with the bytes that had gone, unless it was done before the
    /// cancel reached it, and the socket goes on with the others. Where some of a send had gone, what the peer reads is its
    /// beginning and then the next send. Those cancelled are reported before sends that were issued earlier and still wait;
    /// that may still be to come when this returns. On Windows the system may reset the connection when a send that it has
    /// begun is cancelled: the socket then ends.
    ///
    /// Called in a callback of the socket's worker, `which` runs at once, and `NotOutstanding` says that it has picked none. Called
    /// elsewhere, it runs on the worker a little later, and `Ok` says that it will; that takes up to two blocks of memory. It
    /// should do no more than look. If it panics, the socket ends.
    ///
    /// Errors: `NotOutstanding`, `NoMemory`, `QueueFull` (see [`send`](PortHandle::send)), `Closed` (also while the socket closes
    /// gracefully), `WrongPort`, `BadHandle`.
    pub fn cancel_sends(
        &self,
        socket: SocketHandle,
        mut which: impl FnMut(&H::Write) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let generation = socket.generation();
        self.with_slot(socket, |shared, slot, place| match place {
            Place::Here(worker) => worker.cancel_sends(slot, generation, &mut which),
            Place::Elsewhere(worker) => slot.post_cancel(generation, which, &shared.workers[worker].mailbox),
        })
    }

    /// Cancels a connect that is outstanding: the farewell says [`ErrorCode::Cancelled`](crate::ErrorCode::Cancelled) and
    /// nothing else has been told of it, unless it succeeded before the cancel reached it: then [`Handler::connected`] comes,
    /// and the socket goes on. Or it failed before: then the farewell says how. It is what to call when somebody else has
    /// answered meanwhile; [`abort`](PortHandle::abort) ends the socket in any case. Sends that were issued on it are reported
    /// as cancelled.
    ///
    /// Errors: `NotOutstanding` (it has been told of, or the socket came connected), `Closed` (the socket is ending already),
    /// `WrongPort`, `BadHandle`.
    ///
    /// See [`io_uring_prep_cancel(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_cancel.3.html),
    /// [CancelIoEx](https://learn.microsoft.com/windows/win32/fileio/cancelioex-func).
    pub fn cancel_connect(&self, socket: SocketHandle) -> Result<(), Error> {
        self.with_slot(socket, |shared, slot, place| {
            slot.head.word.claim_look(socket.generation(), Claimer::Local)?;
            let worker = match place {
                Place::Here(worker) => worker.index(),
                Place::Elsewhere(worker) => worker,
            };
            let worker = &shared.workers[worker];
            worker.connects.cancel(socket)?;
            worker.mailbox.listeners_changed();
            Ok(())
        })
    }
}
