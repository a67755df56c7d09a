//! What must have been reported by the time that nothing moves any more.

use super::{Broken, Socket};
use crate::program::Setup;

impl Socket {
    /// Nothing moves any more: is there something that should have? `may_fail`: a connect may have failed that succeeds else.
    pub(crate) fn check_at_rest(
        &self,
        from_peer: (u64, bool),
        peer_reads: bool,
        may_fail: bool,
        setup: &Setup,
    ) -> Result<(), Broken> {
        let (written, fin) = from_peer;
        let may_idle = setup.idle_timeout_ms != 0 && !self.is_connecting() && self.mail.is_none();
        if self.ended {
            return Ok(());
        }
        if self.connect.is_some_and(|connect| connect.must_end(may_fail)) {
            return Err(format!("a connect goes on though it was to end: {self:?}"));
        }
        if self.ending.is_none() && self.recv_outstanding && (self.received < written || fin && !self.eof) {
            return Err(format!("a recv is not reported though there is something: {self:?}"));
        }
        if let Some(mail) = self.mail.as_ref().filter(|_| self.ending.is_none())
            && (!self.sends.is_empty() || self.recv_outstanding && mail.has_incoming())
        {
            return Err(format!("datagrams go neither way: {self:?}"));
        }
        if peer_reads && !self.sends.is_empty() {
            return Err(format!("sends are not reported though the client reads: {self:?}"));
        }
        if !self.has_told(setup) {
            return Err(format!("a mark was crossed and nobody told: {self:?}"));
        }
        // Longer than every time limit.
        if self.ending.is_none() && self.recv_outstanding && (self.recv_cancelled || self.recv_limit.is_some()) {
            return Err(format!("a recv goes on though it was to end: {self:?}"));
        }
        if self.sends.iter().any(|send| send.picked || send.limit.is_some()) {
            return Err(format!("a send goes on though it was to end: {self:?}"));
        }
        if self.timer.is_some() {
            return Err(format!("a timer runs though its time has passed: {self:?}"));
        }
        if may_idle && (self.recv_outstanding || !self.sends.is_empty()) {
            return Err(format!("no farewell though it has been idle: {self:?}"));
        }
        if self.ending.is_some() || self.found_closed {
            return Err(format!("no farewell though the end has begun: {self:?}"));
        }
        Ok(())
    }
}
