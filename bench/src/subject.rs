//! The subject: the echo on the public API of socket-iocp, with one worker.

use crate::READ_BUFFER_SIZE;
use crate::error::Error;
use socket_iocp::{BackendKind, Context, Farewell, Handler, Options, Port, ReadBuffer, Sent, Statistics};
use std::net::TcpListener;
use std::sync::mpsc;

/// Connections that the port takes ahead of their accept callback.
const ACCEPT_BACKLOG: usize = 64;

/// Sends each read buffer back from where it lies; the next recv is issued when it is sent.
#[derive(Debug)]
pub(crate) struct Echo {
    /// Called on the worker's thread for each connection.
    on_worker: fn(),
    ended: mpsc::Sender<()>,
}

// A call that is refused ends the connection, and so shows as a missing echo.
impl Handler for Echo {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Echo>, _: &()) -> Option<()> {
        (self.on_worker)();
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

/// What the port is made with.
pub(crate) fn options(kind: BackendKind) -> Options {
    Options::new(READ_BUFFER_SIZE).threads(1).backend(kind)
}

/// A port that echoes what comes in through the listener, and a channel that tells of each connection's farewell.
/// `on_worker` is called on the worker's thread when a connection comes.
pub(crate) fn open(
    options: Options,
    listener: TcpListener,
    on_worker: fn(),
) -> Result<(Port<Echo>, mpsc::Receiver<()>), Error> {
    let (ended, farewells) = mpsc::channel();
    let port = Port::new(Echo { on_worker, ended }, options)
        .map_err(|error| Error::cannot_start(format!("a port: {error}")))?;
    port.add_listener(listener, ACCEPT_BACKLOG, ())
        .map_err(|refused| Error::cannot_start(format!("a listener: {}", refused.error)))?;
    Ok((port, farewells))
}

/// Echoes until this many connections have ended. Returns what the port counted.
pub(crate) fn serve(
    options: Options,
    listener: TcpListener,
    connections: usize,
    on_worker: fn(),
) -> Result<Statistics, Error> {
    let (port, farewells) = open(options, listener, on_worker)?;
    let ended = farewells.iter().take(connections).count();
    assert_eq!(ended, connections, "the port holds the other end of the channel");
    Ok(port.statistics())
}
