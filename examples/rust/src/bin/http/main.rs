//! `http ADDRESS DIRECTORY`: serves the files below a directory over HTTP/1.1, with keep-alive and pipelining.
//!
//! A connection has one send buffer, which goes round: when its send completes it comes back, is filled with what is next
//! (a piece of the file that is being sent, the responses to the requests that are waiting) and leaves again by a sync send.
//! A recv is issued only when there is nothing left to send. So responses keep the order of their requests, a large file is
//! never in memory as a whole, and a client that does not read is not read from.
//!
//! Files are read in the callbacks, which holds up a worker for as long as the disk takes; a server for slow disks would
//! read them on threads of its own and issue the sends from there. A connection on which nothing moves for a minute is reset.

#![forbid(unsafe_code)]

mod files;
mod request;
mod response;

use files::{Body, Root};
use request::Request;
use socket_iocp::{Context, Error, Farewell, Handler, Options, ReadBuffer, Sent};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// Bytes of one send at most, but for the head of a response that begins just below it.
const PIECE: usize = 64 << 10;
/// How long a client may say nothing, or read nothing of what it is sent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of each of its buffers that an idle connection keeps.
const IDLE_CAPACITY: usize = 1 << 10;

struct Http {
    root: Root,
}

#[derive(Default)]
struct Connection {
    /// What has come in and is not answered yet.
    requests: Vec<u8>,
    /// The file whose head has been sent, up to its end.
    body: Option<Body>,
    /// What is to be sent next; empty while it is being sent.
    out: Vec<u8>,
    /// No request is read after this one.
    last: bool,
}

impl Connection {
    /// Fills the send buffer as far as the requests that are here give something to send.
    fn fill(&mut self, root: &Root) -> io::Result<()> {
        let mut answered = 0;
        while self.out.len() < PIECE {
            if let Some(body) = &mut self.body {
                body.read_piece(&mut self.out, PIECE)?;
                if body.is_at_end() {
                    self.body = None;
                }
            } else if self.last {
                break;
            } else {
                match request::parse(&self.requests[answered..]) {
                    Ok(None) => break,
                    Ok(Some(request)) => {
                        answered += request.length;
                        self.answer(root, request);
                    }
                    Err(status) => {
                        self.last = true;
                        response::error(&mut self.out, status, false, true);
                    }
                }
            }
        }
        self.requests.drain(..answered);
        Ok(())
    }

    fn answer(&mut self, root: &Root, request: Request) {
        self.last = request.last;
        match request.path.and_then(|path| Ok((root.open(&path)?, path))) {
            Ok((body, path)) => {
                response::head(&mut self.out, &path, body.left(), self.last);
                self.body = Some(body).filter(|body| !request.head_only && !body.is_at_end());
            }
            Err(status) => response::error(&mut self.out, status, request.head_only, self.last),
        }
    }
}

impl Http {
    /// Sends what there is to send; else ends the connection, or waits for a request.
    ///
    /// An issue call is refused only if the socket is ending already; its farewell is then on the way.
    fn go_on(&self, context: &Context<'_, Http>, connection: &mut Connection) {
        if connection.fill(&self.root).is_err() {
            // The file got shorter, or cannot be read: only a reset tells the client that the rest will not come.
            let _ = context.abort();
        } else if !connection.out.is_empty() {
            let _ = context.sync_send(std::mem::take(&mut connection.out), ());
        } else if connection.last {
            // What the client still sends is read and discarded, so that it is not a reset that destroys the response.
            let _ = context.close();
        } else {
            connection.out.shrink_to(IDLE_CAPACITY);
            if connection.requests.is_empty() {
                // Not while a request comes in pieces: each of them would have it moved.
                connection.requests.shrink_to(IDLE_CAPACITY);
            }
            let _ = context.recv();
        }
    }
}

impl Handler for Http {
    type Listener = ();
    type Socket = Connection;
    type Write = ();

    fn accept(&self, context: &Context<'_, Http>, (): &()) -> Option<Connection> {
        context.recv().ok()?;
        Some(Connection::default())
    }

    fn recv(&self, context: &Context<'_, Http>, connection: &mut Connection, received: Result<ReadBuffer, Error>) {
        match received {
            Ok(buffer) if !buffer.is_empty() => connection.requests.extend_from_slice(&buffer),
            _ => connection.last = true,
        }
        self.go_on(context, connection);
    }

    fn send(&self, context: &Context<'_, Http>, connection: &mut Connection, sent: Sent<()>) {
        if sent.result.is_ok() {
            connection.out = sent.buffer.into_vec().unwrap_or_default();
            connection.out.clear();
            self.go_on(context, connection);
        }
    }

    fn error(&self, _: &Context<'_, Http>, _: Connection, _: Farewell) {}
}

fn main() -> ExitCode {
    socket_iocp_examples::run("http ADDRESS DIRECTORY", |[address, directory]| {
        let root = Root::open_directory(directory.as_ref())
            .map_err(|error| format!("cannot serve {}: {error}", directory.display()))?;
        let options = Options::new(4 << 10).idle_timeout(IDLE_TIMEOUT);
        socket_iocp_examples::serve(Http { root }, options, &address)
    })
}
