//! The subject: the echo on the public API of socket-iocp, with one worker.

use crate::READ_BUFFER_SIZE;
use crate::echo::{Echo, Watch};
use crate::error::Error;
use socket_iocp::{BackendKind, Options, Port, Statistics};
use std::net::TcpListener;
use std::sync::mpsc;

/// Connections that the port takes ahead of their accept callback.
const ACCEPT_BACKLOG: usize = 64;

/// Counts the connections that have ended.
#[derive(Debug)]
pub(super) struct Counted {
    /// Called on the worker's thread for each connection.
    on_worker: fn(),
    ended: mpsc::Sender<()>,
}

impl Watch for Counted {
    fn accepted(&self) {
        (self.on_worker)();
    }

    fn ended(&self) {
        // Nobody listens when the bench is over.
        let _ = self.ended.send(());
    }
}

/// What the port is made with.
pub(super) fn options(kind: BackendKind) -> Options {
    Options::new(READ_BUFFER_SIZE).threads(1).backend(kind)
}

/// A port that echoes what comes in through the listener, and a channel that tells of each connection's farewell.
/// `on_worker` is called on the worker's thread when a connection comes.
pub(super) fn open(
    options: Options,
    listener: TcpListener,
    on_worker: fn(),
) -> Result<(Port<Echo<Counted>>, mpsc::Receiver<()>), Error> {
    let (ended, farewells) = mpsc::channel();
    let port = Port::new(Echo(Counted { on_worker, ended }), options)
        .map_err(|error| Error::cannot_start(format!("a port: {error}")))?;
    port.add_listener(listener, ACCEPT_BACKLOG, ())
        .map_err(|refused| Error::cannot_start(format!("a listener: {}", refused.error)))?;
    Ok((port, farewells))
}

/// Echoes until this many connections have ended. Returns what the port counted.
pub(super) fn serve(
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
