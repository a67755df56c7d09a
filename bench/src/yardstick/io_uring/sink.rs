//! Sink: counts what comes in; the count is sent when it ends.

use super::Work;
use super::ring::{Ring, Socket};
use crate::error::Error;

pub(super) struct Sink {
    /// Bytes of each connection; as they are sent, when it is over.
    totals: Box<[[u8; 8]]>,
}

impl Sink {
    pub(super) fn new(sockets: u32) -> Sink {
        Sink { totals: vec![[0; 8]; sockets as usize].into() }
    }
}

impl Work for Sink {
    fn accepted(&mut self, ring: &mut Ring<'_>, socket: Socket) -> Result<(), Error> {
        self.totals[socket as usize] = [0; 8];
        ring.recv(socket)
    }

    fn received(&mut self, ring: &mut Ring<'_>, socket: Socket, buffer: u16, len: usize) -> Result<(), Error> {
        let total = &mut self.totals[socket as usize];
        *total = (u64::from_le_bytes(*total) + len as u64).to_le_bytes();
        ring.buffers.provide(buffer);
        ring.recv(socket)
    }

    fn finished(&mut self, ring: &mut Ring<'_>, socket: Socket) -> Result<(), Error> {
        let total = &raw const self.totals[socket as usize][..];
        // SAFETY: it is of use again after the connection's close only, and never freed.
        unsafe { ring.send(socket, total, 0) }
    }

    fn sent(&mut self, ring: &mut Ring<'_>, socket: Socket, _: u16, _: bool) -> Result<(), Error> {
        ring.close(socket)
    }
}
