//! The subject: the echo on the public API of socket-iocp, with one worker.

use crate::READ_BUFFER_SIZE;
use crate::child::Outcome;
use crate::error::Error;
use socket_iocp::{BackendKind, Context, Farewell, Handler, Options, Port, ReadBuffer, Sent};
use std::net::TcpListener;
use std::sync::mpsc;

/// Connections that the port takes ahead of their accept callback.
const ACCEPT_BACKLOG: usize = 64;

/// Sends each read buffer back from where it lies; the next recv is issued when it is sent.
#[derive(Debug)]
pub(crate) struct Echo {
    ended: mpsc::Sender<()>,
}

impl Echo {
    /// The echo, and a channel that tells of each connection's farewell.
    fn new() -> (Echo, mpsc::Receiver<()>) {
        let (ended, farewells) = mpsc::channel();
        (Echo { ended }, farewells)
    }
}

// A call that is refused ends the connection, and so shows as a missing echo.
impl Handler for Echo {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Echo>, _: &()) -> Option<()> {
        context.recv().ok()
    }

    fn recv(&self, context: &Context<'_, Echo>, _: &mut (), received: Result<ReadBuffer, socket_iocp::Error>) {
        let going_on = match received {
            Ok(buffer) if !buffer.is_empty() => context.sync_send(buffer, ()).is_ok(),
            _ => false,
        };
        if !going_on {
            // An error means that the socket is ending already.
            let _ = context.close();
        }
    }

    fn send(&self, context: &Context<'_, Echo>, _: &mut (), sent: Sent<()>) {
        drop(sent.buffer);
        if sent.result.is_ok() && context.recv().is_err() {
            let _ = context.close();
        }
    }

    fn error(&self, _: &Context<'_, Echo>, _: (), _: Farewell) {
        // Nobody listens when the bench is over.
        let _ = self.ended.send(());
    }
}

/// A port that echoes what comes in through the listener.
pub(crate) fn open(kind: BackendKind, listener: TcpListener) -> Result<(Port<Echo>, mpsc::Receiver<()>), Error> {
    let (echo, farewells) = Echo::new();
    let port = Port::new(echo, Options::new(READ_BUFFER_SIZE).threads(1).backend(kind))
        .map_err(|error| Error::cannot_start(format!("a port on {}: {error}", kind.name())))?;
    port.add_listener(listener, ACCEPT_BACKLOG, ())
        .map_err(|refused| Error::cannot_start(format!("a listener: {}", refused.error)))?;
    Ok((port, farewells))
}

/// Echoes until this many connections have ended.
pub(crate) fn serve(kind: BackendKind, listener: TcpListener, connections: usize) -> Result<Outcome, Error> {
    let (port, farewells) = open(kind, listener)?;
    let ended = farewells.iter().take(connections).count();
    assert_eq!(ended, connections, "the port holds the other end of the channel");
    let statistics = port.statistics();
    Ok(Outcome { waits: statistics.waits, messages: statistics.sends })
}
