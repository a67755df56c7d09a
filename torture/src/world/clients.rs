//! The clients: what they do to their connections, and what they may see of them.

use super::State;
use crate::bytes::Stream;
use crate::model::Ending;
use socket_iocp::sim::Peer;
use std::io::ErrorKind;

/// A connection, from the client's side.
pub(crate) struct Client {
    pub(crate) peer: Option<Peer>,
    pub(super) outgoing: Stream,
    pub(super) incoming: Stream,
    /// Bytes sent, and whether FIN has followed.
    pub(super) written: u64,
    pub(super) fin: bool,
    read: u64,
    /// All of it.
    pub(super) log: Vec<u8>,
    saw_fin: bool,
    /// It was reset or closed from this side, or its own end failed: then the port's end may fail.
    pub(super) disturbed: bool,
    /// The port's end has failed with it.
    pub(super) failed: bool,
    /// The socket's place, once it is in the port.
    pub(crate) place: Option<usize>,
    /// It is no client: both ends are the port's.
    pub(super) ours: bool,
    /// The place of the other end's socket, if that is in the port.
    pub(super) partner: Option<usize>,
    /// Its socket was refused by its accept callback, or never given to one.
    pub(super) refused: bool,
}

impl State {
    /// A new client; `peer` is its end.
    pub(crate) fn add_client(&mut self, peer: Peer) -> usize {
        peer.set_nonblocking(true);
        self.by_address.insert(peer.local_addr(), self.clients.len());
        self.add_client_with(Some(peer))
    }

    /// A new client, whose end may come later.
    pub(super) fn add_client_with(&mut self, peer: Option<Peer>) -> usize {
        let place = self.clients.len();
        let stream = |direction: u64| Stream { id: (place as u64) << 1 | direction };
        self.clients.push(Client {
            peer,
            outgoing: stream(0),
            incoming: stream(1),
            written: 0,
            fin: false,
            read: 0,
            log: Vec::new(),
            saw_fin: false,
            disturbed: false,
            failed: false,
            place: None,
            ours: false,
            partner: None,
            refused: false,
        });
        place
    }

    pub(crate) fn client_writes(&mut self, at: usize, len: usize) {
        let client = &mut self.clients[at];
        let Some(peer) = client.peer.as_ref().filter(|_| !client.fin) else { return };
        match peer.write(&client.outgoing.bytes(client.written, len)) {
            Ok(written) => client.written += written as u64,
            Err(error) => self.client_failed(at, &error),
        }
    }

    /// Reads what is there, at most so much. True if there was something.
    pub(crate) fn client_reads(&mut self, at: usize, len: usize) -> bool {
        let client = &mut self.clients[at];
        let Some(peer) = client.peer.as_ref().filter(|_| !client.saw_fin && !client.failed) else { return false };
        let mut bytes = vec![0; len];
        match peer.read(&mut bytes) {
            Ok(0) if len == 0 => false,
            Ok(0) => {
                client.saw_fin = true;
                self.check_fin(at);
                true
            }
            Ok(count) => {
                let (right, start) = (client.incoming.is_at(client.read, &bytes[..count]), client.read);
                client.read += count as u64;
                client.log.extend_from_slice(&bytes[..count]);
                let read = client.read;
                let (issued, cut) = client
                    .place
                    .map_or((0, false), |place| (self.sockets[place].issued(), self.sockets[place].is_cut()));
                // Where sends may end early, what was read is checked when all of them have been reported.
                if !(right || cut) || read > issued {
                    self.note(format!("client {at} read {count} wrong bytes at {start} of {issued}"));
                }
                true
            }
            Err(error) => {
                self.client_failed(at, &error);
                false
            }
        }
    }

    /// The port's FIN: only where one was asked for, behind everything.
    fn check_fin(&mut self, at: usize) {
        let client = &self.clients[at];
        let Some(place) = client.place else {
            if !self.deleted && self.shutdown.is_none() && !client.disturbed && !self.faulty {
                self.note(format!("client {at} saw a FIN before it was accepted"));
            }
            return;
        };
        let (socket, around) = (&self.sockets[place], self.around(place));
        let asked = socket.is_shut_down() || socket.ending().is_some() || client.refused || socket.ended;
        let excused = around.may_fail
            || around.closed_behind
            || around.shut_down
            || client.refused
            || socket.is_connecting()
            || socket.ending() == Some(Ending::Remove);
        let whole =
            client.read == socket.issued() || socket.is_cut() || matches!(socket.ending(), Some(Ending::Abort { .. }));
        if !(excused || asked && whole) {
            let (read, issued) = (client.read, socket.issued());
            self.note(format!("client {at} saw a FIN after {read} of {issued} bytes: {socket:?}"));
        }
    }

    /// A client's call failed; if by a reset, the port's end must have had a reason for it.
    fn client_failed(&mut self, at: usize, error: &std::io::Error) {
        if error.kind() == ErrorKind::WouldBlock {
            return;
        }
        let client = &mut self.clients[at];
        client.failed = true;
        let (refused, disturbed) = (client.refused, client.disturbed);
        client.disturbed = true;
        let explained = match client.place {
            None => true,
            Some(place) => {
                let around = self.around(place);
                let socket = &self.sockets[place];
                let asked = self.deleted || around.shut_down || socket.ending().is_some() || socket.may_be_in_vain();
                refused || disturbed || self.faulty || around.closed_behind || around.idle.is_some() || asked
            }
        };
        if !explained {
            self.note(format!("client {at} failed for no reason: {error}"));
        }
    }

    pub(crate) fn client_ends(&mut self, at: usize) {
        if let Some(peer) = &self.clients[at].peer {
            peer.shutdown_write();
            self.clients[at].fin = true;
        }
    }

    pub(crate) fn client_goes(&mut self, at: usize, by_reset: bool) {
        let client = &mut self.clients[at];
        let Some(peer) = client.peer.take() else { return };
        // Closing with input unread, or more to come, is a reset too.
        client.disturbed = true;
        client.fin = true;
        if by_reset {
            peer.reset();
        }
    }
}
