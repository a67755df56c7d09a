//! What is measured, and how strongly it is attacked.

use super::attack::Attack;
use crate::{Error, MAX_CONNECTIONS, MAX_MESSAGE_BYTES};
use serde::{Deserialize, Serialize};
use socket_iocp::BackendKind;
use std::time::Duration;

/// What to measure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostileOptions {
    /// How often each comparison is made. From 6 on the intervals of the ratios have a confidence of 95%.
    pub rounds: usize,
    /// The time for which each server is measured.
    pub window: Duration,
    /// Connections of the good load, 1 to [`MAX_CONNECTIONS`].
    pub connections: usize,
    /// Bytes of each good message, 1 to [`MAX_MESSAGE_BYTES`].
    pub message_bytes: usize,
    /// Good messages a second: so few that the server is idle most of the time.
    pub messages_per_second: f64,
    /// The attackers.
    pub strength: Strength,
    /// What the limited one of the servers lets a peer have.
    pub limits: Limits,
    /// `BackendKind::name`s: `io_uring`, `readiness`.
    pub backends: Vec<String>,
    /// Which attacks.
    pub attacks: Vec<Attack>,
}

/// How strong the attacks are.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Strength {
    /// Silent connections.
    pub silent: usize,
    /// Connections of each other kind that are open at once, at least 1.
    pub peers: usize,
    /// Messages (of one byte, or never read) a second, of all attackers.
    pub messages_per_second: f64,
    /// New connections a second, of all attackers.
    pub connections_per_second: f64,
}

/// What a server lets a peer have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// `Options::idle_timeout`.
    pub idle_timeout: Option<Duration>,
    /// `Options::max_queued_sends`.
    pub max_queued_sends: u32,
    /// `Options::max_queued_bytes`, at least a read buffer.
    pub max_queued_bytes: u32,
}

impl HostileOptions {
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "measured on Linux only"))]
    pub(crate) fn backend_kinds(&self) -> Result<Vec<BackendKind>, Error> {
        let kind_of = |name: &String| {
            BackendKind::from_name(name).ok_or_else(|| Error::cannot_start(format!("no backend named {name}")))
        };
        self.backends.iter().map(kind_of).collect()
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let rates = [self.messages_per_second, self.strength.messages_per_second, self.strength.connections_per_second];
        let load_fits = (1..=MAX_CONNECTIONS).contains(&self.connections)
            && (1..=MAX_MESSAGE_BYTES).contains(&self.message_bytes)
            && rates.iter().all(|rate| rate.is_finite() && *rate > 0.0);
        let limits_fit = self.limits.max_queued_sends > 0 && self.limits.max_queued_bytes as usize >= MAX_MESSAGE_BYTES;
        if self.rounds == 0 || self.window.is_zero() || self.strength.peers == 0 || !load_fits || !limits_fit {
            return Err(Error::cannot_start(format!("out of range: {self:?}")));
        }
        Ok(())
    }
}
