//! A thread that has a message sent and waits for its answer.

use crate::event_loop::{After, Connection, Connections, Queue, Work};
use peer_common::{Intake, WAKE_BYTES, exchange, tried};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A message, and the key of its connection.
type Message = (usize, [u8; WAKE_BYTES]);

/// A connection as the thread sees it.
struct Line {
    key: usize,
    answers: Receiver<()>,
}

pub struct Wake {
    lines: Sender<Line>,
    messages: Arc<Queue<Message>>,
}

pub struct Answers {
    intake: Intake,
    to_thread: Sender<()>,
}

impl Wake {
    /// Starts the thread, which waits for connections.
    pub fn start(messages: Arc<Queue<Message>>) -> Wake {
        let (sender, lines) = channel::<Line>();
        let queue = messages.clone();
        thread::spawn(move || {
            for Line { key, answers } in lines {
                exchange(&answers, |message| queue.push((key, message)).is_ok());
            }
        });
        Wake { lines: sender, messages }
    }
}

impl Work for Wake {
    type State = Answers;

    fn open(&mut self, key: usize) -> Answers {
        let (to_thread, answers) = channel();
        // It fails when the thread has gone; then no message comes.
        let _ = self.lines.send(Line { key, answers });
        Answers { intake: Intake::new(WAKE_BYTES, WAKE_BYTES), to_thread }
    }

    /// At most one answer is under way: a read that is whole has drained the socket, unless it is to find the FIN.
    fn turn(&mut self, connections: &mut Connections<Answers>, key: usize, read_closed: bool) -> io::Result<After> {
        let Connection { stream, state, .. } = &mut connections[key];
        loop {
            match tried(stream.read(state.intake.space()))? {
                None => return Ok(After::Wait),
                Some(0) => return Ok(After::Gone),
                Some(count) => state.intake.received(count),
            }
            if !state.intake.whole().is_empty() {
                state.intake.done(WAKE_BYTES);
                // It fails when the thread has gone; then there is nothing to do.
                let _ = state.to_thread.send(());
            }
            if !read_closed {
                return Ok(After::Wait);
            }
        }
    }

    fn woken(&mut self, connections: &mut Connections<Answers>) {
        for (key, message) in self.messages.take() {
            if let Some(Connection { stream, .. }) = connections.get_mut(key) {
                // All that was sent before has been answered, so there is room. An error is left for the connection's turn.
                let _ = stream.write_all(&message);
            }
        }
    }
}
