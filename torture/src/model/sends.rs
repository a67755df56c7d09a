//! What send callbacks may say and what of the sends the client reads; and the marks of what is queued.

use super::{Broken, Circumstances, Socket};
use crate::program::Setup;
use socket_iocp::{Error, ErrorCode, Watermark};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Send {
    pub(super) write: u64,
    pub(super) len: usize,
    pub(super) sync: bool,
    /// When its time limit is over.
    pub(super) limit: Option<Duration>,
    /// It is to be cancelled alone.
    pub(super) picked: bool,
    /// It is a datagram's, with an address.
    pub(super) addressed: bool,
    /// Its file ends too early.
    pub(super) short: bool,
}

/// What the client may read of a send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) write: u64,
    /// Where its bytes begin in what was issued.
    pub(super) start: u64,
    /// How many went, once that has been reported.
    pub(super) sent: Option<usize>,
}

impl Socket {
    /// A send callback.
    pub(crate) fn sent(
        &mut self,
        write: u64,
        len: usize,
        result: Result<(), Error>,
        bytes: usize,
        around: Circumstances,
    ) -> Result<(), Broken> {
        let at = self.sends.iter().position(|send| send.write == write).filter(|_| !self.ended);
        let Some(send) = at.and_then(|at| self.sends.remove(at)) else {
            return Err(format!("a send callback without a send: {self:?}"));
        };
        let ends_alone = match result.map_err(|error| error.code()) {
            Err(ErrorCode::Cancelled) => send.picked,
            Err(ErrorCode::TimedOut) => send.limit.is_some_and(|over| over <= around.now),
            _ => false,
        };
        if send.len != len || at != Some(0) && !ends_alone {
            return Err(format!("{send:?} of {len} bytes reported, which is not due: {self:?}"));
        }
        if self.is_connecting() && (bytes != 0 || result.is_ok()) {
            return Err(format!("{bytes} bytes sent before the connect, {result:?}: {self:?}"));
        }
        if self.mail.is_some() {
            return self.mail_sent(send, result, bytes, ends_alone, around);
        }
        self.sent += bytes as u64;
        self.note_part(write, bytes);
        self.idled |= self.was_idle(around);
        if self.sends.is_empty() {
            self.send_since = Duration::MAX;
        }
        match result {
            Err(_) if ends_alone && bytes <= len => return Ok(()),
            Ok(()) if send.short => return Err(format!("more was sent than the file has: {self:?}")),
            Ok(()) if bytes != len => return Err(format!("{bytes} of {len} bytes, and success: {self:?}")),
            Ok(()) if self.send_failed && len != 0 => return Err(format!("a success after a failure: {self:?}")),
            Ok(()) => {
                self.send_since = if self.sends.is_empty() { Duration::MAX } else { around.now };
                return Ok(());
            }
            Err(_) if bytes > len => return Err(format!("{bytes} of {len} bytes: {self:?}")),
            Err(_) => {}
        }
        let first = !std::mem::replace(&mut self.send_failed, true);
        let code = result.map_err(|error| error.code()).err();
        let asked = self.ending.is_some() || around.deleted || around.shut_down;
        let explained = match code {
            Some(ErrorCode::Cancelled) if self.may_have_failed(around.now) => true,
            Some(ErrorCode::FileTooShort) => first && send.short && bytes < len,
            Some(ErrorCode::Cancelled) => asked || around.may_fail || around.closed_behind || self.was_idle(around),
            Some(_) => first && (around.may_fail || around.closed_behind),
            None => true,
        };
        if explained { Ok(()) } else { Err(format!("a send failed with {code:?} for no reason: {self:?}")) }
    }

    /// A send has been reported: so much of it is what the client reads.
    fn note_part(&mut self, write: u64, sent: usize) {
        self.parts.iter_mut().filter(|part| part.write == write).for_each(|part| part.sent = Some(sent));
        while let Some(Part { start, sent: Some(sent), .. }) = self.parts.front().copied() {
            self.parts.pop_front();
            self.gone.extend(self.outgoing.bytes(start, sent));
        }
    }

    /// Everything that the client has read. `whole`: it must have read all that went. `may_fail`: a send that failed may have
    /// gone farther than it could tell.
    pub(crate) fn check_read(&self, read: &[u8], whole: bool, may_fail: bool) -> Result<(), Broken> {
        if !self.sends.is_empty() || may_fail {
            return Ok(());
        }
        let right = self.gone.starts_with(read) && (read.len() == self.gone.len() || !whole || self.ended);
        if right {
            return Ok(());
        }
        let at = self.gone.iter().zip(read).take_while(|(gone, read)| gone == read).count();
        let (read, gone) = (read.len(), self.gone.len());
        Err(format!("the client read {read} bytes, the first {at} right, of {gone}: socket {:?}", self.handle))
    }

    /// A watermark callback.
    pub(crate) fn crossed(&mut self, mark: Watermark, setup: &Setup) -> Result<(), Broken> {
        let queued = self.queued_bytes();
        let before = std::mem::replace(&mut self.above, mark == Watermark::High);
        let right = match mark {
            Watermark::High => !before && queued > setup.high_watermark as usize,
            Watermark::Low => before && queued <= setup.low_watermark as usize,
        };
        if right && !self.ended && self.ending.is_none() && !self.shutdown {
            return Ok(());
        }
        Err(format!("{mark:?} with {queued} bytes queued, told before: {before}: {self:?}"))
    }

    /// Whether nothing is left to be told of the bytes queued.
    pub(super) fn has_told(&self, setup: &Setup) -> bool {
        let (queued, takes_sends) = (self.queued_bytes(), self.ending.is_none() && !self.shutdown);
        let untold =
            if self.above { queued <= setup.low_watermark as usize } else { queued > setup.high_watermark as usize };
        setup.high_watermark == 0 || !takes_sends || !untold
    }
}
