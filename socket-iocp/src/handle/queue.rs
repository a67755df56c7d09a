//! What a port counts of the async sends outstanding, and how much it lets be. What a port does not need is not counted.

use crate::options::Options;
use crate::{Error, ErrorCode};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A port's limits and marks; the greatest number is no limit.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Sends of one socket.
    pub(super) max_sends: u32,
    /// Bytes of one socket.
    pub(super) max_bytes: u32,
    /// Whether the bytes of each socket are counted, limited or not.
    pub(crate) counts_bytes: bool,
    /// Where a socket's program is told that its bytes have become many, or few again.
    pub(crate) marks: Option<Marks>,
    pub(crate) port: PortBytes,
}

/// Of the bytes queued on one socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marks {
    pub(crate) high: u32,
    pub(crate) low: u32,
}

impl Queue {
    pub(crate) fn new(options: &Options) -> Queue {
        let marks = options.high_watermark.map(|high| Marks { high, low: options.low_watermark });
        Queue {
            max_sends: options.max_queued_sends,
            max_bytes: options.max_queued_bytes,
            counts_bytes: options.max_queued_bytes != u32::MAX || marks.is_some(),
            marks,
            port: PortBytes { queued: AtomicUsize::new(0), limit: options.max_port_queued_bytes },
        }
    }

    /// Whether anything is counted: then a worker counts what it has, for the statistics.
    pub(crate) fn counts(&self) -> bool {
        self.counts_sends() || self.counts_bytes || self.port.is_limited()
    }

    pub(super) fn counts_sends(&self) -> bool {
        self.max_sends != u32::MAX
    }
}

/// The bytes in the async sends of all sockets of a port: one count for all threads, touched only where it is limited.
#[derive(Debug)]
pub(crate) struct PortBytes {
    queued: AtomicUsize,
    limit: usize,
}

impl PortBytes {
    pub(crate) fn is_limited(&self) -> bool {
        self.limit != usize::MAX
    }

    /// So many more, up to the limit; else `Limit`.
    pub(super) fn add(&self, amount: usize) -> Result<(), Error> {
        if !self.is_limited() {
            return Ok(());
        }
        let more = |queued: usize| queued.checked_add(amount).filter(|sum| *sum <= self.limit);
        let added = self.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        added.map(drop).map_err(|_| ErrorCode::Limit.into())
    }

    /// Takes back what [`add`](PortBytes::add) was given.
    pub(super) fn subtract(&self, amount: usize) {
        if self.is_limited() {
            self.queued.fetch_sub(amount, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(options: Options) -> Queue {
        Queue::new(&options)
    }

    #[test]
    fn what_is_not_asked_for_is_not_counted() {
        let plain = queue(Options::new(1));
        assert!(!plain.counts());
        assert!(!plain.counts_sends() && !plain.counts_bytes && !plain.port.is_limited() && plain.marks.is_none());
        assert!(queue(Options::new(1).max_queued_sends(1)).counts_sends());
        assert!(queue(Options::new(1).max_queued_bytes(1)).counts_bytes);
        let marked = queue(Options::new(1).high_watermark(2).low_watermark(1));
        assert_eq!((marked.counts_bytes, marked.marks), (true, Some(Marks { high: 2, low: 1 })));
    }

    #[test]
    fn a_port_counts_up_to_its_limit() {
        let port = queue(Options::new(1).max_port_queued_bytes(5)).port;
        assert_eq!(port.add(3), Ok(()));
        for refused in [3, usize::MAX] {
            assert_eq!(port.add(refused), Err(ErrorCode::Limit.into()));
        }
        assert_eq!(port.add(2), Ok(()));
        port.subtract(3);
        assert_eq!(port.add(3), Ok(()));
    }
}
