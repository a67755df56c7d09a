//! The works in which a message goes to every connection.

use crate::event_loop::{After, Connection, Connections, Queue, STEPS_PER_TURN, Work};
use peer_common::{Backlog, Intake, MESSAGE_BYTES, read_messages, tried};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

/// The messages of a thread beside the loop.
pub type Published = Arc<Queue<[u8; MESSAGE_BYTES]>>;

pub struct FanOut {
    read_buffer: usize,
    published: Option<Published>,
}

pub struct Member {
    intake: Intake,
    backlog: Backlog,
}

impl FanOut {
    /// With the messages of another thread, if there is one.
    pub fn new(read_buffer: usize, published: Option<Published>) -> FanOut {
        FanOut { read_buffer, published }
    }
}

impl Work for FanOut {
    type State = Member;

    fn open(&mut self, _key: usize) -> Member {
        Member { intake: Intake::new(self.read_buffer, MESSAGE_BYTES), backlog: Backlog::default() }
    }

    fn turn(&mut self, connections: &mut Connections<Member>, key: usize, read_closed: bool) -> io::Result<After> {
        let Connection { stream, state, .. } = &mut connections[key];
        state.backlog.flush(|bytes| stream.write(bytes))?;
        for _ in 0..STEPS_PER_TURN {
            let Connection { stream, state, .. } = &mut connections[key];
            let space = state.intake.space();
            let room = space.len();
            let count = match tried(stream.read(space))? {
                None => return Ok(After::Wait),
                Some(0) => return Ok(After::Gone),
                Some(count) => count,
            };
            state.intake.received(count);
            // Copied, since it goes to the one whose buffer it lies in as well.
            while let Some(message) = connections[key].state.intake.first().first_chunk().copied() {
                publish(connections, &message);
                connections[key].state.intake.done(MESSAGE_BYTES);
            }
            if count < room && !read_closed {
                return Ok(After::Wait);
            }
        }
        Ok(After::Again)
    }

    fn woken(&mut self, connections: &mut Connections<Member>) {
        let messages = self.published.as_ref().map(|published| published.take());
        messages.iter().flatten().for_each(|message| publish(connections, message));
    }
}

/// An error is left for the member's own turn to find.
fn publish(connections: &mut Connections<Member>, message: &[u8; MESSAGE_BYTES]) {
    for (_, Connection { stream, state, .. }) in connections {
        let _ = state.backlog.send(message, |bytes| stream.write(bytes));
    }
}

/// Starts the thread that publishes.
pub fn publish_from_thread(publishers: TcpListener, published: Published) {
    thread::spawn(move || {
        read_messages(&publishers, |message| {
            // It fails when the loop has gone, and the process with it.
            let _ = published.push(message);
        })
    });
}
