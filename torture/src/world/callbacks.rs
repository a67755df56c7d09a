//! What the callbacks show to the model.

use super::State;
use crate::handler::{ListenerToken, SocketToken, WriteToken};
use crate::model::Broken;
use socket_iocp::{Error, ErrorCode, Farewell, RawSocket, ReadBuffer, Sent, SocketHandle, Watermark};
use std::net::SocketAddr;

/// Read buffers that the program keeps back at most.
const KEPT_BUFFERS: usize = 4;

impl State {
    pub(crate) fn accepted(
        &mut self,
        handle: SocketHandle,
        remote: Option<SocketAddr>,
        listener: usize,
        raw: RawSocket,
    ) -> Result<Option<usize>, Broken> {
        if self.listeners[listener].ended {
            return Err("an accept callback after the listener's farewell".into());
        }
        let Some(remote) = remote else {
            // The system does not name a peer that has gone. Whoever it was, it is refused.
            let gone = self.clients.iter().any(|client| client.disturbed && client.place.is_none());
            let gone = gone || !self.connecting.is_empty();
            return if gone { Ok(None) } else { Err("an accept callback without a remote address".into()) };
        };
        if let Some(near) = self.connecting.remove(&remote) {
            return Ok(Some(self.add_partner(handle, near, raw)));
        }
        let client = *self.by_address.get(&remote).ok_or("an accept callback for no client of ours")?;
        if self.clients[client].place.is_some() {
            return Err(format!("client {client} is accepted twice"));
        }
        Ok(Some(self.add_socket(handle, client, raw)))
    }

    /// Now and then an accept callback refuses its connection.
    pub(crate) fn keep_or_refuse(&mut self, place: usize) -> Option<SocketToken> {
        if self.reactions.u8(..) < 8 {
            self.sockets[place].ended = true;
            self.unsettled += self.sockets[place].queued_bytes();
            let client = self.of_sockets[place].0;
            self.clients[client].refused = true;
            return None;
        }
        Some(SocketToken::new(place, &self.held))
    }

    pub(crate) fn connected(
        &mut self,
        place: usize,
        ends: (Option<SocketAddr>, Option<SocketAddr>),
        raw: RawSocket,
    ) -> Result<(), Broken> {
        let now = self.network.now();
        if let (true, Some(local)) = (self.sockets[place].has_no_socket(), ends.0) {
            self.attempt_won(place, local);
            self.raws[place] = raw;
        }
        self.sockets[place].connected(ends, now)
    }

    pub(crate) fn received(&mut self, place: usize, result: &Result<Vec<u8>, Error>) -> Result<(), Broken> {
        let (size, mut from_client) = (self.setup.read_buffer_size, self.client_sent(place));
        if self.clients[self.of_sockets[place].0].ours && result.as_ref().is_ok_and(Vec::is_empty) {
            from_client.0 = self.sockets[place].received;
        }
        let around = self.around(place);
        self.sockets[place].received(result, size, from_client, around)
    }

    pub(crate) fn sent(&mut self, place: usize, sent: &Sent<WriteToken>) -> Result<(), Broken> {
        let around = self.around(place);
        let in_memory: usize = sent.buffer.slices().map(<[u8]>::len).sum();
        let is_whole = if sent.buffer.is_file() { in_memory == 0 } else { in_memory == sent.write.len };
        if !is_whole || sent.buffer.len() != sent.write.len {
            return Err("a send came back with another buffer".into());
        }
        self.sockets[place].sent(sent.write.write, sent.write.len, sent.result, sent.bytes, around)
    }

    pub(crate) fn crossed(&mut self, place: usize, mark: Watermark) -> Result<(), Broken> {
        let setup = self.setup;
        self.sockets[place].crossed(mark, &setup)
    }

    pub(crate) fn timer(&mut self, place: usize, result: Result<(), Error>) -> Result<(), Broken> {
        let around = self.around(place);
        self.sockets[place].timer_told(result, around)
    }

    pub(crate) fn farewell(&mut self, place: usize, farewell: Farewell) -> Result<(), Broken> {
        let around = self.around(place);
        self.sockets[place].farewell(farewell.reason, farewell.socket.is_some(), around)?;
        // One of datagrams is closed here, as any other that is not added again.
        let returned = farewell.socket.filter(|_| self.sockets[place].mail.is_none());
        self.returned.extend(returned.map(|socket| (place, socket)));
        Ok(())
    }

    pub(crate) fn listener_farewell(&mut self, place: usize, reason: Result<(), Error>) {
        let listener = &mut self.listeners[place];
        let code = reason.map_err(|error| error.code());
        let explained = match code {
            Ok(()) => listener.removed,
            Err(ErrorCode::Cancelled) => (self.deleted || self.shutdown.is_some()) && !listener.removed,
            Err(_) => false,
        };
        if std::mem::replace(&mut listener.ended, true) || !explained {
            self.note(format!("a listener's farewell of {code:?}"));
        }
    }

    /// Keeps a read buffer back, with a copy of what is in it: nobody may write to it meanwhile.
    pub(crate) fn keep_buffer(&mut self, buffer: ReadBuffer, copy: Vec<u8>) {
        if self.reactions.u8(..) < 64 {
            self.kept.push((buffer, copy));
        }
        if self.kept.len() > KEPT_BUFFERS {
            let (buffer, copy) = self.kept.remove(0);
            if *buffer != *copy {
                self.note("a read buffer was written to while the program had it".into());
            }
        }
    }

    pub(crate) fn listener_token(&self, place: usize) -> ListenerToken {
        ListenerToken::new(place, &self.held)
    }
}
