//! The send calls, and how much of what they were given is still queued. Sends from files and sends of datagrams have files of
//! their own, and come here to be issued.

use crate::datagrams::Kind;
use crate::handle::{NodeRef, Refused, Slot, SocketHandle};
use crate::handler::Handler;
use crate::port::{Place, PortHandle, Rejected};
use crate::shared::Shared;
use crate::time::Limit;
use crate::trace::traced;
use crate::{Error, ErrorCode, SendBuffer};
use socket2::SockAddr;
use std::time::Duration;

impl<H: Handler> PortHandle<H> {
    /// Issues an async send: at most one heap allocation, any number outstanding. Sends of a socket leave and are
    /// reported in the order in which their issue calls returned; one that is cancelled or times out, when that happens.
    ///
    /// Errors: `QueueFull` and `Limit` (the limits of bytes and sends queued, on this socket and in the port; or 131,071 calls from other
    /// threads are on their way to the socket's worker), `Shutdown`, `Closed`, `WrongPort`, `BadHandle`, `NoMemory`.
    pub fn send(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        self.issue_async_send(socket, buffer.into(), write, Limit::NONE)
    }

    /// As [`send`](PortHandle::send), for so long at most: if not all of it is with the system by then, its callback says
    /// [`ErrorCode::TimedOut`], with the bytes that had gone, and the socket goes on with the sends behind it. Where some had
    /// gone, what the peer reads is the beginning of this send and then the next; most programs close the socket then.
    ///
    /// It is reported before sends that were issued earlier and still wait. It is never over early, and mostly some
    /// milliseconds late; more if callbacks hold the worker up.
    ///
    /// Errors: as [`send`](PortHandle::send); `InvalidArgument` (longer than [`MAX_TIME_LIMIT`](crate::MAX_TIME_LIMIT)).
    pub fn send_within(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
        time: Duration,
    ) -> Result<(), Rejected<H::Write>> {
        let buffer = buffer.into();
        match Limit::after(time) {
            Ok(limit) => self.issue_async_send(socket, buffer, write, limit),
            Err(error) => Err(Rejected { error, buffer, write }),
        }
    }

    pub(crate) fn issue_async_send(
        &self,
        socket: SocketHandle,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
    ) -> Result<(), Rejected<H::Write>> {
        let generation = socket.generation();
        self.issue_send(socket, buffer, write, |shared, slot, place, buffer, write| match place {
            Place::Here(worker) => worker.issue_async_send(slot, generation, buffer, write, limit),
            Place::Elsewhere(worker) => {
                let mailbox = &shared.workers[worker].mailbox;
                slot.issue_async_send(generation, buffer, write, limit, &shared.queue, Some(mailbox)).map(drop)
            }
        })
    }

    /// Issues an async send of a copy of these bytes: for what is small and made on the spot. The copy lies in the send's own
    /// block, so that one heap allocation is all. (A [`Handler::Write`] aligned to more than 8 bytes has a block of its own.)
    /// Otherwise as [`send`](PortHandle::send), with the same errors. [`Sent::buffer`](crate::Sent::buffer) is the copy: sent
    /// again, on any socket of a port with this handler, it needs no allocation at all.
    pub fn send_copy(&self, socket: SocketHandle, bytes: &[u8], write: H::Write) -> Result<(), Rejected<H::Write, ()>> {
        let Some(copy) = SendBuffer::copied(bytes, NodeRef::<H::Write>::LAYOUT) else {
            return Err(Rejected { error: ErrorCode::NoMemory.into(), buffer: (), write });
        };
        let sent = self.send(socket, copy, write);
        sent.map_err(|rejected| Rejected { error: rejected.error, buffer: (), write: rejected.write })
    }

