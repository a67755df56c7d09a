//! Messages there and back, one under way on each connection, which starts on either side.

use super::super::workload::Shape;
use super::{Driver, Queue, Tally, bytes, connect};
use crate::error::Error;
use io_uring::types::Fd;
use io_uring::{cqueue, opcode, squeue};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// The mark of a send's `user_data`, beside the connection's number.
const SEND: u64 = 1 << 32;

/// The connections, and what is under way on them.
pub(super) struct Exchange {
    sockets: Vec<TcpStream>,
    shape: Shape,
    /// Whether the server speaks first, and what it says is sent back.
    answering: bool,
    /// The message of each connection, one after the other.
    sent: Vec<u8>,
    /// And where the echoes come to.
    received: Vec<u8>,
    /// When each connection's message went out.
    since: Vec<Instant>,
    /// Messages sent so far, by which each differs from the one before.
    sequence: u64,
}

impl Exchange {
    /// The client speaks, the server echoes.
    pub(super) fn asking(address: SocketAddr, shape: Shape) -> Result<Exchange, Error> {
        let sockets = (0..shape.connections).map(|number| connect(address, number)).collect::<Result<_, _>>()?;
        let len = shape.connections * shape.bytes;
        let sent = (0..len).map(|at| (at.wrapping_mul(31) >> 3) as u8).collect();
        let since = vec![Instant::now(); shape.connections];
        Ok(Exchange { sockets, shape, answering: false, sent, received: vec![0; len], since, sequence: 0 })
    }

    /// The server speaks, the client echoes.
    pub(super) fn answering(address: SocketAddr, shape: Shape) -> Result<Exchange, Error> {
        Ok(Exchange { answering: true, ..Exchange::asking(address, shape)? })
    }

    fn send(&mut self, index: usize, queue: &mut Queue<'_>) {
        let range = self.range(index);
        if self.answering {
            self.sent[range.clone()].copy_from_slice(&self.received[range.clone()]);
        } else {
            self.sequence += 1;
            for (byte, count) in self.sent[range.clone()].iter_mut().zip(self.sequence.to_le_bytes()) {
                *byte = count;
            }
        }
        self.since[index] = queue.now;
        let message = &self.sent[range];
        let send = opcode::Send::new(Fd(self.sockets[index].as_raw_fd()), message.as_ptr(), message.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        // A send has a completion only if it fails.
        queue.push_silent(&send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND | index as u64));
    }

    fn recv(&mut self, index: usize, queue: &mut Queue<'_>) {
        let range = self.range(index);
        let buffer = &mut self.received[range];
        let recv = opcode::Recv::new(Fd(self.sockets[index].as_raw_fd()), buffer.as_mut_ptr(), self.shape.bytes as u32)
            .flags(libc::MSG_WAITALL);
        queue.push(&recv.build().user_data(index as u64));
    }

    fn range(&self, index: usize) -> std::ops::Range<usize> {
        index * self.shape.bytes..(index + 1) * self.shape.bytes
    }
}

impl Driver for Exchange {
    fn start(&mut self, queue: &mut Queue<'_>) -> Result<(), Error> {
        for index in 0..self.sockets.len() {
            if !self.answering {
                self.send(index, queue);
            }
            self.recv(index, queue);
        }
        Ok(())
    }

    fn took(&mut self, completion: &cqueue::Entry, queue: &mut Queue<'_>, tally: &mut Tally) -> Result<(), Error> {
        let is_send = completion.user_data() & SEND != 0;
        let len = bytes(completion, if is_send { "send" } else { "recv" })?;
        let index = (completion.user_data() & !SEND) as usize;
        let range = self.range(index);
        let is_right = self.answering || self.received[range.clone()] == self.sent[range];
        if is_send || len != self.shape.bytes || !is_right {
            return Err(Error::failed(format!("a wrong echo of {len} bytes on connection {index}")));
        }
        tally.count(self.shape.units, self.since[index], queue.now);
        if !queue.is_closed() {
            self.send(index, queue);
            self.recv(index, queue);
        }
        Ok(())
    }
}
