//! One message at a time to every member; the next goes out when each has got it.

use super::super::workload::Shape;
use super::{Driver, PATIENCE, Queue, Tally, bytes, connect};
use crate::error::{Doing, Error};
use io_uring::types::Fd;
use io_uring::{cqueue, opcode, squeue};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// The `user_data` of the publisher's sends.
const SEND: u64 = 1 << 32;

/// The members, and the message that is under way to them.
pub(super) struct Members {
    sockets: Vec<TcpStream>,
    /// Where messages are published; the first member's own connection if there is none.
    publisher: Option<TcpStream>,
    shape: Shape,
    message: Vec<u8>,
    received: Vec<u8>,
    /// Members that have not got it yet.
    missing: usize,
    since: Instant,
    sequence: u64,
}

impl Members {
    pub(super) fn connect(address: SocketAddr, publisher: Option<SocketAddr>, shape: Shape) -> Result<Members, Error> {
        let sockets = (0..shape.connections).map(|number| connect(address, number)).collect::<Result<_, _>>()?;
        let mut members = Members {
            sockets,
            publisher: publisher.map(|address| connect(address, 0)).transpose()?,
            shape,
            message: (0..shape.bytes).map(|at| at as u8).collect(),
            received: vec![0; shape.connections * shape.bytes],
            missing: 0,
            since: Instant::now(),
            sequence: 0,
        };
        members.join()?;
        Ok(members)
    }

    /// Waits until the server knows every member: one that it has not accepted yet gets no message. So messages go out until
    /// each has got some, then one more, up to which each reads.
    fn join(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut joined = 0;
        while joined < self.sockets.len() {
            self.publish_blocking()?;
            // They are mostly accepted in the order of their coming.
            while joined < self.sockets.len() && gets_bytes(&self.sockets[joined])? {
                joined += 1;
            }
            if Instant::now() > deadline {
                return Err(Error::failed(format!("member {joined} has got no message")));
            }
        }
        self.publish_blocking()?;
        let mut message = vec![0; self.shape.bytes];
        for mut socket in &self.sockets {
            socket.set_read_timeout(Some(PATIENCE)).doing("a time-out for a message")?;
            while message != self.message {
                socket.read_exact(&mut message).doing("a first message")?;
            }
            message.fill(0);
        }
        Ok(())
    }

    fn publish_blocking(&mut self) -> Result<(), Error> {
        self.number_message();
        self.publisher().write_all(&self.message).doing("publishing")
    }

    fn publisher(&self) -> &TcpStream {
        self.publisher.as_ref().unwrap_or(&self.sockets[0])
    }

    fn number_message(&mut self) {
        self.sequence += 1;
        self.message[..8].copy_from_slice(&self.sequence.to_le_bytes());
    }

    fn publish(&mut self, queue: &mut Queue<'_>) {
        for index in 0..self.sockets.len() {
            let buffer = &mut self.received[index * self.shape.bytes..(index + 1) * self.shape.bytes];
            let fd = Fd(self.sockets[index].as_raw_fd());
            let recv = opcode::Recv::new(fd, buffer.as_mut_ptr(), self.shape.bytes as u32).flags(libc::MSG_WAITALL);
            queue.push(&recv.build().user_data(index as u64));
        }
        self.missing = self.sockets.len();
        self.number_message();
        self.since = queue.now;
        let send = opcode::Send::new(Fd(self.publisher().as_raw_fd()), self.message.as_ptr(), self.shape.bytes as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        queue.push_silent(&send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND));
    }
}

/// Waits for bytes for a moment. Members that have joined read nothing meanwhile, so there must not be too many messages.
fn gets_bytes(socket: &TcpStream) -> Result<bool, Error> {
    const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&MOMENT)).doing("a first message")?;
    Ok(ready > 0)
}

impl Driver for Members {
    fn start(&mut self, queue: &mut Queue<'_>) -> Result<(), Error> {
        self.publish(queue);
        Ok(())
    }

    fn took(&mut self, completion: &cqueue::Entry, queue: &mut Queue<'_>, tally: &mut Tally) -> Result<(), Error> {
        let len = bytes(completion, "recv or send")?;
        let index = completion.user_data() as usize;
        let got = self.received.chunks_exact(self.shape.bytes).nth(index);
        if len != self.shape.bytes || got != Some(&self.message) {
            return Err(Error::failed(format!("a wrong message of {len} bytes to member {index}")));
        }
        self.missing -= 1;
        if self.missing == 0 {
            tally.count(self.shape.units, self.since, queue.now);
            if !queue.is_closed() {
                self.publish(queue);
            }
        }
        Ok(())
    }
}
