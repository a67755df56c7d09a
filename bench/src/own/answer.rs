//! An async send for each request, of a copy, so that an answer costs one block of memory. The next recv is issued when all
//! answers to the last have been sent, so that a client that does not read its answers is not read from.

use super::end_if_refused;
use crate::messages::Messages;
use crate::works::REQUEST_BYTES;
use socket_iocp::{Context, Error, Farewell, Handler, ReadBuffer, Sent};

pub(super) struct Answer;

#[derive(Default)]
pub(super) struct Client {
    requests: Messages<REQUEST_BYTES>,
    /// Answers that are on their way.
    outstanding: usize,
}

impl Handler for Answer {
    type Listener = ();
    type Socket = Client;
    type Write = ();

    fn accept(&self, context: &Context<'_, Answer>, (): &()) -> Option<Client> {
        context.recv().ok()?;
        Some(Client::default())
    }

    fn recv(&self, context: &Context<'_, Answer>, client: &mut Client, received: Result<ReadBuffer, Error>) {
        let Some(buffer) = received.ok().filter(|buffer| !buffer.is_empty()) else {
            return end_if_refused(context, context.close());
        };
        client.requests.take(&buffer, |request| {
            client.outstanding += 1;
            end_if_refused(context, context.send_copy(request, ()));
        });
        if client.outstanding == 0 {
            end_if_refused(context, context.recv());
        }
    }

    fn send(&self, context: &Context<'_, Answer>, client: &mut Client, sent: Sent<()>) {
        client.outstanding -= 1;
        if client.outstanding == 0 && sent.result.is_ok() {
            end_if_refused(context, context.recv());
        }
    }

    fn error(&self, _: &Context<'_, Answer>, _: Client, _: Farewell) {}
}
