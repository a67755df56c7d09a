//! Datagrams: [WSARecvFrom](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsarecvfrom) and
//! [WSASendTo](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsasendto).
//!
//! A recv has its buffer with the system while it waits, whatever `Options::idle_reads` says: one of no bytes would take a datagram
//! and throw its bytes away.

use super::gather::Gather;
use super::memory::SocketMemory;
use super::{Backend, MAX_SEND_BYTES, Started, flags, outcome};
use crate::RawSocket;
use crate::buffer::{BufferPool, Destination, ReadBuffer};
use crate::sys::{DatagramMemory, Direction, Failure, Key, SocketIo, Submitted};
use std::ptr;
use windows_sys::Win32::Networking::WinSock::{
    SOCKET, WSABUF, WSAEINVAL, WSAEMSGSIZE, WSAENOTCONN, WSARecvFrom, WSASend, WSASendTo,
};

impl Backend {
    /// One recv.
    pub(crate) fn recv_from(
        &mut self,
        io: &mut SocketIo,
        memory: &'static SocketMemory,
        _: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
        datagram: &DatagramMemory,
    ) -> Submitted<ReadBuffer> {
        let Some(block) = pool.take() else { return Submitted::Done(Err(Failure::NoBuffer)) };
        let buffer = WSABUF { len: pool.buffer_size() as u32, buf: block.data().as_ptr() };
        let places = datagram.envelope.prepare();
        let overlapped = memory.begin(Direction::Recv);
        let mut received = 0;
        // SAFETY: the block is this recv's until its completion: it is put away with the OVERLAPPED, which is in a slot and stays; the
        // description of the buffer is read before the call returns. The other places are in the socket's memory, which does not go
        // before the completion.
        let answer = unsafe {
            WSARecvFrom(
                socket as SOCKET,
                &buffer,
                1,
                &mut received,
                places.flags,
                places.name,
                places.name_len,
                overlapped,
                None,
            )
        };
        match outcome(answer, *io, received) {
            Started::Done(bytes) => Submitted::Done(Ok(pool.filled(block, bytes))),
            Started::Pending => {
                memory.started(Direction::Recv, Some(block));
                Submitted::Pending
            }
            Started::Failed(failure) if is_warning(*io, memory, Direction::Recv, failure) => {
                memory.started(Direction::Recv, Some(block));
                Submitted::Pending
            }
            // The datagram was there and longer than the buffer, which is full.
            Started::Failed(Failure::Os(WSAEMSGSIZE)) => {
                datagram.envelope.note_truncated();
                Submitted::Done(Ok(pool.filled(block, pool.buffer_size())))
            }
            Started::Failed(failure) => {
                pool.put(block);
                Submitted::Done(Err(failure))
            }
        }
    }

    /// One send. What is longer than the greatest datagram is refused by the system, at whatever length.
    pub(crate) fn send_to<'q>(
        &mut self,
        io: &mut SocketIo,
        memory: &'static SocketMemory,
        _: Key,
        socket: RawSocket,
        destination: Destination<'_>,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        if let Some(segments) = destination.segments {
            // There are none.
            match *segments {}
        }
        let gather = Gather::new(slices, MAX_SEND_BYTES);
        let nothing = WSABUF { len: 0, buf: ptr::null_mut() };
        // A datagram of no bytes has a buffer all the same: not every provider takes none.
        let buffers = if gather.buffers().is_empty() { std::slice::from_ref(&nothing) } else { gather.buffers() };
        let (array, count, to) = (buffers.as_ptr(), buffers.len() as u32, socket as SOCKET);
        let overlapped = memory.begin(Direction::Send);
        let mut sent = 0;
        // SAFETY: the send queue keeps the bytes and the address until the completion. The array of buffers is read before the call
        // returns, as its documentation promises. The OVERLAPPED is in a slot, which stays.
        let answer = unsafe {
            match destination.address {
                None => WSASend(to, array, count, &mut sent, 0, overlapped, None),
                Some(address) => {
                    let (name, name_len) = (address.as_ptr().cast(), address.len());
                    WSASendTo(to, array, count, &mut sent, 0, name, name_len, overlapped, None)
                }
            }
        };
        match outcome(answer, *io, sent) {
            Started::Done(bytes) => Submitted::Done(Ok(bytes)),
            Started::Pending => {
                memory.started(Direction::Send, None);
                Submitted::Pending
            }
            Started::Failed(failure) if is_warning(*io, memory, Direction::Send, failure) => {
                memory.started(Direction::Send, None);
                Submitted::Pending
            }
            // Wine's word for a send that has no address.
            Started::Failed(Failure::Os(WSAEINVAL)) if destination.address.is_none() => {
                Submitted::Done(Err(Failure::Os(WSAENOTCONN)))
            }
            Started::Failed(failure) => Submitted::Done(Err(failure)),
        }
    }
}

/// Whether a call that has failed has done so to itself only: to the system the operation has succeeded, with a warning that a datagram
/// is longer than its place, and its completion comes as that of any other.
fn is_warning(io: SocketIo, memory: &'static SocketMemory, direction: Direction, failure: Failure) -> bool {
    let sends_completions = io.flags & flags::SKIPS == 0;
    failure == Failure::Os(WSAEMSGSIZE) && sends_completions && memory.has_overflowed(direction)
}
