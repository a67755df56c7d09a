//! What the server does: it sends back what comes, until the peer ends the connection.

use socket_iocp::{Context, Error, Farewell, Handler, PortHandle, ReadBuffer, Sent};
use std::convert::Infallible;
use std::sync::mpsc::Sender;

/// Kept with the listener and with every connection, and dropped after their farewells. Nothing is ever sent: the
/// channel is closed when the last of them has gone.
pub type Alive = Sender<Infallible>;

pub struct Echo {
    /// Told of each farewell of the listener.
    pub listener_gone: Sender<()>,
}

impl Handler for Echo {
    type Listener = Alive;
    type Socket = Alive;
    type Write = ();

    // Nobody is refused, also after the listener was taken out of the port: such a connection was taken before.
    fn accept(&self, context: &Context<'_, Echo>, listener: &Alive) -> Option<Alive> {
        context.recv().ok()?;
        Some(listener.clone())
    }

    // An issue call here is refused only if the socket is ending already; its farewell is then on the way.
    fn recv(&self, context: &Context<'_, Echo>, _: &mut Alive, received: Result<ReadBuffer, Error>) {
        let _ = match received {
            Ok(buffer) if !buffer.is_empty() => context.sync_send(buffer, ()).map_err(|refused| refused.error),
            _ => context.close(),
        };
    }

    fn send(&self, context: &Context<'_, Echo>, _: &mut Alive, _: Sent<()>) {
        let _ = context.recv();
    }

    fn error(&self, _: &Context<'_, Echo>, _: Alive, _: Farewell) {}

    fn listen_error(&self, _: &PortHandle<Echo>, _: &Alive, _: Result<(), Error>) {
        // Nobody waits for it when the whole server ends.
        let _ = self.listener_gone.send(());
    }
}
