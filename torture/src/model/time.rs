//! What passing time does to a socket: its timer, and the idle time-out.

use super::{Broken, Circumstances, Socket};
use socket_iocp::{Error, ErrorCode};
use std::time::Duration;

/// The socket's timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    /// When its time has passed.
    pub(super) over: Duration,
    pub(super) cancelled: bool,
}

impl Socket {
    /// The timer's callback.
    pub(crate) fn timer_told(&mut self, result: Result<(), Error>, around: Circumstances) -> Result<(), Broken> {
        let Some(timer) = self.timer.take().filter(|_| !self.ended) else {
            return Err(format!("a timer's callback without a timer: {self:?}"));
        };
        let asked = self.ending.is_some() || around.deleted || around.shut_down;
        let ends = asked || around.may_fail || around.closed_behind;
        let explained = match result.map_err(|error| error.code()) {
            Ok(()) => timer.over <= around.now,
            Err(ErrorCode::Cancelled) if self.may_have_failed(around.now) => true,
            Err(ErrorCode::Cancelled) => timer.cancelled || ends || around.idle.is_some(),
            Err(_) => false,
        };
        if explained { Ok(()) } else { Err(format!("{timer:?} said {result:?} at {:?}: {self:?}", around.now)) }
    }

    /// Whether the idle time-out may have ended it by now.
    pub(super) fn was_idle(&self, around: Circumstances) -> bool {
        if self.is_connecting() || self.mail.is_some() {
            return false;
        }
        let recv = self.recv_outstanding.then_some(self.recv_since);
        let since = recv.into_iter().chain([self.send_since]).min().unwrap_or(Duration::MAX);
        self.idled || around.idle.is_some_and(|idle| around.now.saturating_sub(since) >= idle)
    }
}
