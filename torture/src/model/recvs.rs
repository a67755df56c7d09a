//! What a recv callback may say: the bytes that the client has sent, in their order, and its FIN behind them.

use super::{Broken, Circumstances, Socket};
use socket_iocp::{Error, ErrorCode};

impl Socket {
    /// A recv callback. `from_peer`: what the client has sent, and whether its FIN has gone.
    pub(crate) fn received(
        &mut self,
        result: &Result<Vec<u8>, Error>,
        buffer_size: usize,
        from_peer: (u64, bool),
        around: Circumstances,
    ) -> Result<(), Broken> {
        let (written, fin) = from_peer;
        self.idled |= self.was_idle(around);
        self.recv_since = around.now;
        if self.ended || !self.recv_outstanding {
            return Err(format!("a recv callback without a recv: {self:?}"));
        }
        self.recv_outstanding = false;
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(error) => {
                let explained = match error.code() {
                    ErrorCode::Cancelled => self.recv_cancelled,
                    ErrorCode::TimedOut => self.recv_limit.is_some_and(|over| over <= around.now),
                    _ => false,
                };
                return if explained { Ok(()) } else { Err(format!("a recv callback with {error:?}: {self:?}")) };
            }
        };
        if self.is_connecting() {
            return Err(format!("{} bytes before the connect: {self:?}", bytes.len()));
        }
        if bytes.len() > buffer_size {
            return Err(format!("{} bytes in a buffer of {buffer_size}", bytes.len()));
        }
        if bytes.is_empty() {
            if !fin || self.received != written {
                return Err(format!("a FIN after {} of {written} bytes, sent: {fin}: {self:?}", self.received));
            }
            if std::mem::replace(&mut self.eof, true) {
                return Err(format!("a second FIN: {self:?}"));
            }
        }
        if !around.peer_cut && !self.incoming.is_at(self.received, bytes) {
            return Err(format!("wrong bytes at {}: {self:?}", self.received));
        }
        self.received += bytes.len() as u64;
        if self.received > written {
            return Err(format!("{} bytes received of {written} sent: {self:?}", self.received));
        }
        Ok(())
    }
}
