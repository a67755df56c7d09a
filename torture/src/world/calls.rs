//! The calls that the program makes on its sockets, each shown to the model with its answer.

use super::State;
use crate::handler::{OwnedBytes, Tortured, WriteToken};
use crate::model::{Given, Limits, Socket};
use crate::program::{self, Call};
use crate::refusal;
use socket_iocp::{Error, PortHandle, SendBuffer, SendFile};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

/// How one buffer is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Async,
    WithoutMemory,
    Sync,
    /// An async send, whose bytes are those of a value.
    Owned,
}

/// What is given to a send, in parts of lengths that differ from send to send; the first and one in the midst are empty now and
/// then.
fn in_parts(given: &Given) -> Vec<SendBuffer> {
    let first = given.write as usize % 4 * 3 % (given.bytes.len() + 1);
    let (head, rest) = given.bytes.split_at(first);
    let length = rest.len() / (given.write as usize % 20 + 1) + 1;
    let mut parts: Vec<SendBuffer> = rest.chunks(length).map(|part| part.to_vec().into()).collect();
    parts.insert(parts.len() / 2, SendBuffer::default());
    parts.insert(0, head.to_vec().into());
    parts
}

/// A file with what is given to a send in its midst, or all but the second half of it; and where that begins.
fn in_file(given: &Given, whole: bool) -> (SendFile, Range<u64>) {
    const BESIDE: u8 = 0x5a;
    let before = given.write as usize % 5;
    let mut content = vec![BESIDE; before];
    content.extend_from_slice(&given.bytes);
    match whole {
        true => content.resize(content.len() + before, BESIDE),
        false => content.truncate(before + given.bytes.len() / 2),
    }
    let start = before as u64;
    (SendFile::simulated(content), start..start + given.bytes.len() as u64)
}

fn ms(time_ms: u16) -> Duration {
    Duration::from_millis(time_ms.into())
}

/// What a refused call says, and whether it gave everything back.
type Refused = (Error, bool);

/// A call on a socket that is about to be made.
struct Issue<'a> {
    port: &'a PortHandle<Tortured>,
    socket: &'a Socket,
    held: &'a Arc<AtomicI64>,
}

