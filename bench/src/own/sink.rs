//! Sink: counts what comes in, and tells the count when it ends.

use super::end_if_refused;
use socket_iocp::{Context, Error, Farewell, Handler, ReadBuffer, Sent};

pub(super) struct Sink;

impl Handler for Sink {
    type Listener = ();
    /// The bytes that have come in.
    type Socket = u64;
    type Write = ();

    fn accept(&self, context: &Context<'_, Sink>, (): &()) -> Option<u64> {
        context.recv().ok().map(|()| 0)
    }

    fn recv(&self, context: &Context<'_, Sink>, total: &mut u64, received: Result<ReadBuffer, Error>) {
        match received {
            Ok(buffer) if !buffer.is_empty() => {
                *total += buffer.len() as u64;
                // Given back first, so that the next recv can have it.
                drop(buffer);
                end_if_refused(context, context.recv());
            }
            _ => {
                // A close sends what is queued.
                end_if_refused(context, context.send(total.to_le_bytes().to_vec(), ()));
                end_if_refused(context, context.close());
            }
        }
    }

    fn send(&self, _: &Context<'_, Sink>, _: &mut u64, _: Sent<()>) {}

    fn error(&self, _: &Context<'_, Sink>, _: u64, _: Farewell) {}
}
