//! What each call on a connected socket must answer, by the header.

use super::mail::Kind;
use super::script::What;
use super::world::{Bytes, Ending, Limit, Recv, Send, Socket, Timer, World, queued_of_file};
use crate::c::{self, Handle};
use std::ffi::c_int;

/// A call on a socket, with what is given to it.
pub(super) struct Call {
    pub(super) what: What,
    pub(super) port: Handle,
    pub(super) socket: Handle,
    pub(super) length: usize,
    /// Bytes are to be sent, and NULL is given for them, or no file.
    pub(super) no_data: bool,
    /// The time limit of a recv or a send, the delay of a timer.
    pub(super) limit: Option<Limit>,
    /// The number of a send that is cancelled, or of a timer.
    pub(super) id: usize,
    /// How a datagram is sent.
    pub(super) kind: Kind,
    /// Another argument is outside its range.
    pub(super) is_wrong: bool,
}

impl Call {
    pub(super) fn new(what: What, (port, socket): (Handle, Handle)) -> Call {
        Call { what, port, socket, length: 0, no_data: false, limit: None, id: 0, kind: Kind::Plain, is_wrong: false }
    }
}

impl Call {
    /// What a socket of the other kind says to the call.
    fn wants_another_kind(&self, socket: &Socket) -> Option<c_int> {
        let is_datagram = socket.mail.is_some();
        match self.what {
            What::Shutdown | What::FileSend if is_datagram => Some(c::NOT_STREAM),
            _ if self.kind != Kind::Plain && !is_datagram => Some(c::NOT_DATAGRAM),
            _ => None,
        }
    }
}

/// A send that is issued: its number, its bytes, and what is in them.
pub(super) type Given = (usize, Bytes, Vec<u8>);

