//! The works in which a connection has nothing to do with the others.

use crate::event_loop::{After, Alone, STEPS_PER_TURN};
use mio::net::TcpStream;
use peer_common::{Intake, tried};
use std::io::{self, Read, Write};
use std::rc::Rc;

/// `echo`, `answer`, `answer-batched`: sends back what comes in.
pub struct Reply {
    intake: Intake,
    /// All that is whole by one write, or each unit by its own.
    together: bool,
}

impl Reply {
    pub fn new(intake: Intake, together: bool) -> Reply {
        Reply { intake, together }
    }

    /// Whether all that is whole has been sent.
    fn send(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        loop {
            let due = if self.together { self.intake.whole() } else { self.intake.first() };
            if due.is_empty() {
                return Ok(true);
            }
            let Some(count) = tried(stream.write(due))? else { return Ok(false) };
            self.intake.done(count);
        }
    }
}

impl Alone for Reply {
    fn turn(&mut self, stream: &mut TcpStream, read_closed: bool) -> io::Result<After> {
        let mut drained = false;
        for _ in 0..STEPS_PER_TURN {
            if !self.send(stream)? || drained {
                return Ok(After::Wait);
            }
            let space = self.intake.space();
            match tried(stream.read(space))? {
                None => return Ok(After::Wait),
                Some(0) => return Ok(After::Gone),
                Some(count) => {
                    drained = count < space.len() && !read_closed;
                    self.intake.received(count);
                }
            }
        }
        Ok(After::Again)
    }
}

pub struct Sink {
    buffer: Vec<u8>,
    total: u64,
}

impl Sink {
    pub fn new(read_buffer: usize) -> Sink {
        Sink { buffer: vec![0; read_buffer], total: 0 }
    }
}

impl Alone for Sink {
    fn turn(&mut self, stream: &mut TcpStream, read_closed: bool) -> io::Result<After> {
        for _ in 0..STEPS_PER_TURN {
            match tried(stream.read(&mut self.buffer))? {
                None => return Ok(After::Wait),
                Some(0) => {
                    // Nothing was sent before, so there is room for them.
                    stream.write_all(&self.total.to_le_bytes())?;
                    return Ok(After::Gone);
                }
                Some(count) => {
                    self.total += count as u64;
                    if count < self.buffer.len() && !read_closed {
                        return Ok(After::Wait);
                    }
                }
            }
        }
        Ok(After::Again)
    }
}

pub struct Source {
    piece: Rc<[u8]>,
    /// What has been sent of the piece.
    sent: usize,
}

impl Source {
    pub fn new(piece: Rc<[u8]>) -> Source {
        Source { piece, sent: 0 }
    }
}

impl Alone for Source {
    fn turn(&mut self, stream: &mut TcpStream, _read_closed: bool) -> io::Result<After> {
        for _ in 0..STEPS_PER_TURN {
            let Some(count) = tried(stream.write(&self.piece[self.sent..]))? else { return Ok(After::Wait) };
            self.sent = (self.sent + count) % self.piece.len();
        }
        Ok(After::Again)
    }
}
