//! What each call on a connected socket must answer, by the header.

use super::script::What;
use super::world::{Bytes, Ending, Send, Socket, World};
use crate::c::{self, Handle};
use std::ffi::c_int;

/// A call on a socket, with what is given to it.
pub(super) struct Call {
    pub(super) what: What,
    pub(super) port: Handle,
    pub(super) socket: Handle,
    pub(super) length: usize,
    /// Bytes are to be sent, and NULL is given for them.
    pub(super) no_data: bool,
}

impl World {
    /// The answers that a call on a socket may get.
    pub(super) fn expected(&self, call: &Call) -> Vec<c_int> {
        let mut wrong = self.wrong_port(call.port);
        wrong.extend(self.wrong_socket(call.port, call.socket));
        if call.no_data {
            wrong.push(c::NULL_POINTER);
        }
        let Some(at) = self.socket_of(call.socket) else { return wrong };
        let socket = &self.sockets[at];
        let deleting = self.ports[socket.port].deleted;
        // In a callback of a port that is being deleted a call may still be accepted.
        let inside = self.callbacks.last().is_some_and(|callback| callback.port == socket.port);
        let accepted_late = deleting && inside && !socket.ended && self.port_of(call.port) == Some(socket.port);
        if !wrong.is_empty() && !accepted_late {
            return wrong;
        }
        wrong.push(self.rule(socket, call));
        let overtaken = call.what == What::Abort && socket.ending == Some(Ending::Close);
        if socket.may_fail || socket.found_closed || overtaken || self.ports[socket.port].given.idle_timeout_ms != 0 {
            wrong.push(c::CLOSED);
        }
        wrong
    }

    /// The answer of a socket that has not failed.
    fn rule(&self, socket: &Socket, call: &Call) -> c_int {
        let options = &self.ports[socket.port].given;
        match (socket.ending, call.what) {
            (None | Some(Ending::Close), What::Abort) => return 0,
            (Some(_), _) => return c::CLOSED,
            (None, _) => {}
        }
        let (count, bytes) = socket.queued();
        let full = options.max_queued_sends != 0 && count >= options.max_queued_sends as usize
            || options.max_queued_bytes != 0 && bytes + call.length > options.max_queued_bytes as usize;
        match call.what {
            What::Recv if socket.recv => c::BUSY,
            What::Recv if socket.eof => c::EOF,
            What::SyncSend | What::AsyncSend | What::Shutdown if socket.shutdown => c::SHUTDOWN,
            What::SyncSend if socket.sends.iter().any(|send| send.sync) => c::BUSY,
            What::AsyncSend if full => c::QUEUE_FULL,
            _ => 0,
        }
    }

    /// A call has been answered: what it means for the socket. `bytes` are those of a send, and its number.
    pub(super) fn answered(&mut self, call: &Call, code: c_int, send: Option<(usize, Bytes, Vec<u8>)>) {
        let Some(at) = self.socket_of(call.socket) else { return };
        let socket = &mut self.sockets[at];
        let known = self.ports.get(socket.port).is_some_and(|port| port.handle == call.port && !port.deleted);
        if code == c::CLOSED && known && !socket.ended && socket.ending.is_none() {
            socket.found_closed = true;
        }
        if code != 0 {
            return;
        }
        match call.what {
            What::Recv => {
                socket.recv = true;
                socket.lent = None;
            }
            What::Shutdown => socket.shutdown = true,
            What::Close => socket.ending = Some(Ending::Close),
            What::Abort => socket.ending = Some(Ending::Abort { closing: socket.ending == Some(Ending::Close) }),
            What::Remove => socket.ending = Some(Ending::Remove),
            _ => {}
        }
        if let Some((id, bytes, content)) = send {
            socket.to_peer.put(&content);
            socket.sends.push_back(Send { id, sync: call.what == What::SyncSend, length: call.length, bytes });
        }
    }
}