impl World {
    /// The answers that a call on a socket may get.
    pub(super) fn expected(&self, call: &Call) -> Vec<c_int> {
        let mut wrong = self.wrong_port(call.port);
        wrong.extend(self.wrong_socket(call.port, call.socket));
        let missing = if call.what == What::FileSend { c::BAD_SOCKET } else { c::NULL_POINTER };
        wrong.extend(call.no_data.then_some(missing));
        let is_wrong = call.is_wrong || call.limit.is_some_and(Limit::is_too_long);
        wrong.extend(is_wrong.then_some(c::INVALID_ARGUMENT));
        let at = self.socket_of(call.socket).map(|at| &self.sockets[at]);
        // Where more than one thing is wrong, either may be said.
        let of_another_kind = at.filter(|socket| !socket.ended).and_then(|socket| call.wants_another_kind(socket));
        let has_timers = |at: usize| self.ports[at].given.timer_callback_function.is_some();
        if call.what == What::Timer && !self.port_of(call.port).is_none_or(has_timers) {
            wrong.push(c::UNSUPPORTED);
        }
        let Some(at) = self.socket_of(call.socket) else { return wrong };
        let socket = &self.sockets[at];
        let port = &self.ports[socket.port];
        // In a callback of a port that is being deleted a call may still be accepted.
        let inside = self.is_inside(socket.port);
        let accepted_late = port.deleted && inside && !socket.ended && self.port_of(call.port) == Some(socket.port);
        if !wrong.is_empty() && !accepted_late {
            wrong.extend(of_another_kind);
            wrong.extend(self.is_shut_down(call.port).then_some(c::CLOSED));
            return wrong;
        }
        wrong.push(of_another_kind.unwrap_or_else(|| self.rule(socket, call)));
        wrong.extend(self.may_be_told(socket, call));
        let overtaken = call.what == What::Abort && socket.ending == Some(Ending::Close);
        let may_have_ended = socket.may_fail || socket.found_closed || overtaken;
        if may_have_ended || port.shut_down.is_some() || port.given.idle_timeout_ms != 0 {
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
        let length = if call.what == What::FileSend { queued_of_file(call.length) } else { call.length };
        let full = options.max_queued_sends != 0 && count >= options.max_queued_sends as usize
            || options.max_queued_bytes != 0 && bytes + length > options.max_queued_bytes as usize;
        match call.what {
            What::Recv if socket.recv.is_some() => c::BUSY,
            What::Recv if socket.eof => c::EOF,
            What::SyncSend | What::AsyncSend | What::FileSend | What::Shutdown if socket.shutdown => c::SHUTDOWN,
            What::SyncSend if socket.sends.iter().any(|send| send.sync) => c::BUSY,
            What::AsyncSend | What::FileSend if full => c::QUEUE_FULL,
            What::CancelRecv if socket.recv.is_none() => c::NOT_OUTSTANDING,
            What::CancelSend if self.is_inside(socket.port) && !socket.has_send(call.id) => c::NOT_OUTSTANDING,
            What::Timer if socket.timer.is_some() => c::BUSY,
            What::CancelTimer if socket.timer.is_none() => c::NOT_OUTSTANDING,
            What::CancelConnect if socket.connect.is_none() => c::NOT_OUTSTANDING,
            What::QueuedBytes if options.max_queued_bytes == 0 => c::UNSUPPORTED,
            _ => 0,
        }
    }

    /// Another answer that the header leaves open.
    fn may_be_told(&self, socket: &Socket, call: &Call) -> Option<c_int> {
        match call.what {
            // It is told there alone, also of one that is done and not reported.
            What::CancelSend if !self.callbacks.is_empty() && socket.ending.is_none() => Some(c::NOT_OUTSTANDING),
            // The bytes of a socket that is ending are still queued.
            What::QueuedBytes if self.ports[socket.port].given.max_queued_bytes == 0 => Some(c::UNSUPPORTED),
            What::QueuedBytes => Some(0),
            _ => None,
        }
    }

    /// A call has been answered: what it means for the socket.
    pub(super) fn answered(&mut self, call: &Call, code: c_int, send: Option<Given>) {
        let Some(at) = self.socket_of(call.socket) else { return };
        let socket = &mut self.sockets[at];
        let port = self.ports.get(socket.port).filter(|port| port.handle == call.port && !port.deleted);
        let going_on = port.is_some_and(|port| port.shut_down.is_none());
        if code == c::CLOSED && going_on && !socket.ended && socket.ending.is_none() {
            socket.found_closed = true;
        }
        if code != 0 {
            return;
        }
        match call.what {
            What::Recv => {
                socket.recv = Some(Recv { limit: call.limit, cancelled: false });
                socket.lent = None;
            }
            What::CancelRecv => socket.recv.iter_mut().for_each(|recv| recv.cancelled = true),
            What::CancelSend => {
                socket.sends.iter_mut().filter(|send| send.id == call.id).for_each(|send| send.cancelled = true);
                socket.to_peer.may_end(call.id);
            }
            What::Timer => {
                socket.timer = call.limit.map(|delay| Timer { id: call.id, delay, cancelled: false });
            }
            What::CancelTimer => socket.timer.iter_mut().for_each(|timer| timer.cancelled = true),
            What::CancelConnect => {
                socket.connect.iter_mut().for_each(|connect| connect.cancelled = true);
                socket.may_fail = true;
            }
            What::Shutdown => socket.shutdown = true,
            What::Close => {
                socket.ending = Some(Ending::Close);
                socket.connect.iter_mut().for_each(|connect| connect.lingers = !socket.sends.is_empty());
            }
            What::Abort => socket.ending = Some(Ending::Abort { closing: socket.ending == Some(Ending::Close) }),
            What::Remove => socket.ending = Some(Ending::Remove),
            _ => {}
        }
        if let Some((id, bytes, content)) = send {
            let (sync, length, limit) = (call.what == What::SyncSend, call.length, call.limit);
            match &mut socket.mail {
                Some(mail) => mail.issue(id, content, call.kind),
                None => socket.to_peer.put(id, content, limit.is_some()),
            }
            socket.sends.push_back(Send { id, sync, length, bytes, limit, cancelled: false });
        }
    }
}
