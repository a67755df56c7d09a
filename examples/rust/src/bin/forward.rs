//! `forward ADDRESS HOST:PORT`: connects each client to the target, and hands on what either says to the other.
//!
//! The target is a host's name, looked up anew for each client, or an address. A connection to it is one more socket of
//! the port. What one of the two sends goes to the other in the buffer that it was received in, and the next is asked
//! for when that has gone: a side that does not read holds up the other, and no memory grows.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Error, Farewell, Handler, Options, PortHandle, ReadBuffer, Sent, SocketHandle};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long the target may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

struct Forward {
    host: String,
    port: u16,
}

/// One of two sockets, with the other's handle. A handle of a socket that has ended does no harm.
struct Side {
    other: SocketHandle,
    /// How many of the two have sent all that they will.
    finished: Arc<AtomicU8>,
}

impl Forward {
    fn connect(&self, port: &PortHandle<Forward>, client: SocketHandle) -> Option<Side> {
        let finished = Arc::new(AtomicU8::new(0));
        let state = Side { other: client, finished: finished.clone() };
        let target = port.connect_host_within(&self.host, self.port, PATIENCE, state).ok()?;
        Some(Side { other: target, finished })
    }
}

impl Handler for Forward {
    type Listener = ();
    type Socket = Side;
    type Write = ();

    fn accept(&self, context: &Context<'_, Forward>, (): &()) -> Option<Side> {
        self.connect(context.port(), context.handle())
    }

    // An issue call here is refused only if its socket is ending already; its farewell is then on the way.
    fn connected(&self, context: &Context<'_, Forward>, side: &mut Side) {
        let _ = context.recv();
        let _ = context.port().recv(side.other);
    }

    fn recv(&self, context: &Context<'_, Forward>, side: &mut Side, received: Result<ReadBuffer, Error>) {
        let port = context.port();
        match received {
            Ok(buffer) if !buffer.is_empty() => {
                if port.send(side.other, buffer, ()).is_err() {
                    let _ = context.abort();
                }
            }
            // The first that has said all leaves the other to finish; then both close.
            _ if side.finished.fetch_add(1, Ordering::Relaxed) == 0 => {
                let _ = port.shutdown_send(side.other);
            }
            _ => {
                let _ = context.close();
                let _ = port.close(side.other);
            }
        }
    }

    /// What has gone to this one came from the other.
    fn send(&self, context: &Context<'_, Forward>, side: &mut Side, sent: Sent<()>) {
        drop(sent.buffer);
        let _ = context.port().recv(side.other);
    }

    /// With one side the other ends, after what is on its way to it.
    fn error(&self, context: &Context<'_, Forward>, side: Side, _: Farewell) {
        let _ = context.port().close(side.other);
    }
}

fn main() -> ExitCode {
    socket_iocp_examples::run("forward ADDRESS HOST:PORT", |[address, target]| {
        let parts = target.to_str().and_then(|text| text.rsplit_once(':'));
        let (host, port) = parts.ok_or("the target is not HOST:PORT")?;
        let port = port.parse().map_err(|error| format!("cannot forward to port {port}: {error}"))?;
        // An IPv6 address stands in brackets there.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let handler = Forward { host, port };
        socket_iocp_examples::serve(handler, Options::new(16 << 10), &address)
    })
}
