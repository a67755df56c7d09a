//! The calls for datagram sockets. Their recvs, time limits, cancels, timers and endings are those of every socket.

use crate::adding::Newcomer;
use crate::handle::{NodeRef, SocketHandle};
use crate::handler::Handler;
use crate::port::{NotAdded, PortHandle, Rejected};
use crate::sys::Segments;
use crate::time::Limit;
use crate::{Error, ErrorCode, SendBuffer, Socket};
use socket2::SockAddr;
use std::net::SocketAddr;

/// What kind of socket a call wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Stream,
    Datagram,
}

impl<H: Handler> PortHandle<H> {
    /// Adds a datagram socket, UDP over IPv4 or IPv6, bound or not, connected or not. Nothing happens on it until an operation is
    /// issued.
    ///
    /// - [`recv`](PortHandle::recv), [`recv_within`](PortHandle::recv_within) and [`cancel_recv`](PortHandle::cancel_recv) are as ever,
    ///   with [`Handler::datagram`] as the callback: one recv brings one datagram. What comes while none is issued waits in the
    ///   kernel, as far as `SO_RCVBUF` goes.
    /// - [`send_to`](PortHandle::send_to) and [`sync_send_to`](PortHandle::sync_send_to) send one datagram each; on a connected socket so
    ///   do [`send`](PortHandle::send) and all calls of its kind. A datagram leaves whole or not at all, one of no bytes too, in the
    ///   order of the calls. One that is too long is [`MessageSize`](ErrorCode::MessageSize), one that has no address
    ///   [`NotConnected`](ErrorCode::NotConnected).
    /// - An error is that of its operation alone, and the socket goes on. It ends when the program or its port ends it, when a callback
    ///   panics, and when it was closed behind the library's back.
    /// - [`close`](PortHandle::close) sends what is queued and waits for nothing else. The idle time-out is not for datagram sockets,
    ///   and [`begin_shutdown`](PortHandle::begin_shutdown) takes one for idle that has nothing to send.
    /// - [`shutdown_send`](PortHandle::shutdown_send) is [`NotStream`](ErrorCode::NotStream), and so is a send from a file.
    ///
    /// Besides its slot such a socket has three blocks of memory, some 450 bytes, so that its messages need none. On Windows it is bound
    /// if it is not yet, and `SIO_UDP_CONNRESET` is off from then on: an answer of the net to what went to nobody is not told there.
    ///
    /// Errors: `BadSocket`, `NotSocket`, `NotDatagram`, `AlreadyAdded`, `Unsupported` (another family; Windows: the socket has a
    /// completion port already, a provider without file handles, or was made without `WSA_FLAG_OVERLAPPED`), `Limit`, `NoMemory`,
    /// `Closed`.
    ///
    /// See [udp(7)](https://man7.org/linux/man-pages/man7/udp.7.html),
    /// [WSARecvFrom](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsarecvfrom).
    pub fn add_datagram(
        &self,
        socket: impl Into<Socket>,
        state: H::Socket,
    ) -> Result<SocketHandle, NotAdded<H::Socket>> {
        self.add(socket.into(), Newcomer::DATAGRAM, state)
    }

    /// Issues an async send of one datagram to this address: one heap allocation, any number outstanding. A connected socket may send
    /// elsewhere in this way, where the system lets it. Otherwise as [`send`](PortHandle::send).
    ///
    /// Errors: as [`send`](PortHandle::send); `NotDatagram`.
    ///
    /// See [`sendmsg(2)`](https://man7.org/linux/man-pages/man2/sendmsg.2.html).
    pub fn send_to(
        &self,
        socket: SocketHandle,
        address: SocketAddr,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        self.issue_send_to(socket, address, Ok(None), buffer.into(), write)
    }

    /// As [`send_to`](PortHandle::send_to), of several datagrams to one address: the buffer is cut into as many of `segment_size`
    /// bytes as it has, the last of which may be shorter. The system does that once for all of them, which costs it far less than
    /// a send for each. They are one completion, and leave all or, if it fails, none.
    ///
    /// Errors: as [`send_to`](PortHandle::send_to); `InvalidArgument` (a segment size of 0), `Unsupported` (everywhere but on Linux,
    /// which has it from 4.18 on). The completion says `InvalidArgument` of more than 64 datagrams, or of one that is longer than
    /// the way takes.
    ///
    /// See `UDP_SEGMENT` in [udp(7)](https://man7.org/linux/man-pages/man7/udp.7.html).
    pub fn send_segments_to(
        &self,
        socket: SocketHandle,
        address: SocketAddr,
        segment_size: u16,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        let segments = match segment_size {
            0 => Err(ErrorCode::InvalidArgument),
            _ => Segments::new(segment_size).map(Some).ok_or(ErrorCode::Unsupported),
        };
        self.issue_send_to(socket, address, segments, buffer.into(), write)
    }

    fn issue_send_to(
        &self,
        socket: SocketHandle,
        address: SocketAddr,
        segments: Result<Option<Segments>, ErrorCode>,
        buffer: SendBuffer,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        let required = self.require(socket, Kind::Datagram);
        let segments = match required.and_then(|()| Ok(segments?)) {
            Ok(segments) => segments,
            Err(error) => return Err(Rejected { error, buffer, write }),
        };
        match buffer.addressed(&SockAddr::from(address), segments, NodeRef::<H::Write>::LAYOUT) {
            Ok(addressed) => self.issue_async_send(socket, addressed, write, Limit::NONE),
            Err(buffer) => Err(Rejected { error: ErrorCode::NoMemory.into(), buffer, write }),
        }
    }

    /// Issues a sync send of one datagram to this address: no heap allocation, one outstanding at a time. Otherwise as
    /// [`send_to`](PortHandle::send_to).
    ///
    /// Errors: as [`sync_send`](PortHandle::sync_send); `NotDatagram`.
    pub fn sync_send_to(
        &self,
        socket: SocketHandle,
        address: SocketAddr,
        buffer: impl Into<SendBuffer>,
        write: H::Write,
    ) -> Result<(), Rejected<H::Write>> {
        let buffer = buffer.into();
        if let Err(error) = self.require(socket, Kind::Datagram) {
            return Err(Rejected { error, buffer, write });
        }
        self.issue_sync_send(socket, Some(&SockAddr::from(address)), buffer, write, Limit::NONE)
    }

    /// Refuses a socket of the other kind. Whether it still lives is for the claim to say.
    pub(crate) fn require(&self, socket: SocketHandle, kind: Kind) -> Result<(), Error> {
        self.with_slot(socket, |_, slot, _| {
            let found = if slot.head.is_datagram() { Kind::Datagram } else { Kind::Stream };
            let is_other = found != kind && slot.head.word.is_before_farewell(socket.generation());
            match kind {
                Kind::Stream if is_other => Err(ErrorCode::NotStream.into()),
                Kind::Datagram if is_other => Err(ErrorCode::NotDatagram.into()),
                _ => Ok(()),
            }
        })
    }
}
