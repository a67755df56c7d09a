//! Datagrams. The kernel takes a read buffer from the ring as for any recv; what it tells beside the bytes it writes to the socket's
//! own memory, which stays for as long as its recv is under way.

use super::tag::{Kind, Tag};
use super::{Backend, buffers, failure_of};
use crate::RawSocket;
use crate::buffer::{BufferPool, Destination, ReadBuffer};
use crate::sys::{DatagramMemory, Key, SocketIo, Submitted};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use std::ptr;

impl Backend {
    /// One recv. None stands: what such a recv brings has its address in front of its bytes, in the read buffer.
    pub(crate) fn recv_from(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
        datagram: &DatagramMemory,
    ) -> Submitted<ReadBuffer> {
        if let Err(error) = self.make_room() {
            return Submitted::Done(Err(failure_of(error)));
        }
        let tag = Tag::of_socket(Kind::Recv, key);
        if self.refused.take(tag) {
            self.push_poll(tag.with_kind(Kind::RecvPoll), socket, libc::POLLIN);
            return Submitted::Pending;
        }
        let header = datagram.envelope.prepare(ptr::null_mut(), pool.buffer_size());
        let entry = opcode::RecvMsg::new(Fd(socket), header).buf_group(buffers::GROUP).build();
        // SAFETY: the header and what it names are in the socket's memory, which is not used otherwise and does not go before the
        // completion; the buffers are the ring's, which holds them until it is gone.
        unsafe { self.push(entry.flags(squeue::Flags::BUFFER_SELECT), tag) };
        Submitted::Pending
    }

    /// One send.
    pub(crate) fn send_to<'q>(
        &mut self,
        _io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        to: Destination<'_>,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        // Both before the arena is written: a submission clears it.
        if let Err(error) = self.make_room().and_then(|()| self.make_message_room()) {
            return Submitted::Done(Err(failure_of(error)));
        }
        let tag = Tag::of_socket(Kind::Send, key);
        if self.refused.take(tag) {
            self.push_poll(tag.with_kind(Kind::SendPoll), socket, libc::POLLOUT);
            return Submitted::Pending;
        }
        let header = self.messages.datagram(to, slices);
        let entry = opcode::SendMsg::new(Fd(socket), header).flags(libc::MSG_NOSIGNAL as u32).build();
        // SAFETY: the send queue keeps destination and bytes until the completion; the header and its vectors stay in the arena until
        // the submission, when the kernel has copied them.
        unsafe { self.push(entry, tag) };
        Submitted::Pending
    }
}
