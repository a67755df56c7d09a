//! Links: what an inbox is made of.

use super::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};
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
}

const KINDS: [Kind; 6] =
    [Kind::AsyncSend, Kind::CarriedSend, Kind::SyncSend, Kind::Recv, Kind::Control, Kind::Accepted];

/// A message to a worker about one slot. It has one owner at a time; the atomics are for moving it between threads
/// without `unsafe`, and cost nothing when relaxed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) next: AtomicPtr<Link>,
    index: AtomicU32,
    kind: AtomicU8,
}

impl Link {
    pub(crate) fn new(kind: Kind, index: u32) -> Link {
        Link { next: AtomicPtr::new(ptr::null_mut()), index: AtomicU32::new(index), kind: AtomicU8::new(kind as u8) }
    }

    pub(crate) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    pub(crate) fn kind(&self) -> Kind {
        KINDS[usize::from(self.kind.load(Ordering::Relaxed))]
    }

    pub(crate) fn set_kind(&self, kind: Kind) {
        self.kind.store(kind as u8, Ordering::Relaxed);
    }
}
