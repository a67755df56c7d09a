//! Datagram sockets: each datagram arrives whole, in the order of the sends, unless chance loses it; with the answers that Linux
//! gives.
//!
//! - A datagram longer than the greatest is EMSGSIZE; one with no address, on a socket that is not connected, is refused.
//! - One to an address where nobody is leaves, and on a connected socket the next operation, recv or send, says ECONNREFUSED, once.
//! - A connected socket receives from where it is connected to, and from nobody else.

use super::state::{Kind, SocketId, State};
use crate::sys::errno;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The greatest datagram of IPv4.
const MAX_DATAGRAM: usize = 65_507;
/// The most datagrams of one send.
const MAX_SEGMENTS: usize = 64;

#[derive(Debug)]
pub(super) struct Datagrams {
    pub(super) local: SocketAddr,
    /// Where it is connected to.
    pub(super) remote: Option<SocketAddr>,
    incoming: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What the net has answered to an earlier send.
    error: Option<i32>,
}

impl State {
    pub(super) fn create_datagram(&mut self, remote: Option<SocketAddr>) -> SocketId {
        let local = self.client_address();
        let datagrams = Datagrams { local, remote, incoming: VecDeque::new(), error: None };
        let id = self.create(Kind::Datagram(datagrams));
        self.datagrams.insert(local, id);
        id
    }

    pub(super) fn datagrams(&self, id: SocketId) -> Option<&Datagrams> {
        match &self.socket(id).kind {
            Kind::Datagram(datagrams) => Some(datagrams),
            _ => None,
        }
    }

    fn datagrams_mut(&mut self, id: SocketId) -> Option<&mut Datagrams> {
        match self.sockets.get_mut(&id).map(|socket| &mut socket.kind) {
            Some(Kind::Datagram(datagrams)) => Some(datagrams),
            _ => None,
        }
    }

    /// A recv of a datagram socket would end now.
    pub(super) fn has_datagram(&self, id: SocketId) -> bool {
        self.datagrams(id).is_none_or(|datagrams| !datagrams.incoming.is_empty() || datagrams.error.is_some())
    }

    /// Takes the first datagram; `None` when there is none yet.
    pub(super) fn receive_datagram(&mut self, id: SocketId) -> Option<Result<(SocketAddr, Vec<u8>), i32>> {
        let Some(datagrams) = self.datagrams_mut(id) else {
            return Some(Err(errno::ENOTCONN));
        };
        if let Some(error) = datagrams.error.take() {
            return Some(Err(error));
        }
        datagrams.incoming.pop_front().map(Ok)
    }

    /// Sends datagrams of so many bytes each, the last perhaps shorter, or all in one; how many bytes they had.
    pub(super) fn send_segments(
        &mut self,
        id: SocketId,
        address: Option<SocketAddr>,
        bytes: Vec<u8>,
        segment_size: Option<u16>,
    ) -> Result<usize, i32> {
        let Some(segment_size) = segment_size.map(usize::from).filter(|size| *size < bytes.len()) else {
            return self.send_datagram(id, address, bytes);
        };
        if bytes.len() > MAX_DATAGRAM {
            return Err(errno::EMSGSIZE);
        }
        if bytes.len().div_ceil(segment_size) > MAX_SEGMENTS {
            return Err(errno::EINVAL);
        }
        let mut segments = bytes.chunks(segment_size);
        segments.try_fold(0, |sent, segment| Ok(sent + self.send_datagram(id, address, segment.to_vec())?))
    }

    /// Sends a datagram; how many bytes it had.
    pub(super) fn send_datagram(
        &mut self,
        id: SocketId,
        address: Option<SocketAddr>,
        bytes: Vec<u8>,
    ) -> Result<usize, i32> {
        let loss = self.behaviour.datagram_loss_probability;
        let sender = self.datagrams_mut(id).ok_or(errno::ENOTCONN)?;
        if let Some(error) = sender.error.take() {
            return Err(error);
        }
        let (from, to) = (sender.local, address.or(sender.remote).ok_or(errno::ENOTCONN)?);
        let answers = sender.remote == Some(to);
        let len = bytes.len();
        if len > MAX_DATAGRAM {
            return Err(errno::EMSGSIZE);
        }
        let is_lost = self.random.chance(loss);
        let receiver = self.datagrams.get(&to).copied();
        if let Some(receiver) = receiver.and_then(|id| self.datagrams_mut(id)) {
            let is_heard = receiver.remote.is_none_or(|remote| remote == from);
            if is_heard && !is_lost {
                receiver.incoming.push_back((from, bytes));
            }
        } else if answers && let Some(sender) = self.datagrams_mut(id) {
            sender.error = Some(errno::ECONNREFUSED);
        }
        Ok(len)
    }
}
