//! Datagrams: recvmsg(2), which tells where one came from, and sendmsg(2), which is told where one goes.
//!
//! What is believed of a socket is dropped when a call says EAGAIN, and not before: a datagram that is shorter than its buffer says
//! nothing of the next one.

use super::transfer::{self, Gather, Moved};
use super::{Backend, enter, flags, pending};
use crate::RawSocket;
use crate::buffer::{BufferPool, Destination, ReadBuffer};
use crate::sys::{DatagramMemory, Failure, Key, SocketIo, Submitted};

impl Backend {
    pub(crate) fn recv_from(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
        datagram: &DatagramMemory,
    ) -> Submitted<ReadBuffer> {
        if let Err(failure) = enter(io, socket) {
            return Submitted::Done(Err(failure));
        }
        if io.flags & flags::READABLE != 0
            && let Some(result) = try_recv_from(io, socket, pool, datagram)
        {
            return Submitted::Done(result);
        }
        pending(self.watch(io, key, socket, flags::READ_WATCHED))
    }

    pub(crate) fn send_to<'q>(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        to: Destination<'_>,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> Submitted<usize> {
        if let Err(failure) = enter(io, socket) {
            return Submitted::Done(Err(failure));
        }
        if io.flags & flags::WRITABLE != 0 {
            match Gather::new(slices).send_to(socket, to) {
                Moved::Bytes(bytes) => return Submitted::Done(Ok(bytes)),
                Moved::WouldBlock => io.flags &= !flags::WRITABLE,
                Moved::Failed(error) => return Submitted::Done(Err(Failure::Os(error))),
            }
        }
        pending(self.watch(io, key, socket, flags::READ_WATCHED | flags::WRITE_WATCHED))
    }
}

/// One recv. `None` when there is none.
fn try_recv_from(
    io: &mut SocketIo,
    socket: RawSocket,
    pool: &mut BufferPool,
    datagram: &DatagramMemory,
) -> Option<Result<ReadBuffer, Failure>> {
    let Some(block) = pool.take() else {
        return Some(Err(Failure::NoBuffer));
    };
    let header = datagram.envelope.prepare(block.data().as_ptr(), pool.buffer_size());
    // SAFETY: the header is the socket's, and names the block, which is this function's until it gives it back, and has the pool's
    // size.
    match unsafe { transfer::receive_message(socket, header) } {
        Moved::Bytes(bytes) => Some(Ok(pool.filled(block, bytes))),
        Moved::WouldBlock => {
            pool.put(block);
            io.flags &= !flags::READABLE;
            None
        }
        Moved::Failed(error) => {
            pool.put(block);
            Some(Err(Failure::Os(error)))
        }
    }
}