impl Issue<'_> {
    fn call(&self, call: Call) -> Result<(), Refused> {
        let (port, handle) = (self.port, self.socket.handle);
        let whole = |answer: Result<(), Error>| answer.map_err(|error| (error, true));
        match call {
            Call::Recv => whole(port.recv(handle)),
            Call::Send(len) => self.send(len, Way::Async, None),
            Call::SendWithoutMemory(len) => self.send(len, Way::WithoutMemory, None),
            Call::SyncSend(len) => self.send(len, Way::Sync, None),
            Call::SendWithin(len, limit_ms) => self.send(len, Way::Async, Some(limit_ms)),
            Call::SyncSendWithin(len, limit_ms) => self.send(len, Way::Sync, Some(limit_ms)),
            Call::Shutdown => whole(port.shutdown_send(handle)),
            Call::Close => whole(port.close(handle)),
            Call::Abort => whole(port.abort(handle)),
            Call::Remove => whole(port.remove(handle)),
            Call::SendCopy(len) => self.send_copy(len),
            Call::SendParts(len) => self.send_parts(len),
            Call::SendOwned(len) => self.send(len, Way::Owned, None),
            Call::RecvWithin(time_ms) => whole(port.recv_within(handle, ms(time_ms))),
            Call::CancelRecv => whole(port.cancel_recv(handle)),
            Call::CancelSends(odd) => whole(port.cancel_sends(handle, move |token| token.is_odd() == odd)),
            Call::Timer(delay_ms) => whole(port.timer(handle, ms(delay_ms))),
            Call::CancelTimer => whole(port.cancel_timer(handle)),
            Call::CancelConnect => whole(port.cancel_connect(handle)),
            Call::SendFile(len) => self.send_file(len, true),
            Call::SendShortFile(len) => self.send_file(len, false),
        }
    }

    /// What is given to a send of so many bytes, and its token.
    fn give(&self, len: u16) -> (Given, WriteToken) {
        let given = self.socket.give(len.into());
        let token = WriteToken::new(given.write, len.into(), self.held);
        (given, token)
    }

    fn send(&self, len: u16, way: Way, limit_ms: Option<u16>) -> Result<(), Refused> {
        let (port, handle) = (self.port, self.socket.handle);
        let (given, token) = self.give(len);
        let address = self.socket.address_for(given.write).filter(|_| limit_ms.is_none());
        let issue = |bytes: SendBuffer| match (way, limit_ms, address) {
            (Way::Sync, None, None) => port.sync_send(handle, bytes, token),
            (Way::Sync, None, Some(address)) => port.sync_send_to(handle, address, bytes, token),
            (Way::Sync, Some(limit_ms), _) => port.sync_send_within(handle, bytes, token, ms(limit_ms)),
            (_, None, None) => port.send(handle, bytes, token),
            (_, None, Some(address)) => port.send_to(handle, address, bytes, token),
            (_, Some(limit_ms), _) => port.send_within(handle, bytes, token, ms(limit_ms)),
        };
        let answer = match way {
            Way::WithoutMemory => refusal::refuse(|| issue(given.bytes.into())),
            Way::Owned => issue(SendBuffer::from_owner(OwnedBytes::new(given.bytes, self.held)).unwrap_or_default()),
            Way::Sync | Way::Async => issue(given.bytes.into()),
        };
        answer.map_err(|rejected| {
            let whole = rejected.write.len == rejected.buffer.len();
            (rejected.error, whole)
        })
    }

    fn send_copy(&self, len: u16) -> Result<(), Refused> {
        let (given, token) = self.give(len);
        let answer = self.port.send_copy(self.socket.handle, &given.bytes, token);
        answer.map_err(|rejected| (rejected.error, rejected.write.len == usize::from(len)))
    }

    fn send_parts(&self, len: u16) -> Result<(), Refused> {
        let (given, token) = self.give(len);
        let answer = self.port.send_vectored(self.socket.handle, in_parts(&given), token);
        answer.map_err(|rejected| {
            let bytes = rejected.buffer.iter().flat_map(SendBuffer::slices).flatten();
            (rejected.error, bytes.eq(&given.bytes))
        })
    }

    fn send_file(&self, len: u16, whole: bool) -> Result<(), Refused> {
        let (given, token) = self.give(len);
        let (file, range) = in_file(&given, whole);
        let answer = self.port.send_file(self.socket.handle, file, range, token);
        answer.map_err(|rejected| (rejected.error, rejected.write.len == usize::from(len)))
    }
}

impl State {
    /// Makes a call on a socket and shows its answer to the model.
    pub(crate) fn call(&mut self, port: &PortHandle<Tortured>, place: usize, call: Call) {
        let around = self.around(place);
        let moves_bytes = !matches!(call, Call::Close | Call::Abort | Call::Remove);
        if around.closed_behind && moves_bytes && !self.sockets[place].ended {
            // It might be answered with a stranger's bytes, as documented.
            return;
        }
        self.operations += 1;
        let queued = self.sockets.iter().filter(|socket| !socket.ended).map(Socket::queued_bytes).sum();
        let issue = Issue { port, socket: &self.sockets[place], held: &self.held };
        let answer = issue.call(call);
        let limits = Limits::of(&self.setup, queued, self.unsettled);
        let checked = match answer {
            Err((_, false)) => Err("a refused send did not give its buffer back whole".into()),
            Err((error, true)) => self.sockets[place].called(call, limits, around, Err(error.code())),
            Ok(()) => self.sockets[place].called(call, limits, around, Ok(())),
        };
        checked.unwrap_or_else(|broken| self.note(broken));
    }

    /// What a callback does: calls on its own socket, and on others.
    pub(crate) fn react(&mut self, port: &PortHandle<Tortured>, place: usize) {
        if self.resting && self.clients[self.of_sockets[place].0].ours {
            return;
        }
        for _ in 0..self.reactions.u8(0..=2) {
            let own = self.reactions.u8(..) < 200;
            let other = self.reactions.u8(..);
            let target = if own { Some(place) } else { self.pick(other, true) };
            let call = program::call(&mut self.reactions);
            if let Some(target) = target {
                self.call(port, target, call);
            }
        }
    }
}
