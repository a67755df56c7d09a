//! Streams into a server and out of it.

use super::super::workload::{STREAM_UNIT, Shape};
use super::{Driver, PATIENCE, Queue, Tally, bytes, connect};
use crate::error::{Doing, Error};
use crate::works::SOURCE_PERIOD;
use io_uring::types::Fd;
use io_uring::{cqueue, opcode};
use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

/// Streams into the server, which tells at the end how much it got.
pub(super) struct Upload {
    sockets: Vec<TcpStream>,
    piece: Vec<u8>,
    /// Bytes that each has sent.
    sent: Vec<u64>,
    units: Units,
}

/// Bytes that do not make up a unit yet.
#[derive(Default)]
struct Units {
    rest: usize,
}

impl Units {
    fn of(&mut self, len: usize) -> u64 {
        self.rest += len;
        let units = self.rest / STREAM_UNIT;
        self.rest %= STREAM_UNIT;
        units as u64
    }
}

impl Upload {
    pub(super) fn connect(address: SocketAddr, shape: Shape) -> Result<Upload, Error> {
        let sockets = (0..shape.connections).map(|number| connect(address, number)).collect::<Result<_, _>>()?;
        let piece = vec![7; shape.bytes];
        Ok(Upload { sockets, piece, sent: vec![0; shape.connections], units: Units::default() })
    }

    fn send(&self, index: usize, queue: &mut Queue<'_>) {
        let fd = Fd(self.sockets[index].as_raw_fd());
        let send = opcode::Send::new(fd, self.piece.as_ptr(), self.piece.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        queue.push(&send.build().user_data(index as u64));
    }
}

impl Driver for Upload {
    fn start(&mut self, queue: &mut Queue<'_>) -> Result<(), Error> {
        (0..self.sockets.len()).for_each(|index| self.send(index, queue));
        Ok(())
    }

    fn took(&mut self, completion: &cqueue::Entry, queue: &mut Queue<'_>, tally: &mut Tally) -> Result<(), Error> {
        let (len, index) = (bytes(completion, "send")?, completion.user_data() as usize);
        self.sent[index] += len as u64;
        tally.units += self.units.of(len);
        if !queue.is_closed() {
            self.send(index, queue);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        for (mut socket, sent) in self.sockets.iter().zip(&self.sent) {
            socket.shutdown(Shutdown::Write).doing("shutdown")?;
            socket.set_read_timeout(Some(PATIENCE)).doing("a time-out for the count")?;
            let mut count = [0; 8];
            socket.read_exact(&mut count).doing("the server's count of bytes")?;
            if u64::from_le_bytes(count) != *sent {
                return Err(Error::failed(format!("{} of {sent} bytes have arrived", u64::from_le_bytes(count))));
            }
        }
        Ok(())
    }
}

/// Streams out of the server.
pub(super) struct Download {
    sockets: Vec<TcpStream>,
    shape: Shape,
    received: Vec<u8>,
    /// A period of the stream again and again: from any of its places on there is a whole read of it.
    pattern: Vec<u8>,
    /// Where in its period each stream is.
    places: Vec<usize>,
    units: Units,
}

impl Download {
    pub(super) fn connect(address: SocketAddr, shape: Shape) -> Result<Download, Error> {
        let sockets = (0..shape.connections).map(|number| connect(address, number)).collect::<Result<_, _>>()?;
        Ok(Download {
            sockets,
            shape,
            received: vec![0; shape.connections * shape.bytes],
            pattern: (0..shape.bytes + SOURCE_PERIOD).map(|at| (at % SOURCE_PERIOD) as u8).collect(),
            places: vec![0; shape.connections],
            units: Units::default(),
        })
    }

    fn recv(&mut self, index: usize, queue: &mut Queue<'_>) {
        let buffer = &mut self.received[index * self.shape.bytes..(index + 1) * self.shape.bytes];
        let fd = Fd(self.sockets[index].as_raw_fd());
        let recv = opcode::Recv::new(fd, buffer.as_mut_ptr(), self.shape.bytes as u32);
        queue.push(&recv.build().user_data(index as u64));
    }
}

impl Driver for Download {
    fn start(&mut self, queue: &mut Queue<'_>) -> Result<(), Error> {
        (0..self.sockets.len()).for_each(|index| self.recv(index, queue));
        Ok(())
    }

    fn took(&mut self, completion: &cqueue::Entry, queue: &mut Queue<'_>, tally: &mut Tally) -> Result<(), Error> {
        let (len, index) = (bytes(completion, "recv")?, completion.user_data() as usize);
        let got = &self.received[index * self.shape.bytes..][..len];
        if len == 0 || got != &self.pattern[self.places[index]..][..len] {
            return Err(Error::failed(format!("{len} wrong bytes in stream {index}")));
        }
        self.places[index] = (self.places[index] + len) % SOURCE_PERIOD;
        tally.units += self.units.of(len);
        if !queue.is_closed() {
            self.recv(index, queue);
        }
        Ok(())
    }
}
