//! Sending from files.

use crate::handle::{NodeRef, SocketHandle};
use crate::handler::Handler;
use crate::port::{PortHandle, Rejected};
use crate::{SendBuffer, SendFile};
use std::ops::RangeBounds;

impl<H: Handler> PortHandle<H> {
    /// Issues an async send from a file: a range of it, `..` for all, or `1000..` for what lies behind the first thousand bytes. It is a
    /// send like the others of its socket: in its turn among them, never interleaved with them, one completion with all the bytes.
    /// One heap allocation is all, as with [`send_copy`](PortHandle::send_copy).
    ///
    /// The file is an own one, a `File`, or an `Arc<File>` that many sends share. It is open for reading, and a regular file. A range
    /// without an end goes to the end that the file has now. [`SendBuffer::into_file`] gives it back in the send's callback; if that
    /// drops it, and nobody else has it, it is closed there.
    ///
    /// # A file that is shorter, or cannot be read
    /// What has gone cannot be taken back, and the peer would take what comes next for the rest. So the send then ends the socket, by
    /// a reset: its callback says [`ErrorCode::FileTooShort`](crate::ErrorCode::FileTooShort), or the system's error, and how many
    /// bytes had gone; those behind it are `Cancelled`, and the farewell has the same reason. A file that grows does not matter; bytes
    /// that are changed while they are sent are sent as they are read. To send what there may be of a file, issue a range
    /// without an end.
    ///
    /// # How it is read
    /// On io_uring by the ring, 64 KiB at a time into one of at most 64 chunks of memory that a worker has, never more than one a
    /// socket, and none while the peer has no room; a slow disk holds up nobody. On readiness by the worker, into its one chunk: a slow
    /// disk holds up the worker's other sockets, as it would with sendfile(2). On Windows by the system, with TransmitFile. Files
    /// take turns with the work of other sockets, part by part.
    ///
    /// # What it counts
    /// [`Options::max_queued_sends`](crate::Options::max_queued_sends) counts it as one, and with it the open files. Among the bytes
    /// queued, for [`queued_bytes`](PortHandle::queued_bytes), limits and watermarks, it counts as what may be in memory of it:
    /// its length, and at most 65,536. Those limits are there to bound memory; by its length a large file would be refused for ever.
    ///
    /// A time limit comes by [`send_within`](PortHandle::send_within), given [`SendBuffer::from_file`].
    ///
    /// ```no_run
    /// # use socket_iocp::{Context, Handler};
    /// # use std::fs::File;
    /// fn answer<H: Handler<Write = ()>>(context: &Context<'_, H>, body: File) -> std::io::Result<()> {
    ///     let length = body.metadata()?.len();
    ///     let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    ///     let sent = context.send_copy(head.as_bytes(), ()).map_err(|rejected| rejected.error);
    ///     if sent.is_err() || context.send_file(body, ..length, ()).is_err() {
    ///         // The socket is ending, and its farewell on the way; or it is to end: a head alone is no answer.
    ///         let _ = context.abort();
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Errors: as [`send`](PortHandle::send); `NotStream` (a datagram socket); `InvalidArgument` (no regular file; a
    /// range that ends before it begins, beyond what a file can be, or with more bytes than a `usize` counts), or the
    /// system's for a file that it does not know.
    ///
    /// See [`io_uring_prep_read(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_read.3.html),
    /// [`pread(2)`](https://man7.org/linux/man-pages/man2/pread.2.html),
    /// [TransmitFile](https://learn.microsoft.com/windows/win32/api/mswsock/nc-mswsock-lpfn_transmitfile).
    pub fn send_file(
        &self,
        socket: SocketHandle,
        file: impl Into<SendFile>,
        range: impl RangeBounds<u64>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write, SendFile>> {
        let buffer = match SendBuffer::of_file(file.into(), &range, NodeRef::<H::Write>::LAYOUT) {
            Ok(buffer) => buffer,
            Err((error, buffer)) => return Err(Rejected { error, buffer, write }),
        };
        self.send(socket, buffer, write).map_err(|Rejected { error, buffer, write }| {
            let Ok(buffer) = buffer.into_file() else { unreachable!("the buffer given is the buffer that comes back") };
            Rejected { error, buffer, write }
        })
    }
}
