//! Sink: counts what comes in; the count is sent when it ends.

use super::{Connection, Next, PATIENCE, Work};
use rustix::event::epoll::EventFlags;
use std::os::fd::OwnedFd;

pub(super) struct Sink {
    buffer: Box<[u8]>,
}

impl Sink {
    pub(super) fn new(read_buffer: usize) -> Sink {
        Sink { buffer: vec![0; read_buffer].into() }
    }
}

impl Work for Sink {
    /// The bytes that have come in.
    type State = u64;
    const EVENTS: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

    fn go_on(&mut self, _: &OwnedFd, connection: &mut Connection<u64>, to_the_end: bool) -> Next {
        for _ in 0..PATIENCE {
            match connection.read(&mut self.buffer) {
                Ok(0) => {
                    // Nothing was sent before, so there is room.
                    let _ = connection.write(&connection.state.to_le_bytes());
                    return Next::Close;
                }
                Ok(len) => {
                    connection.state += len as u64;
                    if len < self.buffer.len() && !to_the_end {
                        return Next::Event;
                    }
                }
                Err(next) => return next,
            }
        }
        Next::MoreAtOnce
    }
}
