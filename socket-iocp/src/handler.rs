//! What a program implements, and what its callbacks are given.

use crate::sys::INVALID_SOCKET;
use crate::worker::Info;
use crate::{Error, PortHandle, RawSocket, ReadBuffer, SendBuffer, SendFile, Socket, SocketHandle};
use socket2::SockAddr;
use std::net::SocketAddr;
use std::ops::RangeBounds;
use std::time::Duration;

/// A port's callbacks, shared by its workers.
///
/// Callbacks of one connected socket never overlap and come in the order of the events; those of sockets on different
/// workers run in parallel, hence `Sync`. No lock of the library is held in a callback: any call may be made from
/// inside it. A callback that blocks delays the sockets of its own worker only.
///
/// A panic in a callback ends its socket with a farewell of [`ErrorCode::Panic`](crate::ErrorCode::Panic); one in
/// [`error`](Handler::error) or in a drop is caught and counted. With `panic = "abort"` a panic ends the process.
pub trait Handler: Sized + Send + Sync + 'static {
    /// What the program keeps with a listen socket.
    type Listener: Send + Sync + 'static;
    /// What the program keeps with a connected or a datagram socket. Dropped after the socket's farewell.
    type Socket: Send + 'static;
    /// What the program keeps with a send. Comes back with its completion.
    type Write: Send + 'static;

    /// A connection has come in; runs on the accepted socket's worker. Operations may be issued on
    /// [`context.handle()`](Context::handle) at once. `None` refuses: the connection is closed without a farewell, and
    /// sends issued here are dropped with their state.
    fn accept(&self, context: &Context<'_, Self>, listener: &Self::Listener) -> Option<Self::Socket>;

    /// The recv has completed: `Ok` with 1 to `read_buffer_size` bytes, or with none for the peer's FIN, after which
    /// a recv is [`ErrorCode::Eof`](crate::ErrorCode::Eof) and sending still works. `Err` is a recv that ended
    /// alone, cancelled or timed out, its socket going on. For the next bytes issue the next recv.
    fn recv(&self, context: &Context<'_, Self>, socket: &mut Self::Socket, received: Result<ReadBuffer, Error>);

    /// A send has completed, sync or async; see [`Sent`].
    fn send(&self, context: &Context<'_, Self>, socket: &mut Self::Socket, sent: Sent<Self::Write>);

    /// The socket's farewell: its last callback, exactly once. The descriptor is closed when it returns, unless
    /// [`Farewell::socket`] hands it back.
    fn error(&self, context: &Context<'_, Self>, socket: Self::Socket, farewell: Farewell);

    /// The connect has completed: the socket's first callback, but for those that need no connection (a timer's, a
    /// watermark's, that of a recv or send which ends alone), with both addresses in
    /// [`context.sockaddrs()`](Context::sockaddrs). A connect that fails, is cancelled or takes too long has no
    /// callback of its own: the farewell tells why. The default does nothing.
    fn connected(&self, context: &Context<'_, Self>, socket: &mut Self::Socket) {
        let _ = (context, socket);
    }

    /// The timer has ended: `Ok` when its time has passed, `Cancelled` after
    /// [`cancel_timer`](PortHandle::cancel_timer) or when its socket ends. The default does nothing.
    fn timer(&self, context: &Context<'_, Self>, socket: &mut Self::Socket, result: Result<(), Error>) {
        let _ = (context, socket, result);
    }

    /// The recv of a datagram socket has completed, in the place of [`recv`](Handler::recv): `Ok` with a [`Datagram`], one of no
    /// bytes included, which is no end. `Err` is a recv that ended alone, cancelled, timed out, or failed: that the net has answered
    /// to an earlier send ([`Refused`](crate::ErrorCode::Refused), [`Unreachable`](crate::ErrorCode::Unreachable)) is told to the
    /// next operation of a connected socket, be it a recv or a send. The socket goes on. The default drops what has come.
    fn datagram(&self, context: &Context<'_, Self>, socket: &mut Self::Socket, received: Result<Datagram, Error>) {
        let _ = (context, socket, received);
    }

    /// The listen socket's farewell, after the return of its last accept callback. The default does nothing.
    fn listen_error(&self, port: &PortHandle<Self>, listener: &Self::Listener, reason: Result<(), Error>) {
        let _ = (port, listener, reason);
    }

    /// The bytes in the async sends outstanding on this socket have risen above the high mark, or have fallen to the low one:
    /// each once a crossing, [`Watermark::High`] first, in turn. Only with
    /// [`Options::high_watermark`](crate::Options::high_watermark). The default does nothing.
    ///
    /// `High` comes before the callback of any of the sends that made them so many; `Low` follows the callback of the send with
    /// which they became few. They are looked at between callbacks: sends issued in a send callback that make them many again
    /// leave nothing to tell. A socket that takes no sends any more, since its sending side was shut down or its end has begun,
    /// crosses no mark.
    fn watermark(&self, context: &Context<'_, Self>, socket: &mut Self::Socket, mark: Watermark) {
        let _ = (context, socket, mark);
    }
}

/// Which mark the bytes queued on a socket have crossed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Watermark {
    /// They are more than [`Options::high_watermark`](crate::Options::high_watermark): time to produce less.
    High,
    /// They have fallen to [`Options::low_watermark`](crate::Options::low_watermark): there is room again.
    Low,
}

/// A datagram that a recv has brought.
#[derive(Debug)]
#[non_exhaustive]
pub struct Datagram {
    /// Its bytes, up to [`Options::read_buffer_size`](crate::Options); there may be none.
    pub buffer: ReadBuffer,
    /// Where it came from.
    pub sender: SocketAddr,
    /// It was longer than a read buffer: the rest is lost.
    pub truncated: bool,
    /// Of several datagrams of one sender that the system has put together, where the program has set `UDP_GRO` on the socket
    /// (Linux, from 5.0 on): how many bytes each has, the last perhaps fewer. 0: it is one. A read buffer is to have room for them,
    /// up to 64 KiB.
    pub segment_size: usize,
}

/// A send's completion.
#[derive(Debug)]
pub struct Sent<W> {
    /// The state given with the send.
    pub write: W,
    /// The buffer given with the send, for another use or to be dropped.
    pub buffer: SendBuffer,
    /// `Ok` when every byte is with the operating system; else why not.
    pub result: Result<(), Error>,
    /// The bytes that went to the operating system before the send ended: all of them when `result` is `Ok`.
    pub bytes: usize,
}

/// Why a socket has ended.
#[derive(Debug)]
pub struct Farewell {
    /// `Ok` after close or remove, `Cancelled` after abort or delete, else the cause.
    pub reason: Result<(), Error>,
    /// The open socket, the program's again, after [`PortHandle::remove`]; dropping it closes it. `None` if there was none yet, with
    /// [`PortHandle::connect_host`].
    pub socket: Option<Socket>,
}

/// A callback's surroundings: the port, the socket and its addresses.
#[derive(Debug)]
pub struct Context<'a, H: Handler> {
    pub(crate) port: &'a PortHandle<H>,
    pub(crate) handle: SocketHandle,
    pub(crate) raw: RawSocket,
    pub(crate) names: Names<'a>,
    /// In a timer's callback: what the timer was issued with.
    pub(crate) timer_state: usize,
}

/// Where a context finds its addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names<'a> {
    /// In the accept and the connect callback: as the system tells them, local and remote.
    Full(&'a [SockAddr; 2]),
    /// Later: as they were kept.
    Kept(&'a Info),
    /// In a datagram's callback: as it was kept, and where the datagram came from.
    Sender { info: &'a Info, sender: &'a SocketAddr, segment_size: u32 },
}

impl<H: Handler> Context<'_, H> {
    /// The port.
    pub fn port(&self) -> &PortHandle<H> {
        self.port
    }

    /// The socket's handle. In a farewell it is dead already.
    pub fn handle(&self) -> SocketHandle {
        self.handle
    }

    /// The socket's descriptor, for logs and socket options; the library's own until the farewell. While a socket is being connected
    /// by host name it is no number: -1, on Windows `INVALID_SOCKET`.
    pub fn raw_socket(&self) -> RawSocket {
        self.raw
    }

    /// Whether there is a socket: else [`raw_socket`](Context::raw_socket) is no number.
    #[doc(hidden)]
    pub fn has_socket(&self) -> bool {
        self.raw != INVALID_SOCKET
    }

    /// The local internet address, as it was when the socket entered the port; `None` for another family.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self.names {
            Names::Full([local, _]) => local.as_socket(),
            Names::Kept(info) | Names::Sender { info, .. } => info.addresses.get().local(),
        }
    }

    /// The peer's internet address, as it was when the socket entered the port; `None` for another family, and of a datagram socket
    /// that is not connected. In a datagram's callback, where it came from.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        match self.names {
            Names::Full([_, remote]) => remote.as_socket(),
            Names::Kept(info) => info.addresses.get().remote(),
            Names::Sender { sender, .. } => Some(*sender),
        }
    }

    /// Local and remote address as the accept and the connect callback are given them, of any family; `None` in every other
    /// callback.
    pub fn sockaddrs(&self) -> Option<(&SockAddr, &SockAddr)> {
        match self.names {
            Names::Full([local, remote]) => Some((local, remote)),
            Names::Kept(_) | Names::Sender { .. } => None,
        }
    }

    /// Keeps a read buffer with the socket until its next recv is issued or its farewell has returned.
    #[doc(hidden)]
    pub fn lend(&self, buffer: ReadBuffer) {
        self.port.lend(self.handle, buffer);
    }

    /// Issues a recv on this socket: [`PortHandle::recv`].
    pub fn recv(&self) -> Result<(), Error> {
        self.port.recv(self.handle)
    }

    /// Issues an async send on this socket: [`PortHandle::send`].
    pub fn send(&self, buffer: impl Into<SendBuffer>, write: H::Write) -> Result<(), crate::Rejected<H::Write>> {
        self.port.send(self.handle, buffer, write)
    }

    /// Issues an async send of a copy of these bytes on this socket: [`PortHandle::send_copy`].
    pub fn send_copy(&self, bytes: &[u8], write: H::Write) -> Result<(), crate::Rejected<H::Write, ()>> {
        self.port.send_copy(self.handle, bytes, write)
    }

    /// Issues an async send of several buffers as one on this socket: [`PortHandle::send_vectored`].
    pub fn send_vectored<P: AsMut<[SendBuffer]>>(
        &self,
        parts: P,
        write: H::Write,
    ) -> Result<(), crate::Rejected<H::Write, P>> {
        self.port.send_vectored(self.handle, parts, write)
    }

    /// Issues an async send from a file on this socket: [`PortHandle::send_file`].
    pub fn send_file(
        &self,
        file: impl Into<SendFile>,
        range: impl RangeBounds<u64>,
        write: H::Write,
    ) -> Result<(), crate::Rejected<H::Write, SendFile>> {
        self.port.send_file(self.handle, file, range, write)
    }

    /// Issues a sync send on this socket: [`PortHandle::sync_send`].
    pub fn sync_send(&self, buffer: impl Into<SendBuffer>, write: H::Write) -> Result<(), crate::Rejected<H::Write>> {
        self.port.sync_send(self.handle, buffer, write)
    }

    /// Issues an async send of a datagram on this socket: [`PortHandle::send_to`].
    pub fn send_to(
        &self,
        address: SocketAddr,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), crate::Rejected<H::Write>> {
        self.port.send_to(self.handle, address, buffer, write)
    }

    /// Issues a sync send of a datagram on this socket: [`PortHandle::sync_send_to`].
    pub fn sync_send_to(
        &self,
        address: SocketAddr,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), crate::Rejected<H::Write>> {
        self.port.sync_send_to(self.handle, address, buffer, write)
    }

    /// Issues a recv with a time limit on this socket: [`PortHandle::recv_within`].
    pub fn recv_within(&self, time: Duration) -> Result<(), Error> {
        self.port.recv_within(self.handle, time)
    }

    /// Issues an async send with a time limit on this socket: [`PortHandle::send_within`].
    pub fn send_within(
        &self,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
        time: Duration,
    ) -> Result<(), crate::Rejected<H::Write>> {
        self.port.send_within(self.handle, buffer, write, time)
    }

    /// Issues a sync send with a time limit on this socket: [`PortHandle::sync_send_within`].
    pub fn sync_send_within(
        &self,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
        time: Duration,
    ) -> Result<(), crate::Rejected<H::Write>> {
        self.port.sync_send_within(self.handle, buffer, write, time)
    }

    /// Issues this socket's timer: [`PortHandle::timer`].
    pub fn timer(&self, delay: Duration) -> Result<(), Error> {
        self.port.timer(self.handle, delay)
    }

    /// Cancels this socket's timer: [`PortHandle::cancel_timer`].
    pub fn cancel_timer(&self) -> Result<(), Error> {
        self.port.cancel_timer(self.handle)
    }

    /// In a timer's callback: what the timer was issued with.
    #[doc(hidden)]
    pub fn timer_state(&self) -> usize {
        self.timer_state
    }

    /// In a datagram's callback: [`Datagram::segment_size`].
    #[doc(hidden)]
    pub fn segment_size(&self) -> u32 {
        if let Names::Sender { segment_size, .. } = self.names { segment_size } else { 0 }
    }

    /// Closes this socket gracefully: [`PortHandle::close`].
    pub fn close(&self) -> Result<(), Error> {
        self.port.close(self.handle)
    }

    /// Aborts this socket: [`PortHandle::abort`].
    pub fn abort(&self) -> Result<(), Error> {
        self.port.abort(self.handle)
    }
}
