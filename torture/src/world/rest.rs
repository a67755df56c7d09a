//! What has to be so by the time that nothing moves any more, and once the port is gone.

use super::State;
use socket_iocp::sim::Peer;
use std::io::ErrorKind;
use std::sync::atomic::Ordering;

impl State {
    /// Nothing moves any more, and the clients have read everything.
    pub(crate) fn check_at_rest(&mut self) {
        if self.shutdown.is_some() && self.sockets.iter().any(|socket| !socket.ended) {
            self.note("at rest: a connection is there after the deadline of a shutdown".into());
        }
        let listening = self.shutdown.is_none() && self.listeners.iter().all(|listener| !listener.removed);
        let live = self.sockets.iter().filter(|socket| !socket.ended).count();
        let has_room = self.setup.max_sockets == 0 || live < self.setup.max_sockets;
        for place in 0..self.sockets.len() {
            let client = &self.clients[self.of_sockets[place].0];
            let reads = client.peer.is_some() && !client.failed;
            if self.of_sockets[place].1 {
                continue;
            }
            // One that was handed back and added again is at another place now.
            if client.place == Some(place) {
                let checked = self.sockets[place].check_read(&client.log, reads, self.around(place).may_fail);
                checked.unwrap_or_else(|broken| self.note(format!("at rest: {broken}")));
            }
            let client = &self.clients[self.of_sockets[place].0];
            let (from_client, may_fail) = ((client.written, client.fin), self.around(place).may_fail);
            if let Err(broken) = self.sockets[place].check_at_rest(from_client, reads, may_fail, &self.setup) {
                self.note(format!("at rest: {broken}"));
            }
        }
        self.check_mail();
        let goes_on = |peer: &Peer| peer.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        if let Some(local) = self.attempts.iter().find_map(|(local, peer)| goes_on(peer).then_some(*local)) {
            self.note(format!("at rest: an attempt from {local} that is no socket's is open"));
        }
        let waiting =
            self.clients.iter().position(|client| client.place.is_none() && client.peer.is_some() && !client.failed);
        if let (Some(client), true) = (waiting, listening && has_room) {
            self.note(format!("at rest: client {client} was never accepted"));
        }
    }

    /// The port is gone: nothing may be left.
    pub(crate) fn check_gone(&mut self) {
        if let Some(socket) = self.sockets.iter().find(|socket| !socket.ended) {
            self.note(format!("no farewell: {socket:?}"));
        }
        if self.listeners.iter().any(|listener| !listener.ended) {
            self.note("a listener without a farewell".into());
        }
        self.check_mail();
        self.sockets.iter_mut().for_each(|socket| socket.mail = None);
        self.returned.clear();
        self.kept.clear();
        self.attempts.clear();
        self.clients.iter_mut().for_each(|client| client.peer = None);
        let held = self.held.load(Ordering::Relaxed);
        let (open, live) = (self.network.open_sockets(), self.network.live_sockets());
        if (held, open, live) != (0, 0, 0) {
            self.note(format!("left over: {held} values of the program's, {open} numbers, {live} sockets"));
        }
    }
}
