//! The echo on the public API of socket-iocp.

use socket_iocp::{Context, Farewell, Handler, ReadBuffer, Sent};

/// Sends each read buffer back from where it lies; the next recv is issued when it is sent.
#[derive(Debug)]
pub(crate) struct Echo<W>(pub(crate) W);

/// Who else is told of an echo's connections, on the worker's thread.
pub(crate) trait Watch: Send + Sync + 'static {
    fn accepted(&self) {}
    fn ended(&self) {}
}

impl Watch for () {}

// A call that is refused ends the connection, and so shows as a missing echo.
impl<W: Watch> Handler for Echo<W> {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, (): &()) -> Option<()> {
        self.0.accepted();
        context.recv().ok()
    }

    fn recv(&self, context: &Context<'_, Self>, (): &mut (), received: Result<ReadBuffer, socket_iocp::Error>) {
        let going_on = match received {
            Ok(buffer) if !buffer.is_empty() => context.sync_send(buffer, ()).is_ok(),
            _ => false,
        };
        if !going_on {
            // An error means that the socket is ending already.
            let _ = context.close();
        }
    }

    fn send(&self, context: &Context<'_, Self>, (): &mut (), sent: Sent<()>) {
        drop(sent.buffer);
        if sent.result.is_ok() && context.recv().is_err() {
            let _ = context.close();
        }
    }

    fn error(&self, _: &Context<'_, Self>, (): (), _: Farewell) {
        self.0.ended();
    }
}
