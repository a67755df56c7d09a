//! What the callbacks of a datagram socket may say, where they differ from those of a connection.

use super::sends::Send;
use super::{Broken, Circumstances, Socket};
use crate::mail::{Letter, Mail};
use socket_iocp::{Error, ErrorCode};

impl Socket {
    /// A datagram socket.
    pub(crate) fn mailing(self, mail: Mail) -> Socket {
        Socket { mail: Some(mail), ..self }
    }

    /// A datagram's callback.
    pub(crate) fn mailed(
        &mut self,
        result: &Result<Letter, Error>,
        buffer_size: usize,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let outstanding = std::mem::replace(&mut self.recv_outstanding, false);
        let Some(mail) = self.mail.as_mut().filter(|_| outstanding && !self.ended) else {
            return Err(format!("a datagram's callback without a recv: {self:?}"));
        };
        let explained = match result.as_ref().map_err(|error| error.code()) {
            Ok(letter) => mail.received(letter, buffer_size),
            Err(ErrorCode::Cancelled) if self.recv_cancelled => Ok(()),
            Err(ErrorCode::TimedOut) if self.recv_limit.is_some_and(|over| over <= around.now) => Ok(()),
            Err(code) if mail.explains(code, around.may_fail) => Ok(()),
            Err(code) => Err(format!("a datagram's callback with {code:?}")),
        };
        explained.map_err(|broken| format!("{broken}: {self:?}"))
    }

    /// The send callback of a datagram socket.
    pub(super) fn mail_sent(
        &mut self,
        send: Send,
        result: Result<(), Error>,
        bytes: usize,
        ends_alone: bool,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let part = self.parts.iter().position(|part| part.write == send.write).and_then(|at| self.parts.remove(at));
        let start = part.map_or(0, |part| part.start);
        let asked = self.ending.is_some() || around.deleted || around.shut_down;
        let is_cancelled = result.is_err_and(|error| error.code() == ErrorCode::Cancelled);
        if bytes != if result.is_ok() { send.len } else { 0 } {
            return Err(format!("{bytes} of {} bytes of a datagram, {result:?}: {self:?}", send.len));
        }
        if result.is_err() && ends_alone || is_cancelled && asked {
            return Ok(());
        }
        let whole = self.outgoing.bytes(start, send.len);
        let Some(mail) = &mut self.mail else { return Ok(()) };
        let explained = mail.sent(whole, send.addressed, result, around.may_fail);
        explained.map_err(|broken| format!("{broken}: {self:?}"))
    }
}
