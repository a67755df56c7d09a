//! Source: sends one piece again and again until the client goes.

use super::{Connection, Next, PATIENCE, Work};
use crate::works::source_piece;
use rustix::event::epoll::EventFlags;
use std::os::fd::OwnedFd;

pub(super) struct Source {
    piece: Vec<u8>,
}

impl Source {
    pub(super) fn new(at_least: usize) -> Source {
        Source { piece: source_piece(at_least) }
    }
}

impl Work for Source {
    /// Bytes of the piece that are sent.
    type State = usize;
    const EVENTS: EventFlags = EventFlags::OUT.union(EventFlags::ET);

    fn go_on(&mut self, _: &OwnedFd, connection: &mut Connection<usize>, _: bool) -> Next {
        for _ in 0..PATIENCE {
            match connection.write(&self.piece[connection.state..]) {
                Ok(sent) if connection.state + sent == self.piece.len() => connection.state = 0,
                Ok(sent) => {
                    connection.state += sent;
                    return Next::Event;
                }
                Err(next) => return next,
            }
        }
        Next::MoreAtOnce
    }
}
