//! Echo: each read buffer is sent back from where it lies.

use super::Work;
use super::ring::{Ring, Socket};
use crate::error::Error;

/// A connection needs no memory: it has one operation under way, and its `user_data` says all.
pub(super) struct Echo;

impl Work for Echo {
    fn received(&mut self, ring: &mut Ring<'_>, socket: Socket, buffer: u16, len: usize) -> Result<(), Error> {
        let bytes = &raw const *ring.buffers.bytes(buffer, len);
        // SAFETY: the buffer is provided again only when this has completed.
        unsafe { ring.send(socket, bytes, buffer) }
    }

    fn sent(&mut self, ring: &mut Ring<'_>, socket: Socket, buffer: u16, _: bool) -> Result<(), Error> {
        ring.buffers.provide(buffer);
        // If it was not all, the connection has ended, and the recv says so.
        ring.recv(socket)
    }
}
