//! Counters of a port, and of each of its workers.
//!
//! Each is written by one worker alone, by a plain load and a plain store, so that counting costs no more than the memory that it
//! is in; whoever reads takes them one by one, while the workers go on.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a port, or one of its workers, has done since the port was made. Counters only grow, but for the gauges, named
        /// `…_now`.
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct Statistics {
            /// Connected sockets in the port now, and those of datagrams.
            pub sockets_now: u64,
            /// Listen sockets in the port now; of a worker, those on which it accepts.
            pub listeners_now: u64,
            /// Wake-ups of a worker by another thread.
            pub wakeups: u64,
            /// Workers; 1 where the caller drives the port.
            pub workers_now: u64,
            /// Async sends outstanding now, those that are on their way from another thread to their worker excepted. Counted
            /// only in a port that limits sends or bytes, or has a watermark.
            pub queued_sends_now: u64,
            /// The bytes in them, each counted whole until its callback. Likewise.
            pub queued_bytes_now: u64,
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// One worker's counters: written by the worker alone, read by anybody.
        #[derive(Default, Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
            /// Async sends that the worker has and has not reported, where the port counts them.
            pub(crate) queued_sends: Gauge,
            /// Their bytes.
            pub(crate) queued_bytes: Gauge,
        }

        impl Counters {
            pub(crate) fn add_to(&self, statistics: &mut Statistics) {
                $(statistics.$name += self.$name.get();)+
                statistics.queued_sends_now += self.queued_sends.now();
                statistics.queued_bytes_now += self.queued_bytes.now();
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
    /// Of the times that a recv had to wait, those for want of a free read buffer in the worker's ring (`ENOBUFS`).
    empty_rings,
    /// Pauses of a worker before it tried again what had found no memory.
    shortage_pauses,
    /// Sockets that the linger limit has ended.
    linger_timeouts,
    /// Sockets that the idle time-out has ended.
    idle_timeouts,
    /// Times that the bytes queued on a socket rose above the high mark.
    high_watermarks,
    /// Timers that have ended, cancelled ones included.
    timers,
    /// Recvs and sends that their own time limit has ended.
    operation_timeouts,
}

/// How much has come and not gone, with one writer.
#[derive(Default, Debug)]
pub(crate) struct Gauge(Counter);

impl Gauge {
    pub(crate) fn add(&self, count: u64) {
        self.0.add(count);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.add(count.wrapping_neg());
    }

    fn now(&self) -> u64 {
        self.0.get()
    }
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
