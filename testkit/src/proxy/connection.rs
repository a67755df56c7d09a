//! A connection through the proxy: two ends, two pipes, and what became of it.

use super::pipe::{End, Limit, Moved, Pipe};
use super::plan::{Cut, Direction, Plan};
use mio::net::TcpStream;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What became of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All that either end sent has passed, and both FINs.
    Whole,
    /// The proxy has reset both ends when this way's bytes had come to the place of its seed.
    Reset(Direction),
    /// The proxy has sent the server a FIN before its time; all of the server's answer has passed.
    Fin,
    /// The proxy has sent the server a FIN before its time, and reset both ends afterwards.
    FinThenReset,
    /// An end failed by itself.
    Broken(io::ErrorKind),
}

/// The record of a connection that is over.
#[derive(Clone, Debug)]
pub struct Passage {
    /// The client's address.
    pub client: SocketAddr,
    /// The address that the server saw.
    pub seen_by_server: SocketAddr,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes taken from the client, and of them passed to the server.
    pub from_client: u64,
    /// To the server.
    pub to_server: u64,
    /// Whether a FIN was passed to the server, the client's or one before its time.
    pub fin_to_server: bool,
    /// Bytes taken from the server, and of them passed to the client.
    pub from_server: u64,
    /// To the client.
    pub to_client: u64,
    /// Whether the server's FIN was passed to the client.
    pub fin_to_client: bool,
    /// Bytes that were passed each by itself.
    pub singles: u64,
    /// Times that bytes were held until others had passed.
    pub holds: u64,
}

/// A connection under way.
#[derive(Debug)]
pub(super) struct Connection {
    addresses: (SocketAddr, SocketAddr),
    cut: Cut,
    /// Towards the client, towards the server.
    pub(super) ends: [End; 2],
    to_server: Pipe,
    to_client: Pipe,
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream, plan: Plan) -> io::Result<Connection> {
        let limit = |direction| match plan.cut {
            Cut::Reset(way, at) if way == direction => Limit::Reset(at),
            Cut::Fin(at) | Cut::FinThenReset(at, _) if direction == Direction::ToServer => Limit::Fin(at),
            _ => Limit::None,
        };
        let (limit_to_server, limit_to_client) = (limit(Direction::ToServer), limit(Direction::ToClient));
        Ok(Connection {
            addresses: (client.peer_addr()?, server.local_addr()?),
            cut: plan.cut,
            ends: [End::new(client), End::new(server)],
            to_server: Pipe::new(plan.to_server, limit_to_server),
            to_client: Pipe::new(plan.to_client, limit_to_client),
        })
    }

    /// How many bytes will have passed through the proxy when the first of its holds ends.
    pub(super) fn held_until(&self) -> Option<u64> {
        [&self.to_server, &self.to_client].into_iter().filter_map(Pipe::held_until).min()
    }

    /// Ends its holds.
    pub(super) fn release(&mut self) {
        for pipe in [&mut self.to_server, &mut self.to_client] {
            if pipe.held_until().is_some() {
                pipe.release();
            }
        }
    }

    /// Moves both pipes on; or says what became of the connection, if it is over.
    pub(super) fn advance(&mut self, through: &mut u64) -> Result<Moved, Outcome> {
        if let Some(outcome) = self.outcome() {
            return Err(outcome);
        }
        let moved = self.advance_pipes(through).map_err(|error| Outcome::Broken(error.kind()))?;
        match self.outcome() {
            Some(outcome) => Err(outcome),
            None => Ok(moved),
        }
    }

    fn advance_pipes(&mut self, through: &mut u64) -> io::Result<Moved> {
        let [client, server] = &mut self.ends;
        let had_finished = self.to_server.finished;
        let one = self.to_server.advance(client, server, through)?;
        if let Cut::FinThenReset(_, after) = self.cut
            && self.to_server.finished
            && !had_finished
            && !self.to_server.ended_by_itself()
        {
            self.to_client.reset_after(after);
        }
        let other =
            if self.to_client.wants_reset() { Moved::Some } else { self.to_client.advance(server, client, through)? };
        Ok(match (one, other) {
            (Moved::Some, _) | (_, Moved::Some) => Moved::Some,
            (Moved::Held, _) | (_, Moved::Held) => Moved::Held,
            _ => Moved::None,
        })
    }

    fn outcome(&self) -> Option<Outcome> {
        let was_cut_short = self.to_server.finished && !self.to_server.ended_by_itself();
        if self.to_server.wants_reset() {
            return Some(Outcome::Reset(Direction::ToServer));
        }
        if self.to_client.wants_reset() {
            return Some(if was_cut_short { Outcome::FinThenReset } else { Outcome::Reset(Direction::ToClient) });
        }
        let is_over = self.to_server.is_drained() && self.to_client.is_drained();
        is_over.then_some(if was_cut_short { Outcome::Fin } else { Outcome::Whole })
    }

    /// Closes both ends, by a reset unless both have finished, and gives the record.
    pub(super) fn end(self, outcome: Outcome) -> Passage {
        for end in self.ends {
            if !matches!(outcome, Outcome::Whole | Outcome::Fin) {
                // The number of an open socket cannot be wrong; an end that has failed may refuse, and is gone anyway.
                let _ = SockRef::from(&end.stream).set_linger(Some(Duration::ZERO));
            }
        }
        Passage {
            client: self.addresses.0,
            seen_by_server: self.addresses.1,
            outcome,
            from_client: self.to_server.taken,
            to_server: self.to_server.passed,
            fin_to_server: self.to_server.finished,
            from_server: self.to_client.taken,
            to_client: self.to_client.passed,
            fin_to_client: self.to_client.finished,
            singles: self.to_server.singles + self.to_client.singles,
            holds: self.to_server.holds + self.to_client.holds,
        }
    }
}
