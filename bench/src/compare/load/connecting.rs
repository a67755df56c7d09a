//! Connections that come, exchange one message and go by a reset, so that no port waits for its last packets.

use super::super::workload::Shape;
use super::{Driver, Queue, Tally, bytes};
use crate::error::{Doing, Error};
use io_uring::types::Fd;
use io_uring::{cqueue, opcode, squeue};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The mark of an operation before the recv: it completes only if it fails.
const BEFORE: u64 = 1 << 32;

/// Connections under way.
pub(super) struct Connecting {
    address: Box<SockAddr>,
    shape: Shape,
    sockets: Vec<Option<Socket>>,
    message: Vec<u8>,
    received: Vec<u8>,
    since: Vec<Instant>,
}

impl Connecting {
    pub(super) fn new(address: SocketAddr, shape: Shape) -> Connecting {
        Connecting {
            address: Box::new(address.into()),
            shape,
            sockets: (0..shape.connections).map(|_| None).collect(),
            message: (0..shape.bytes).map(|at| at as u8).collect(),
            received: vec![0; shape.connections * shape.bytes],
            since: vec![Instant::now(); shape.connections],
        }
    }

    /// Connect, send, recv, one after the other.
    fn begin(&mut self, index: usize, queue: &mut Queue<'_>) -> Result<(), Error> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).doing("a socket")?;
        socket.set_linger(Some(Duration::ZERO)).doing("SO_LINGER")?;
        socket.set_tcp_nodelay(true).doing("TCP_NODELAY")?;
        let fd = Fd(socket.as_raw_fd());
        self.sockets[index] = Some(socket);
        self.since[index] = queue.now;
        let connect = opcode::Connect::new(fd, self.address.as_ptr().cast(), self.address.len()).build();
        let send = opcode::Send::new(fd, self.message.as_ptr(), self.shape.bytes as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        for entry in [connect, send] {
            let flags = squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS;
            queue.push_silent(&entry.flags(flags).user_data(BEFORE | index as u64));
        }
        let buffer = &mut self.received[index * self.shape.bytes..(index + 1) * self.shape.bytes];
        buffer.fill(0);
        let recv = opcode::Recv::new(fd, buffer.as_mut_ptr(), self.shape.bytes as u32).flags(libc::MSG_WAITALL);
        queue.push(&recv.build().user_data(index as u64));
        Ok(())
    }
}

impl Driver for Connecting {
    fn start(&mut self, queue: &mut Queue<'_>) -> Result<(), Error> {
        (0..self.sockets.len()).try_for_each(|index| self.begin(index, queue))
    }

    fn took(&mut self, completion: &cqueue::Entry, queue: &mut Queue<'_>, tally: &mut Tally) -> Result<(), Error> {
        let is_before = completion.user_data() & BEFORE != 0;
        let len = bytes(completion, if is_before { "connect or send" } else { "recv" })?;
        let index = completion.user_data() as usize;
        let got = self.received.chunks_exact(self.shape.bytes).nth(index);
        if len != self.shape.bytes || got != Some(&self.message) {
            return Err(Error::failed(format!("a wrong echo of {len} bytes on a new connection")));
        }
        tally.count(self.shape.units, self.since[index], queue.now);
        // A reset: nothing lingers.
        self.sockets[index] = None;
        if queue.is_closed() { Ok(()) } else { self.begin(index, queue) }
    }
}
