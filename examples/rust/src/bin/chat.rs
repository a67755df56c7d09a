//! `chat ADDRESS`: a line that one member sends goes to all others.
//!
//! A message is one `Arc<[u8]>`, however many it is sent to; whichever send completes last frees it. A member that reads
//! too slowly has `MAX_WAITING` messages queued and no more: the next one ends it, so that nobody waits for it and nobody's
//! memory grows.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Error, ErrorCode, Farewell, Handler, Options, PortHandle, ReadBuffer, Sent, SocketHandle};
use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages that may wait for one member.
const MAX_WAITING: u32 = 64;
/// Bytes of a line, its end included.
const MAX_LINE: usize = 512;

#[derive(Default)]
struct Chat {
    members: Mutex<HashSet<SocketHandle>>,
    joined: AtomicU64,
}

struct Member {
    number: u64,
    /// The line of which the end has not come yet.
    line: Vec<u8>,
}

impl Member {
    /// Adds what came in to the line, and whole lines to `text`; false if a line is too long.
    fn take(&mut self, received: &[u8], text: &mut Vec<u8>) -> bool {
        for piece in received.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > MAX_LINE {
                return false;
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                text.extend_from_slice(format!("guest-{}: ", self.number).as_bytes());
                // No control characters: nobody drives another's terminal.
                text.extend(self.line.drain(..).filter(|byte| !byte.is_ascii_control()));
                text.push(b'\n');
            }
        }
        true
    }
}

impl Chat {
    fn members(&self) -> MutexGuard<'_, HashSet<SocketHandle>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one message to all members but one. The lock may be held in this: an issue call never runs a callback.
    fn tell_others(&self, port: &PortHandle<Chat>, from: SocketHandle, text: impl Into<Arc<[u8]>>) {
        let message = text.into();
        for member in self.members().iter().filter(|member| **member != from) {
            let refused = port.send(*member, message.clone(), ()).err();
            if refused.is_some_and(|refused| refused.error.code() == ErrorCode::QueueFull) {
                // Too slow. Its farewell takes it off the list; until then it is ending, and further sends are refused.
                let _ = port.abort(*member);
            }
        }
    }
}

impl Handler for Chat {
    type Listener = ();
    type Socket = Member;
    type Write = ();

    fn accept(&self, context: &Context<'_, Chat>, (): &()) -> Option<Member> {
        let number = self.joined.fetch_add(1, Ordering::Relaxed) + 1;
        context.send(format!("* you are guest-{number}\n"), ()).ok()?;
        context.recv().ok()?;
        // On the list last: who is on it gets a farewell, which takes it off again.
        self.members().insert(context.handle());
        self.tell_others(context.port(), context.handle(), format!("* guest-{number} has joined\n").into_bytes());
        Some(Member { number, line: Vec::new() })
    }

    // An issue call here is refused only if the socket is ending already; its farewell is then on the way.
    fn recv(&self, context: &Context<'_, Chat>, member: &mut Member, received: Result<ReadBuffer, Error>) {
        let Some(buffer) = received.ok().filter(|buffer| !buffer.is_empty()) else {
            let _ = context.close();
            return;
        };
        // Many lines that came together leave together: one send a member, however short the lines are.
        let mut text = Vec::new();
        let fits = member.take(&buffer, &mut text);
        if !text.is_empty() {
            self.tell_others(context.port(), context.handle(), text);
        }
        if fits {
            let _ = context.recv();
        } else {
            let _ = context.send("* that line is too long\n", ());
            let _ = context.close();
        }
    }

    fn send(&self, _: &Context<'_, Chat>, _: &mut Member, _: Sent<()>) {}

    fn error(&self, context: &Context<'_, Chat>, member: Member, _: Farewell) {
        self.members().remove(&context.handle());
        let text = format!("* guest-{} has left\n", member.number);
        self.tell_others(context.port(), context.handle(), text.into_bytes());
    }
}

fn main() -> ExitCode {
    socket_iocp_examples::run("chat ADDRESS", |[address]| {
        let options = Options::new(4 << 10).max_queued_sends(MAX_WAITING);
        socket_iocp_examples::serve(Chat::default(), options, &address)
    })
}
