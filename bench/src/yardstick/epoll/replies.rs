//! Echo, and answers in batches: what a read brings is answered by one write.

use super::{Connection, Next, PATIENCE, Work};
use crate::messages::Messages;
use crate::works::REQUEST_BYTES;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::os::fd::{AsRawFd, OwnedFd};

/// What is answered.
pub(super) trait Reply: Default {
    /// The answer to what came in; `room` is for it, and empty.
    fn answer<'a>(&mut self, received: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8];
}

/// What came in, from where it lies.
#[derive(Default)]
pub(super) struct Echo;

impl Reply for Echo {
    fn answer<'a>(&mut self, received: &'a [u8], _: &'a mut Vec<u8>) -> &'a [u8] {
        received
    }
}

/// Each whole request.
#[derive(Default)]
pub(super) struct Answers(Messages<REQUEST_BYTES>);

impl Reply for Answers {
    fn answer<'a>(&mut self, received: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
        self.0.take(received, |request| room.extend_from_slice(request));
        room
    }
}

pub(super) struct Replies<R> {
    buffer: Box<[u8]>,
    answers: Vec<u8>,
    reply: std::marker::PhantomData<R>,
}

/// What there is to a connection.
#[derive(Default)]
pub(super) struct State<R> {
    reply: R,
    /// What was too much for the socket's buffer; nothing is read until it is sent.
    unsent: Vec<u8>,
    waits_for_room: bool,
}

impl<R> Replies<R> {
    pub(super) fn new(read_buffer: usize) -> Replies<R> {
        Replies { buffer: vec![0; read_buffer].into(), answers: Vec::new(), reply: std::marker::PhantomData }
    }
}

impl<R: Reply> Work for Replies<R> {
    type State = State<R>;
    const EVENTS: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

    fn go_on(&mut self, epoll: &OwnedFd, connection: &mut Connection<State<R>>, to_the_end: bool) -> Next {
        self.serve(epoll, connection, to_the_end).unwrap_or_else(|next| next)
    }
}

impl<R: Reply> Replies<R> {
    fn serve(
        &mut self,
        epoll: &OwnedFd,
        connection: &mut Connection<State<R>>,
        to_the_end: bool,
    ) -> Result<Next, Next> {
        if !connection.state.unsent.is_empty() {
            let sent = connection.write(&connection.state.unsent)?;
            connection.state.unsent.drain(..sent);
            if !connection.state.unsent.is_empty() {
                return Ok(Next::Event);
            }
        }
        for _ in 0..PATIENCE {
            let len = connection.read(&mut self.buffer)?;
            if len == 0 {
                return Ok(Next::Close);
            }
            self.answers.clear();
            let answer = connection.state.reply.answer(&self.buffer[..len], &mut self.answers);
            let sent = match connection.write(answer) {
                Err(Next::Event) => 0,
                sent => sent?,
            };
            if sent < answer.len() {
                return wait_for_room(epoll, connection, &answer[sent..]);
            }
            if len < self.buffer.len() && !to_the_end {
                return Ok(Next::Event);
            }
        }
        Ok(Next::MoreAtOnce)
    }
}

/// Keeps what could not be sent. From the first time on the connection's events tell of room as well, which they do only
/// after a write for which there was none.
fn wait_for_room<R>(epoll: &OwnedFd, connection: &mut Connection<State<R>>, rest: &[u8]) -> Result<Next, Next> {
    connection.state.unsent.extend_from_slice(rest);
    if !connection.state.waits_for_room {
        connection.state.waits_for_room = true;
        let data = EventData::new_u64(connection.socket.as_raw_fd() as u64);
        let events = EventFlags::IN | EventFlags::RDHUP | EventFlags::OUT | EventFlags::ET;
        epoll::modify(epoll, &connection.socket, data, events).map_err(|_| Next::Close)?;
    }
    Ok(Next::Event)
}
