//! Fan-out: a message is one block of memory, however many it is sent to; whichever send completes last frees it.

use super::end_if_refused;
use crate::messages::Messages;
use crate::works::MEMBER_MESSAGE_BYTES;
use socket_iocp::{Context, Error, Farewell, Handler, PortHandle, ReadBuffer, Sent, SocketHandle};
use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct FanOut {
    members: Mutex<Vec<SocketHandle>>,
    /// Whether messages come from the members, and not from a publisher.
    members_speak: bool,
}

pub(super) type Message = Messages<MEMBER_MESSAGE_BYTES>;

impl FanOut {
    pub(super) fn of_members() -> FanOut {
        FanOut { members: Mutex::default(), members_speak: true }
    }

    pub(super) fn of_a_publisher() -> FanOut {
        FanOut { members: Mutex::default(), members_speak: false }
    }

    fn members(&self) -> MutexGuard<'_, Vec<SocketHandle>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one message to all members. The lock is held in this, which gives every member the same order; an issue call
    /// never runs a callback.
    fn tell_all(&self, port: &PortHandle<FanOut>, message: &[u8; MEMBER_MESSAGE_BYTES]) {
        let message: Arc<[u8]> = Arc::from(message.as_slice());
        for member in self.members().iter() {
            // It is refused if the member is ending: its farewell takes it off the list.
            let _ = port.send(*member, message.clone(), ());
        }
    }
}

impl Handler for FanOut {
    type Listener = ();
    type Socket = Message;
    type Write = ();

    fn accept(&self, context: &Context<'_, FanOut>, (): &()) -> Option<Message> {
        context.recv().ok()?;
        // On the list last: who is on it gets a farewell, which takes it off again.
        self.members().push(context.handle());
        Some(Message::default())
    }

    fn recv(&self, context: &Context<'_, FanOut>, partial: &mut Message, received: Result<ReadBuffer, Error>) {
        let Some(buffer) = received.ok().filter(|buffer| !buffer.is_empty()) else {
            return end_if_refused(context, context.close());
        };
        if self.members_speak {
            partial.take(&buffer, |message| self.tell_all(context.port(), message));
        }
        end_if_refused(context, context.recv());
    }

    fn send(&self, _: &Context<'_, FanOut>, _: &mut Message, _: Sent<()>) {}

    fn error(&self, context: &Context<'_, FanOut>, _: Message, _: Farewell) {
        self.members().retain(|member| *member != context.handle());
    }
}

/// Accepts the publisher and sends each of its messages to the members, until it goes.
pub(super) fn publish(port: &PortHandle<FanOut>, listener: &TcpListener) {
    let Ok((mut publisher, _)) = listener.accept() else { return };
    let mut message = [0; MEMBER_MESSAGE_BYTES];
    while publisher.read_exact(&mut message).is_ok() {
        port.handler().tell_all(port, &message);
    }
}
