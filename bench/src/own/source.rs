//! Source: sends one piece again and again until the client goes.

use super::end_if_refused;
use crate::works::source_piece;
use socket_iocp::{Context, Error, Farewell, Handler, ReadBuffer, Sent};
use std::sync::Arc;

pub(super) struct Source {
    piece: Arc<[u8]>,
}

impl Source {
    pub(super) fn new(at_least: usize) -> Source {
        Source { piece: source_piece(at_least).into() }
    }
}

impl Handler for Source {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Source>, (): &()) -> Option<()> {
        context.sync_send(self.piece.clone(), ()).ok()
    }

    fn recv(&self, _: &Context<'_, Source>, (): &mut (), _: Result<ReadBuffer, Error>) {
        unreachable!("none is issued");
    }

    fn send(&self, context: &Context<'_, Source>, (): &mut (), sent: Sent<()>) {
        // The client's end is a failed send, which ends the connection.
        if sent.result.is_ok() {
            end_if_refused(context, context.sync_send(sent.buffer, ()));
        }
    }

    fn error(&self, _: &Context<'_, Source>, (): (), _: Farewell) {}
}
