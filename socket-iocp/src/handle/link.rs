//! Links: what an inbox is made of.

use super::INDEX_BITS;
use super::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::time::Limit;
use std::ptr;

/// What a link is embedded in, and so what the message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// In a block of its own.
    AsyncSend,
    /// An async send as well, in the room that its buffer has for it.
    CarriedSend,
    SyncSend,
    Recv,
    Control,
    Accepted,
    CancelSends,
    /// As `Recv`, in the slot of a datagram socket.
    Datagram,
}

const KINDS: [Kind; 8] = [
    Kind::AsyncSend,
    Kind::CarriedSend,
    Kind::SyncSend,
    Kind::Recv,
    Kind::Control,
    Kind::Accepted,
    Kind::CancelSends,
    Kind::Datagram,
];

/// Above the index.
const KIND_SHIFT: u32 = INDEX_BITS;

/// A message to a worker about one slot. It has one owner at a time; the atomics are for moving it between threads
/// without `unsafe`, and cost nothing when relaxed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) next: AtomicPtr<Link>,
    kind_and_index: AtomicU32,
    limit: AtomicU32,
}

impl Link {
    pub(crate) fn new(kind: Kind, index: u32) -> Link {
        Link {
            next: AtomicPtr::new(ptr::null_mut()),
            kind_and_index: AtomicU32::new((kind as u32) << KIND_SHIFT | index),
            limit: AtomicU32::new(Limit::NONE.into_number()),
        }
    }

    pub(crate) fn index(&self) -> u32 {
        self.kind_and_index.load(Ordering::Relaxed) & ((1 << KIND_SHIFT) - 1)
    }

    pub(crate) fn kind(&self) -> Kind {
        KINDS[(self.kind_and_index.load(Ordering::Relaxed) >> KIND_SHIFT) as usize]
    }

    pub(crate) fn set_kind(&self, kind: Kind) {
        self.kind_and_index.store((kind as u32) << KIND_SHIFT | self.index(), Ordering::Relaxed);
    }

    /// The time limit of the link's operation: a recv's or a send's own; in the link of control requests, the timer's. Its
    /// owner is the operation's.
    pub(crate) fn limit(&self) -> Limit {
        Limit::from_number(self.limit.load(Ordering::Relaxed))
    }

    pub(crate) fn set_limit(&self, limit: Limit) {
        self.limit.store(limit.into_number(), Ordering::Relaxed);
    }

    /// Publishes a limit with what was written before it: the timer's, which tells the worker that the timer was issued.
    pub(crate) fn publish_limit(&self, limit: Limit) {
        self.limit.store(limit.into_number(), Ordering::Release);
    }

    /// The limit, and with it what was written before it was published.
    pub(crate) fn published_limit(&self) -> Limit {
        Limit::from_number(self.limit.load(Ordering::Acquire))
    }
}