    /// Issues an async send of several buffers as one, a header and a body say: their bytes leave one after the other with
    /// nothing in between, and are one completion. At most [`SendBuffer::MAX_PARTS`] buffers, any of which may be empty. They
    /// lie in the send's own block, so that one heap allocation is all, as with [`send_copy`](PortHandle::send_copy).
    /// Otherwise as [`send`](PortHandle::send).
    ///
    /// `parts` is an array, a vector or the like of buffers, which are taken out of it if the send is accepted, and are as they
    /// were if not. [`SendBuffer::take_parts`] gives them back in the send's callback.
    ///
    /// ```no_run
    /// # use socket_iocp::{Context, Handler, SendBuffer};
    /// # use std::sync::Arc;
    /// fn answer<H: Handler<Write = ()>>(context: &Context<'_, H>, body: &Arc<[u8]>) {
    ///     let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    ///     if context.send_vectored([SendBuffer::from(head), body.clone().into()], ()).is_err() {
    ///         // The socket is ending; its farewell is on the way.
    ///     }
    /// }
    /// ```
    ///
    /// Errors: as [`send`](PortHandle::send); `InvalidArgument` (too many buffers, more bytes than a `usize` counts, or a buffer
    /// that came back from a vectored send, or is a file).
    ///
    /// See [`sendmsg(2)`](https://man7.org/linux/man-pages/man2/sendmsg.2.html).
    pub fn send_vectored<P: AsMut<[SendBuffer]>>(
        &self,
        socket: SocketHandle,
        mut parts: P,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write, P>> {
        let gathered = match SendBuffer::gathered(parts.as_mut(), NodeRef::<H::Write>::LAYOUT) {
            Ok(gathered) => gathered,
            Err(error) => return Err(Rejected { error, buffer: parts, write }),
        };
        self.send(socket, gathered, write).map_err(|rejected| {
            let Rejected { error, mut buffer, write } = rejected;
            parts.as_mut().iter_mut().zip(buffer.take_parts()).for_each(|(place, part)| *place = part);
            Rejected { error, buffer: parts, write }
        })
    }

    /// Issues a sync send: no heap allocation, one outstanding at a time.
    ///
    /// Errors: `Busy` (one is outstanding), `Shutdown`, `Closed`, `WrongPort`, `BadHandle`.
    pub fn sync_send(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        self.issue_sync_send(socket, None, buffer.into(), write, Limit::NONE)
    }

    /// As [`sync_send`](PortHandle::sync_send), for so long at most: see [`send_within`](PortHandle::send_within).
    ///
    /// Errors: as [`sync_send`](PortHandle::sync_send); `InvalidArgument`.
    pub fn sync_send_within(
        &self,
        socket: SocketHandle,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
        time: Duration,
    ) -> Result<(), Rejected<H::Write>> {
        let buffer = buffer.into();
        match Limit::after(time) {
            Ok(limit) => self.issue_sync_send(socket, None, buffer, write, limit),
            Err(error) => Err(Rejected { error, buffer, write }),
        }
    }

    pub(crate) fn issue_sync_send(
        &self,
        socket: SocketHandle,
        address: Option<&SockAddr>,
        buffer: SendBuffer,
        write: H::Write,
        limit: Limit,
    ) -> Result<(), Rejected<H::Write>> {
        let generation = socket.generation();
        self.issue_send(socket, buffer, write, |shared, slot, place, buffer, write| match place {
            Place::Here(worker) => worker.issue_sync_send(slot, generation, address, buffer, write, limit),
            Place::Elsewhere(worker) => {
                let mailbox = &shared.workers[worker].mailbox;
                slot.issue_sync_send(generation, address, buffer, write, limit, Some(mailbox)).map(drop)
            }
        })
    }

    fn issue_send(
        &self,
        socket: SocketHandle,
        buffer: SendBuffer,
        write: H::Write,
        issue: impl FnOnce(
            &Shared<H>,
            &'static Slot<H>,
            Place<'_, H>,
            SendBuffer,
            H::Write,
        ) -> Result<(), Refused<H::Write>>,
    ) -> Result<(), Rejected<H::Write>> {
        if buffer.is_file()
            && let Err(error) = self.require(socket, Kind::Stream)
        {
            return Err(Rejected { error, buffer, write });
        }
        #[cfg(feature = "tracing")]
        let bytes = buffer.len();
        let mut given = Some((buffer, write));
        let issued = self.with_slot(socket, |shared, slot, place| {
            let Some((buffer, write)) = given.take() else { return Ok(()) };
            issue(shared, slot, place, buffer, write).map_err(|(error, buffer, write)| {
                given = Some((buffer, write));
                error
            })
        });
        match (issued, given) {
            (Err(error), Some((buffer, write))) => Err(Rejected { error, buffer, write }),
            _ => {
                traced!(TRACE, "send issued", port = self.shared().number.get(), handle = socket.into_raw(), bytes);
                Ok(())
            }
        }
    }

    /// The bytes in the async sends outstanding on this socket, each counted whole from its issue to its callback, one from a file
    /// with 65,536 at most. From any thread, at once: others may be sending and completing meanwhile. It says how far behind the
    /// peer is.
    ///
    /// Errors: `Unsupported` (the port does not count them: it has neither
    /// [`Options::max_queued_bytes`](crate::Options::max_queued_bytes) nor
    /// [`Options::high_watermark`](crate::Options::high_watermark)), `Closed`, `WrongPort`, `BadHandle`.
    pub fn queued_bytes(&self, socket: SocketHandle) -> Result<usize, Error> {
        self.with_slot(socket, |shared, slot, _| {
            let queued = slot.queued_bytes(socket.generation()).ok_or(ErrorCode::Closed)?;
            if shared.queue.counts_bytes { Ok(queued as usize) } else { Err(ErrorCode::Unsupported.into()) }
        })
    }
}
