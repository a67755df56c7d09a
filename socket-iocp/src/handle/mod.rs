//! Handles, and the memory behind them.
//!
//! This is where the engine shares memory between threads: slots and their generations, the claims, the nodes of sends,
//! the inboxes. The state machines above contain no `unsafe`.

mod atomic;
mod boxed;
mod cancel;
mod current;
mod inbox;
mod issue;
mod link;
mod mailbox;
#[cfg(all(test, loom))]
mod models;
mod node;
mod pair;
mod queue;
mod slot;
mod table;
mod tally;
mod token;
mod word;

pub(crate) use boxed::boxed;
pub(crate) use cancel::Which;
pub(crate) use current::{PortNumber, is_inside};
pub(crate) use inbox::Message;
pub(crate) use issue::Refused;
pub(crate) use mailbox::Mailbox;
pub(crate) use node::{NodeList, NodeRef, Send};
pub(crate) use pair::{Borrowed, Pair};
pub(crate) use queue::{Marks, Queue};
pub(crate) use slot::{NewSlot, Slot, SlotHead, Slots, find_live, identity_kept, resolve};
pub(crate) use table::{Entry, SocketTable};
pub(crate) use token::Token;
pub(crate) use word::{Claimer, Control};

/// Names a connected socket of a port. It is a number, not a pointer: using one whose socket is gone is
/// [`ErrorCode::Closed`](crate::ErrorCode::Closed), even when its place and its descriptor number are in use again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SocketHandle {
    index: u32,
    generation: u32,
}

/// Sockets that a process can have at once: 16 million, a million where pointers have 32 bits.
const INDEX_BITS: u32 = if usize::BITS == 64 { 24 } else { 20 };
/// A raw handle is, from the top: generation, index, a zero bit.
const GENERATION_SHIFT: u32 = if usize::BITS == 64 { 32 } else { INDEX_BITS + 1 };
/// A slot that has seen this many sockets is not used again.
const MAX_GENERATION: u32 = if usize::BITS == 64 { u32::MAX } else { u32::MAX >> GENERATION_SHIFT };

impl SocketHandle {
    pub(crate) fn new(index: u32, generation: u32) -> SocketHandle {
        SocketHandle { index, generation }
    }

    pub(crate) fn index(self) -> u32 {
        self.index
    }

    pub(crate) fn generation(self) -> u32 {
        self.generation
    }

    /// The handle as a number of pointer size: never 0, the lowest bit always 0.
    pub fn into_raw(self) -> usize {
        (self.generation as usize) << GENERATION_SHIFT | (self.index as usize) << 1
    }

    /// The handle of a number from [`into_raw`](SocketHandle::into_raw); `None` for a number that cannot be one.
    pub fn from_raw(raw: usize) -> Option<SocketHandle> {
        let index = (raw >> 1) & ((1 << (GENERATION_SHIFT - 1)) - 1);
        let generation = (raw >> GENERATION_SHIFT) as u32;
        let fits = raw & 1 == 0 && generation != 0 && index < 1 << INDEX_BITS;
        fits.then_some(SocketHandle { index: index as u32, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::SocketHandle;

    #[test]
    fn raw_handles_come_back() {
        let handle = SocketHandle::new(0x00ab_cdef & 0xf_ffff, 7);
        assert_eq!(SocketHandle::from_raw(handle.into_raw()), Some(handle));
    }

    #[test]
    fn what_cannot_be_a_handle_is_none() {
        let handle = SocketHandle::new(3, 1).into_raw();
        for raw in [0, 1, handle | 1, 0x10, 0xffff] {
            assert_eq!(SocketHandle::from_raw(raw), None, "{raw:#x}");
        }
    }
}
