//! Counters of a port.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a port has done since it was made. Counters only grow, but for the gauges, named `…_now`.
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct Statistics {
            /// Connected sockets in the port now.
            pub sockets_now: u64,
            /// Listen sockets in the port now.
            pub listeners_now: u64,
            /// Wake-ups of a worker by another thread.
            pub wakeups: u64,
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// One worker's counters: written by the worker alone, read by anybody.
        #[derive(Default, Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            pub(crate) fn add_to(&self, statistics: &mut Statistics) {
                $(statistics.$name += self.$name.0.load(Ordering::Relaxed);)+
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepts,
    /// Connects completed with success.
    connects,
    /// Recvs completed with data or FIN.
    recvs,
    /// Sends completed with success.
    sends,
    /// Bytes received.
    received_bytes,
    /// Bytes sent.
    sent_bytes,
    /// Farewells delivered.
    farewells,
    /// Panics of a handler caught.
    panics,
    /// Accepts that failed and were tried again.
    accept_errors,
    /// Times that a listener backed off for want of descriptors or memory.
    accept_backoffs,
    /// Times that a recv or a send had to wait for memory: a read buffer, or the kernel's.
    buffer_shortages,
    /// Waits for completions (system calls).
    waits,
    /// Completions taken from the operating system.
    completions,
}

/// A counter with one writer: no read-modify-write is needed.
#[derive(Default, Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }
}
