//! Answers to what one read brought, in one send.

use super::Work;
use super::ring::{Ring, Socket};
use crate::error::Error;
use crate::messages::Messages;
use crate::works::REQUEST_BYTES;

pub(super) struct AnswerBatched {
    connections: Vec<Connection>,
}

#[derive(Default)]
struct Connection {
    requests: Messages<REQUEST_BYTES>,
    answers: Vec<u8>,
}

impl AnswerBatched {
    pub(super) fn new() -> AnswerBatched {
        AnswerBatched { connections: Vec::new() }
    }
}

impl Work for AnswerBatched {
    fn accepted(&mut self, ring: &mut Ring<'_>, socket: Socket) -> Result<(), Error> {
        let place = socket as usize;
        if self.connections.len() <= place {
            self.connections.resize_with(place + 1, Connection::default);
        }
        self.connections[place] = Connection::default();
        ring.recv(socket)
    }

    fn received(&mut self, ring: &mut Ring<'_>, socket: Socket, buffer: u16, len: usize) -> Result<(), Error> {
        let Connection { requests, answers } = &mut self.connections[socket as usize];
        requests.take(ring.buffers.bytes(buffer, len), |request| answers.extend_from_slice(request));
        ring.buffers.provide(buffer);
        if answers.is_empty() {
            return ring.recv(socket);
        }
        // SAFETY: they are touched again only when this has completed.
        unsafe { ring.send(socket, &raw const **answers, 0) }
    }

    fn sent(&mut self, ring: &mut Ring<'_>, socket: Socket, _: u16, _: bool) -> Result<(), Error> {
        self.connections[socket as usize].answers.clear();
        // If it was not all, the connection has ended, and the recv says so.
        ring.recv(socket)
    }
}
