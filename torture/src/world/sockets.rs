//! The port's sockets: how they come into it, and which client each belongs to.

use super::State;
use crate::model::{Connect, Socket};
use crate::program::Whither;
use socket_iocp::sim::Peer;
use socket_iocp::{RawSocket, SocketHandle};
use std::net::SocketAddr;

impl State {
    /// A client's socket has come into the port.
    pub(crate) fn add_socket(&mut self, handle: SocketHandle, client: usize, raw: RawSocket) -> usize {
        let place = self.sockets.len();
        let of = &mut self.clients[client];
        of.place = Some(place);
        self.sockets.push(Socket::new(handle, of.incoming, of.outgoing));
        self.of_sockets.push((client, false));
        self.raws.push(raw);
        place
    }

    /// The port connects a socket.
    pub(crate) fn add_connecting(&mut self, handle: SocketHandle, raw: RawSocket, connect: Connect) {
        let client = self.add_client_with(None);
        let place = self.add_socket(handle, client, raw);
        let socket = self.sockets.pop().expect("just added");
        self.sockets.push(socket.connecting(connect));
        // Either end may end the connection.
        self.clients[client].ours = matches!(connect.whither, Whither::Own(_));
        self.clients[client].disturbed = self.clients[client].ours;
        if let Some(local) = connect.ends.0 {
            self.connecting.insert(local, place);
        }
        self.dials |= connect.host.is_some();
    }

    /// The port has accepted a connection that it has made itself; `near` is the place of the other end.
    pub(super) fn add_partner(&mut self, handle: SocketHandle, near: usize, raw: RawSocket) -> usize {
        let client = self.add_client_with(None);
        let near_client = self.of_sockets[near].0;
        let (outgoing, incoming) = (self.clients[near_client].incoming, self.clients[near_client].outgoing);
        let of = &mut self.clients[client];
        (of.outgoing, of.incoming, of.ours, of.disturbed) = (outgoing, incoming, true, true);
        of.partner = Some(near);
        let place = self.add_socket(handle, client, raw);
        self.clients[near_client].partner = Some(place);
        place
    }

    /// The network's own listener has taken a connection. True if that of a socket in the port, which it is, or may become.
    pub(crate) fn answered(&mut self, peer: Peer) -> bool {
        peer.set_nonblocking(true);
        match self.connecting.remove(&peer.peer_addr()) {
            Some(place) => self.clients[self.of_sockets[place].0].peer = Some(peer),
            None if self.dials => drop(self.attempts.insert(peer.peer_addr(), peer)),
            None => return false,
        }
        true
    }

    /// An attempt to connect to a host is a socket now, with this address.
    pub(super) fn attempt_won(&mut self, place: usize, local: SocketAddr) {
        match self.attempts.remove(&local) {
            Some(peer) => self.clients[self.of_sockets[place].0].peer = Some(peer),
            None => drop(self.connecting.insert(local, place)),
        }
    }

    /// Takes a socket that was handed back and can be added again: its FIN has not gone.
    pub(crate) fn take_returned(&mut self, at: u8) -> Option<(usize, socket_iocp::Socket)> {
        let all: Vec<usize> =
            (0..self.returned.len()).filter(|at| !self.sockets[self.returned[*at].0].is_shut_down()).collect();
        (!all.is_empty()).then(|| self.returned.remove(all[usize::from(at) % all.len()]))
    }

    /// A socket has come into the port that was there before, at another place.
    pub(crate) fn add_again(&mut self, handle: SocketHandle, before: usize, raw: RawSocket) {
        let client = self.of_sockets[before].0;
        self.clients[client].place = Some(self.sockets.len());
        let (places, now_at) = (self.connecting.values_mut(), self.sockets.len());
        places.filter(|place| **place == before).for_each(|place| *place = now_at);
        if let Some(partner) = self.clients[client].partner {
            let partner = self.of_sockets[partner].0;
            self.clients[partner].partner = Some(self.sockets.len());
        }
        self.sockets.push(self.sockets[before].again(handle));
        self.of_sockets.push((client, false));
        self.raws.push(raw);
    }

    /// The place of the n-th socket that lives, or of the n-th that is dead.
    pub(crate) fn pick(&self, at: u8, alive: bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.sockets.len()).filter(|place| self.sockets[*place].ended != alive).collect();
        (!all.is_empty()).then(|| all[usize::from(at) % all.len()])
    }

    /// Closes a socket's number behind the library's back, unless that would have it read a stranger's bytes.
    pub(crate) fn close_behind(&mut self, place: usize) {
        let socket = &self.sockets[place];
        let waits = socket.is_waiting_for_recv() || socket.has_sends() || socket.is_connecting();
        let busy = waits || socket.ending().is_some() || socket.mail.is_some();
        if busy || self.around(place).may_fail || self.of_sockets[place].1 || self.deleted {
            return;
        }
        self.of_sockets[place].1 = true;
        self.network.close_behind(self.raws[place]);
    }
}
