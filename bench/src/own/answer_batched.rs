//! The answers to what one read brought leave in one send, whose buffer is used again and again.

use super::end_if_refused;
use crate::messages::Messages;
use crate::works::REQUEST_BYTES;
use socket_iocp::{Context, Error, Farewell, Handler, ReadBuffer, Sent};

pub(super) struct AnswerBatched;

#[derive(Default)]
pub(super) struct Client {
    requests: Messages<REQUEST_BYTES>,
    /// What is to be sent next; empty while it is being sent.
    answers: Vec<u8>,
}

impl Handler for AnswerBatched {
    type Listener = ();
    type Socket = Client;
    type Write = ();

    fn accept(&self, context: &Context<'_, AnswerBatched>, (): &()) -> Option<Client> {
        context.recv().ok()?;
        Some(Client::default())
    }

    fn recv(&self, context: &Context<'_, AnswerBatched>, client: &mut Client, received: Result<ReadBuffer, Error>) {
        let Client { requests, answers } = client;
        match received {
            Ok(buffer) if !buffer.is_empty() => requests.take(&buffer, |request| answers.extend_from_slice(request)),
            _ => return end_if_refused(context, context.close()),
        }
        if answers.is_empty() {
            end_if_refused(context, context.recv());
        } else {
            end_if_refused(context, context.sync_send(std::mem::take(answers), ()));
        }
    }

    fn send(&self, context: &Context<'_, AnswerBatched>, client: &mut Client, sent: Sent<()>) {
        if sent.result.is_ok() {
            client.answers = sent.buffer.into_vec().unwrap_or_default();
            client.answers.clear();
            end_if_refused(context, context.recv());
        }
    }

    fn error(&self, _: &Context<'_, AnswerBatched>, _: Client, _: Farewell) {}
}
