//! Wake: a thread sends, waits until a worker has the answer, and sends the next.

use super::end_if_refused;
use crate::messages::Messages;
use crate::works::WAKE_BYTES;
use socket_iocp::{Context, Error, Farewell, Handler, PortHandle, ReadBuffer, Sent, SocketHandle};
use std::sync::mpsc::{self, Receiver, Sender};

pub(super) struct Wake {
    /// Takes the connections that are to be sent to.
    thread: Sender<SocketHandle>,
}

impl Wake {
    pub(super) fn new() -> (Wake, Receiver<SocketHandle>) {
        let (thread, due) = mpsc::channel();
        (Wake { thread }, due)
    }

    fn is_due(&self, context: &Context<'_, Wake>) {
        // The thread listens for as long as the port holds this end of the channel.
        let _ = self.thread.send(context.handle());
    }
}

impl Handler for Wake {
    type Listener = ();
    type Socket = Messages<WAKE_BYTES>;
    type Write = ();

    fn accept(&self, context: &Context<'_, Wake>, (): &()) -> Option<Messages<WAKE_BYTES>> {
        context.recv().ok()?;
        self.is_due(context);
        Some(Messages::default())
    }

    fn recv(
        &self,
        context: &Context<'_, Wake>,
        answers: &mut Messages<WAKE_BYTES>,
        received: Result<ReadBuffer, Error>,
    ) {
        let Some(buffer) = received.ok().filter(|buffer| !buffer.is_empty()) else {
            return end_if_refused(context, context.close());
        };
        answers.take(&buffer, |_| self.is_due(context));
        end_if_refused(context, context.recv());
    }

    fn send(&self, _: &Context<'_, Wake>, _: &mut Messages<WAKE_BYTES>, _: Sent<()>) {}

    fn error(&self, _: &Context<'_, Wake>, _: Messages<WAKE_BYTES>, _: Farewell) {}
}

/// The thread: sends a message when a connection has come, and the next when the last has been answered.
pub(super) fn wake(port: &PortHandle<Wake>, due: &Receiver<SocketHandle>) {
    for connection in due {
        // It is refused if the connection is ending. An async send: the answer may come before a sync send is reported.
        let _ = port.send(connection, &[b'w'; WAKE_BYTES], ());
    }
}
