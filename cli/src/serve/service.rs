//! The callbacks of the three services.

use clap::ValueEnum;
use socket_iocp::{Context, Error, ErrorCode, Farewell, Handler, PortHandle, ReadBuffer, Sent};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

/// Which service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ServiceKind {
    /// Sends back what comes, from the buffer in which it came
    Echo,
    /// Reads and drops what comes
    Discard,
    /// Sends lines of characters as fast as they are read (RFC 864)
    Chargen,
}

/// What the serving threads tell the main thread.
#[derive(Debug)]
pub enum Event {
    /// Ctrl-C, or what asks the same.
    Interrupt,
    /// The port has been shut down.
    Over,
    /// The listen socket's farewell: the port is being shut down, or it has failed.
    ListenerGone(Result<(), Error>),
}

/// A server's callbacks.
#[derive(Debug)]
pub struct Service {
    kind: ServiceKind,
    /// Echo reads on while its answers are queued.
    reads_on: bool,
    notices: Sender<Event>,
    /// Chargen, which has always more to say, is to come to an end.
    finishes: AtomicBool,
}

impl Service {
    pub fn new(kind: ServiceKind, notices: Sender<Event>) -> Service {
        Service { kind, reads_on: false, notices, finishes: AtomicBool::new(false) }
    }

    /// Echo queues its answers, up to the limits of its port, and reads on meanwhile.
    pub fn reading_on(self) -> Service {
        Service { reads_on: true, ..self }
    }

    /// From now on each connection says no more than it has to: the port is being shut down.
    pub fn finish(&self) {
        self.finishes.store(true, Ordering::Relaxed);
    }

    /// Chargen's next lines.
    fn go_on(&self, context: &Context<'_, Self>) -> Result<(), Error> {
        if self.finishes.load(Ordering::Relaxed) { context.close() } else { send_lines(context) }
    }

    fn first_operations(&self, context: &Context<'_, Self>) -> Result<(), Error> {
        if self.kind == ServiceKind::Chargen {
            send_lines(context)?;
        }
        context.recv()
    }

    /// Sends back what came. A client that does not read is not read from: either the next recv is issued when this send
    /// has completed, or, where answers are queued, when there is room for one more.
    fn echo(&self, context: &Context<'_, Self>, held: &mut Held, bytes: ReadBuffer) -> Result<(), Error> {
        if !self.reads_on {
            return context.sync_send(bytes, ()).map_err(|refused| refused.error);
        }
        match context.send(bytes, ()) {
            Ok(()) => context.recv(),
            Err(refused) if refused.error.code() == ErrorCode::QueueFull => {
                *held = refused.buffer.into_read_buffer().ok();
                Ok(())
            }
            Err(refused) => Err(refused.error),
        }
    }

    /// What follows an answer of echo that has been sent.
    fn echoed(&self, context: &Context<'_, Self>, held: &mut Held) -> Result<(), Error> {
        match held.take() {
            Some(bytes) => self.echo(context, held, bytes),
            None if self.reads_on => Ok(()),
            None => context.recv(),
        }
    }
}

/// What came in while the queue of answers was full. No recv is outstanding then.
type Held = Option<ReadBuffer>;

fn send_lines(context: &Context<'_, Service>) -> Result<(), Error> {
    context.sync_send(&LINES, ()).map_err(|refused| refused.error)
}

/// Ends a connection whose next operation was refused; if it is ending already, its farewell comes anyway.
fn end_if_refused(context: &Context<'_, Service>, issued: Result<(), Error>) {
    if issued.is_err_and(|error| error.code() != ErrorCode::Closed) {
        let _ = context.abort();
    }
}

impl Handler for Service {
    type Listener = ();
    type Socket = Held;
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<Held> {
        self.first_operations(context).ok()?;
        Some(None)
    }

    fn recv(&self, context: &Context<'_, Self>, held: &mut Held, received: Result<ReadBuffer, Error>) {
        let Ok(bytes) = received else { return };
        let issued = if bytes.is_empty() {
            context.close()
        } else if self.kind == ServiceKind::Echo {
            self.echo(context, held, bytes)
        } else {
            drop(bytes);
            context.recv()
        };
        end_if_refused(context, issued);
    }

    fn send(&self, context: &Context<'_, Self>, held: &mut Held, sent: Sent<()>) {
        drop(sent.buffer);
        if sent.result.is_err() {
            return;
        }
        let issued = match self.kind {
            ServiceKind::Echo => self.echoed(context, held),
            ServiceKind::Discard => Ok(()),
            ServiceKind::Chargen => self.go_on(context),
        };
        end_if_refused(context, issued);
    }

    fn error(&self, _: &Context<'_, Self>, _: Held, _: Farewell) {}

    fn listen_error(&self, _: &PortHandle<Self>, _: &(), reason: Result<(), Error>) {
        // Nobody listens any more only when the server is being taken down.
        let _ = self.notices.send(Event::ListenerGone(reason));
    }
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServiceKind::Echo => "echo",
            ServiceKind::Discard => "discard",
            ServiceKind::Chargen => "chargen",
        })
    }
}

/// The printable characters of ASCII, space to tilde.
const CHARACTERS: usize = 95;
const LINE_WIDTH: usize = 72;
const LINE_BYTES: usize = LINE_WIDTH + 2;

/// One round of RFC 864's pattern: each line starts one character further, and after the last the first follows.
static LINES: [u8; CHARACTERS * LINE_BYTES] = lines();

const fn lines() -> [u8; CHARACTERS * LINE_BYTES] {
    let mut lines = [0; CHARACTERS * LINE_BYTES];
    let mut at = 0;
    while at < lines.len() {
        let (line, column) = (at / LINE_BYTES, at % LINE_BYTES);
        lines[at] = match column {
            LINE_WIDTH => b'\r',
            column if column > LINE_WIDTH => b'\n',
            column => b' ' + ((line + column) % CHARACTERS) as u8,
        };
        at += 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_the_rfc() {
        let text = std::str::from_utf8(&LINES).expect("ASCII");
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), CHARACTERS);
        assert!(lines.iter().all(|line| line.len() == LINE_WIDTH));
        assert!(lines[0].starts_with(" !\"#$%&'()*+,-./0123456789:;<=>?@ABC"), "{}", lines[0]);
        assert!(lines[1].starts_with("!\"#"), "{}", lines[1]);
        assert!(lines[94].starts_with("~ !"), "{}", lines[94]);
    }
}
