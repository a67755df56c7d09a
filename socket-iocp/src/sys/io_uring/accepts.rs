//! Accepts under way: where the kernel writes the peer's address, and which listener each belongs to.

use super::tag::{Kind, Tag};
use crate::sys::ListenerKey;
use libc::{sockaddr, socklen_t};
use socket2::{SockAddr, SockAddrStorage};

/// Addresses are allocated so many at a time, and never move or go away while the backend lives.
const CHUNK: usize = 64;

/// The kernel's while the accept is under way.
struct Address {
    storage: SockAddrStorage,
    len: socklen_t,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Free,
    Pending(Tag),
}

/// A slab of accepts. Entries are used again, so a steady number of accepts allocates nothing.
pub(super) struct Accepts {
    /// Chunks of a fixed length: entry `i` has address `i % CHUNK` of chunk `i / CHUNK`.
    addresses: Vec<Vec<Address>>,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

impl Accepts {
    pub(super) fn new() -> Accepts {
        Accepts { addresses: Vec::new(), entries: Vec::new(), free: Vec::new() }
    }

    /// Takes an entry for an accept, or for the poll that stands for one. `None`: memory was refused.
    pub(super) fn begin(&mut self, kind: Kind, listener: ListenerKey) -> Option<Tag> {
        if self.free.is_empty() {
            self.grow()?;
        }
        let index = self.free.pop()?;
        let tag = Tag::new(kind, index, listener.0);
        self.entries[index as usize] = Entry::Pending(tag);
        Some(tag)
    }

    /// Where the kernel is to write the address and its length.
    pub(super) fn address(&mut self, tag: Tag) -> (*mut sockaddr, *mut socklen_t) {
        let address = self.address_of(tag);
        // SAFETY: the entry was taken by `begin`, so the address is not the kernel's yet.
        unsafe {
            (*address).len = size_of::<SockAddrStorage>() as socklen_t;
            ((&raw mut (*address).storage).cast(), &raw mut (*address).len)
        }
    }

    /// The accept has ended with success: the peer's address, if the kernel wrote one.
    pub(super) fn remote(&mut self, tag: Tag) -> Option<SockAddr> {
        let address = self.address_of(tag);
        // SAFETY: the accept's completion has been taken, so the address is no longer the kernel's; it has written
        // `len` bytes of it, zeros or an older address follow.
        unsafe {
            let len = (*address).len.min(size_of::<SockAddrStorage>() as socklen_t);
            let storage = (&raw const (*address).storage).read();
            (len > 0).then(|| SockAddr::new(storage, len))
        }
    }

    /// The accept has ended: its entry can be used again.
    pub(super) fn end(&mut self, tag: Tag) {
        let entry = &mut self.entries[tag.index() as usize];
        assert!(matches!(entry, Entry::Pending(pending) if *pending == tag), "an accept ends once");
        *entry = Entry::Free;
        self.free.push(tag.index());
    }

    /// How many entries there are, for going through them with [`pending`](Accepts::pending).
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The accept of this entry, if there is one and it is the listener's.
    pub(super) fn pending(&self, index: usize, listener: ListenerKey) -> Option<Tag> {
        match self.entries.get(index) {
            Some(Entry::Pending(tag)) if tag.listener() == listener => Some(*tag),
            _ => None,
        }
    }

    fn address_of(&mut self, tag: Tag) -> *mut Address {
        let index = tag.index() as usize;
        let chunk = &mut self.addresses[index / CHUNK];
        assert!(chunk.len() == CHUNK, "chunks are made whole");
        // SAFETY: inside the chunk. No reference to an address is made here or anywhere, since the kernel may be
        // writing to its neighbours.
        unsafe { chunk.as_mut_ptr().add(index % CHUNK) }
    }

    fn grow(&mut self) -> Option<()> {
        let first = self.entries.len() as u32;
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).ok()?;
        self.addresses.try_reserve(1).ok()?;
        self.entries.try_reserve(CHUNK).ok()?;
        self.free.try_reserve(self.entries.len() + CHUNK).ok()?;
        chunk.resize_with(CHUNK, || Address { storage: SockAddrStorage::zeroed(), len: 0 });
        self.addresses.push(chunk);
        self.entries.resize(self.entries.len() + CHUNK, Entry::Free);
        self.free.extend((first..first + CHUNK as u32).rev());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_used_again_and_addresses_stay() {
        let mut accepts = Accepts::new();
        let listener = ListenerKey(7);
        let tags: Vec<Tag> = (0..100).map(|_| accepts.begin(Kind::Accept, listener).expect("memory")).collect();
        let addresses: Vec<_> = tags.iter().map(|tag| accepts.address(*tag)).collect();
        assert_eq!((0..accepts.len()).filter_map(|index| accepts.pending(index, listener)).count(), 100);
        assert_eq!((0..accepts.len()).filter_map(|index| accepts.pending(index, ListenerKey(8))).count(), 0);
        let len = accepts.len();
        for (tag, address) in tags.iter().zip(&addresses) {
            accepts.end(*tag);
            let again = accepts.begin(Kind::Accept, listener).expect("memory");
            assert_eq!((again, accepts.address(again)), (*tag, *address));
        }
        assert_eq!(accepts.len(), len);
    }
}
