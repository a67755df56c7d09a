//! Sockets that are being connected: how that may end, and when it has to.

use super::{Broken, Socket};
use crate::program::{Host, Whither};
use socket_iocp::ErrorCode;
use std::net::SocketAddr;
use std::time::Duration;

/// A connect that has not been told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connect {
    /// Of a host: what the best of its addresses is; that of an unknown one is nobody's.
    pub(crate) whither: Whither,
    /// The host, if it is to one: until it is connected there is no socket.
    pub(crate) host: Option<Host>,
    /// The socket's own address if there is one yet, and where it is connected to.
    pub(crate) ends: (Option<SocketAddr>, Option<SocketAddr>),
    /// When its time limit is over.
    pub(crate) limit: Option<Duration>,
    pub(crate) cancelled: bool,
}

impl Connect {
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.limit.is_some_and(|limit| limit <= now)
    }

    /// Whether nobody answers.
    fn is_silent(&self) -> bool {
        self.whither == Whither::Silent
    }

    /// Whether nobody answers once the addresses that do have failed.
    fn may_be_silent(&self) -> bool {
        matches!(self.host, Some(Host::Known(Whither::Silent, _) | Host::Known(_, Whither::Silent)))
    }

    /// Whether the socket may have ended for this cause.
    pub(super) fn explains(&self, code: ErrorCode, now: Duration) -> bool {
        match code {
            ErrorCode::Unresolved => self.host == Some(Host::Unknown),
            ErrorCode::Refused => self.whither == Whither::Nobody && self.host != Some(Host::Unknown),
            ErrorCode::TimedOut => self.is_over(now),
            ErrorCode::Cancelled => self.cancelled,
            _ => false,
        }
    }

    /// Whether it must have ended before nothing moves any more. `may_fail`: addresses that answer may have failed.
    pub(super) fn must_end(&self, may_fail: bool) -> bool {
        self.limit.is_some() || self.cancelled || !(self.is_silent() || may_fail && self.may_be_silent())
    }
}

impl Socket {
    /// A socket that is being connected.
    pub(crate) fn connecting(self, connect: Connect) -> Socket {
        Socket { connect: Some(connect), ..self }
    }

    /// Whether it is being connected, or has ended before it was.
    pub(crate) fn is_connecting(&self) -> bool {
        self.connect.is_some()
    }

    /// Whether it is being connected to a host.
    pub(crate) fn has_no_socket(&self) -> bool {
        self.connect.is_some_and(|connect| connect.host.is_some())
    }

    /// The connect callback.
    pub(crate) fn connected(
        &mut self,
        ends: (Option<SocketAddr>, Option<SocketAddr>),
        now: Duration,
    ) -> Result<(), Broken> {
        let Some(connect) = self.connect.take().filter(|_| !self.ended) else {
            return Err(format!("a connect callback without a connect: {self:?}"));
        };
        let answers = matches!(connect.whither, Whither::Far | Whither::Own(_));
        let local_differs = connect.ends.0.is_some() && connect.ends.0 != ends.0;
        if !answers || local_differs || connect.ends.1 != ends.1 {
            return Err(format!("{connect:?} has connected {ends:?}: {self:?}"));
        }
        self.connected_late = connect.is_over(now);
        // The idle time-out begins.
        self.recv_since = now;
        self.send_since = if self.sends.is_empty() { Duration::MAX } else { now };
        Ok(())
    }
}
