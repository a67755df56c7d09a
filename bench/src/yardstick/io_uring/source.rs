//! Source: sends one piece again and again until the client goes.

use super::Work;
use super::ring::{Ring, Socket};
use crate::error::Error;
use crate::works::source_piece;

pub(super) struct Source {
    piece: Vec<u8>,
}

impl Source {
    pub(super) fn new(at_least: usize) -> Source {
        Source { piece: source_piece(at_least) }
    }
}

impl Work for Source {
    fn accepted(&mut self, ring: &mut Ring<'_>, socket: Socket) -> Result<(), Error> {
        // SAFETY: the piece is never changed and never freed.
        unsafe { ring.send(socket, &raw const *self.piece, 0) }
    }

    fn received(&mut self, _: &mut Ring<'_>, _: Socket, _: u16, _: usize) -> Result<(), Error> {
        unreachable!("nothing is read")
    }

    fn sent(&mut self, ring: &mut Ring<'_>, socket: Socket, _: u16, all: bool) -> Result<(), Error> {
        if all { self.accepted(ring, socket) } else { ring.close(socket) }
    }
}
