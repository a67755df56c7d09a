//! What the model knows of a datagram socket beside what is of every socket: what is on its way to it, and what it has sent.

use crate::bytes::Stream;
use crate::model::Broken;
use socket_iocp::sim::SimSocket;
use socket_iocp::{Error, ErrorCode};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// A datagram as its callback has it: its bytes, where it came from, and whether it was longer.
pub(crate) type Letter = (Vec<u8>, SocketAddr, bool);

/// Where a datagram socket is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    None,
    /// To its correspondent.
    Correspondent,
    /// To where nobody is: the network answers.
    Nobody,
}

/// A datagram socket of the port, and the one that writes to it and reads what it sends.
#[derive(Debug)]
pub(crate) struct Mail {
    correspondent: SimSocket,
    address: SocketAddr,
    local: SocketAddr,
    connection: Connection,
    /// What the correspondent writes.
    stream: Stream,
    written: u64,
    /// What it has written and no recv has brought.
    incoming: VecDeque<Vec<u8>>,
    /// What the port has reported as sent to the correspondent.
    went: Vec<Vec<u8>>,
    /// What has come there.
    came: Vec<Vec<u8>>,
}

impl Mail {
    pub(crate) fn new(correspondent: SimSocket, local: SocketAddr, connection: Connection, stream: Stream) -> Mail {
        let address = correspondent.local_addr().expect("it has one");
        let (incoming, went, came) = (VecDeque::new(), Vec::new(), Vec::new());
        Mail { correspondent, address, local, connection, stream, written: 0, incoming, went, came }
    }

    /// The address that goes with this send, where it may have one: most have.
    pub(crate) fn address_for(&self, write: u64) -> Option<SocketAddr> {
        (!write.is_multiple_of(3)).then_some(self.address)
    }

    /// The correspondent writes so many bytes.
    pub(crate) fn write(&mut self, len: usize) -> Result<(), Broken> {
        // A connected socket hears nobody else.
        if self.connection == Connection::Nobody {
            return Ok(());
        }
        let bytes = self.stream.bytes(self.written, len);
        self.written += len as u64;
        let sent = self.correspondent.send_to(&bytes, Some(self.local));
        self.incoming.push_back(bytes);
        sent.map(drop).map_err(|error| format!("a correspondent could not write: {error}"))
    }

    pub(crate) fn has_incoming(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// A recv has brought this.
    pub(crate) fn received(&mut self, letter: &Letter, buffer_size: usize) -> Result<(), Broken> {
        let (bytes, sender, truncated) = letter;
        let Some(expected) = self.incoming.pop_front() else {
            return Err(format!("{} bytes that nobody has written", bytes.len()));
        };
        let kept = expected.len().min(buffer_size);
        let right = bytes[..] == expected[..kept] && *sender == self.address;
        if right && *truncated == (kept < expected.len()) {
            return Ok(());
        }
        Err(format!("{} of {} bytes, truncated: {truncated}, from {sender}", bytes.len(), expected.len()))
    }

    /// Why a recv or a send may have failed alone, but for what it was asked for: the network's own reasons.
    pub(crate) fn explains(&self, code: ErrorCode, may_fail: bool) -> bool {
        may_fail || code == ErrorCode::Refused && self.connection == Connection::Nobody
    }

    /// A send has been reported, of these bytes; `addressed`: with its address.
    pub(crate) fn sent(
        &mut self,
        bytes: Vec<u8>,
        addressed: bool,
        result: Result<(), Error>,
        may_fail: bool,
    ) -> Result<(), Broken> {
        let reaches_nobody = !addressed && self.connection == Connection::None;
        match result.map_err(|error| error.code()) {
            Ok(()) if reaches_nobody => return Err("a datagram has gone with no address".into()),
            Ok(()) if addressed || self.connection == Connection::Correspondent => self.went.push(bytes),
            Ok(()) => {}
            Err(ErrorCode::NotConnected) if reaches_nobody => {}
            Err(code) if self.explains(code, may_fail) => {}
            Err(code) => return Err(format!("a datagram was not sent for no reason: {code:?}")),
        }
        Ok(())
    }

    /// Every send has been reported: what has come is what has gone, in that order.
    pub(crate) fn check(&mut self) -> Result<(), Broken> {
        while let Some(received) = self.correspondent.try_recv_from() {
            let (bytes, _) = received.map_err(|error| format!("a correspondent could not read: {error}"))?;
            self.came.push(bytes);
        }
        if self.came == self.went {
            return Ok(());
        }
        Err(format!("{} datagrams have come, and {} were sent: {self:?}", self.came.len(), self.went.len()))
    }
}
