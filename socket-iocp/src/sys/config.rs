//! What a backend is told of its port's options.

use super::net;
use crate::Options;
use std::time::Duration;

/// What a backend is made from. Not every backend minds everything.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "what one backend minds is nothing to another")]
pub(crate) struct Config {
    /// The caller drives the port, from changing threads.
    pub(crate) driven: bool,
    /// A send that goes on reports what it has done so far, as the idle time-out wants it.
    pub(crate) show_progress: bool,
    /// See `Options::zero_copy_from`.
    pub(crate) zero_copy_from: u32,
    /// See `Options::sqpoll`.
    pub(crate) sqpoll: Option<Duration>,
    /// See `Options::multishot_recv`.
    pub(crate) multishot_recv: bool,
    /// See `Options::idle_reads`.
    pub(crate) idle_reads: bool,
    /// See `Options::skip_on_success`.
    pub(crate) skip_on_success: Option<bool>,
    /// Whose sockets they are; only the simulation has to be told.
    #[cfg(feature = "sim")]
    pub(crate) net: net::Net,
}

impl Config {
    pub(crate) fn new(options: &Options, net: &net::Net) -> Config {
        #[cfg(not(feature = "sim"))]
        let _ = net;
        Config {
            driven: options.threads == Some(0),
            show_progress: options.idle_timeout.is_some(),
            zero_copy_from: options.zero_copy_from,
            sqpoll: options.sqpoll,
            multishot_recv: options.multishot_recv,
            idle_reads: options.idle_reads,
            skip_on_success: options.skip_on_success,
            #[cfg(feature = "sim")]
            net: net.clone(),
        }
    }
}
