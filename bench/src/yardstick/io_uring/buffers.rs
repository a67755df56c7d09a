//! A ring of provided buffers.

use crate::error::{Doing, Error};
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::alloc::{self, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The only group of buffers.
pub(super) const GROUP: u16 = 0;
/// The most bytes of buffers; memory is taken for those only that come into use.
const MAX_BYTES: usize = 256 << 20;
/// From the end of one buffer to the next: a cache line, so that their first lines do not all fall into one set of the
/// cache.
const GAP: usize = 64;
/// The kernel wants the ring to start a page.
const PAGE: usize = 4096;

/// The ring and its buffers. They are never freed: the kernel may still write to them while it takes the io_uring down.
///
/// The kernel takes buffers in turn. So one is in use at first, and one more comes into use for each recv that found none:
/// the fewer there are, the more of them are in the cache.
pub(super) struct Buffers {
    len: usize,
    /// Entries of the ring, a power of two; there is memory for as many buffers.
    entries: u16,
    in_use: u16,
    tail: u16,
    ring: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
}

impl Buffers {
    /// Buffers of `len` bytes, registered.
    pub(super) fn register(len: usize, submitter: &Submitter<'_>) -> Result<Buffers, Error> {
        let most = (MAX_BYTES / (len + GAP)).clamp(1, 1 << 15);
        let entries = 1 << most.ilog2();
        let ring = allocate(usize::from(entries) * size_of::<BufRingEntry>(), alloc::alloc_zeroed);
        // Zeroing would touch all of it.
        let bytes = allocate(usize::from(entries) * (len + GAP), alloc::alloc);
        let mut buffers = Buffers { len, entries, in_use: 0, tail: 0, ring: ring.cast(), bytes };
        // SAFETY: the ring has this many entries and is never freed.
        unsafe { submitter.register_buf_ring_with_flags(ring.as_ptr() as u64, entries, GROUP, 0) }
            .needed("registering a buffer ring")?;
        buffers.use_one_more()?;
        Ok(buffers)
    }

    /// Brings one more buffer into use, for a recv that found none.
    pub(super) fn use_one_more(&mut self) -> Result<(), Error> {
        if self.in_use == self.entries {
            return Err(Error::failed(format!("all {} buffers are held", self.entries)));
        }
        self.provide(self.in_use);
        self.in_use += 1;
        Ok(())
    }

    /// What a recv has put into a buffer.
    pub(super) fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < self.in_use && len <= self.len, "as the kernel was given them");
        // SAFETY: inside the allocation, and the kernel has written that much of a buffer that it no longer has.
        unsafe { std::slice::from_raw_parts(self.address(id), len) }
    }

    fn address(&self, id: u16) -> *mut u8 {
        // SAFETY: ids are below `entries`.
        unsafe { self.bytes.add(usize::from(id) * (self.len + GAP)).as_ptr() }
    }

    /// Gives a buffer (back) to the kernel, which sees it after the next `publish`.
    pub(super) fn provide(&mut self, id: u16) {
        let place = usize::from(self.tail & (self.entries - 1));
        // SAFETY: the place is in the ring. No buffer is in it twice and it has room for all, so the kernel has consumed what
        // was here.
        let entry = unsafe { &mut *self.ring.as_ptr().add(place) };
        entry.set_addr(self.address(id) as u64);
        entry.set_len(self.len as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what has been provided.
    pub(super) fn publish(&self) {
        // SAFETY: the tail is in the ring's first entry, and after `provide` only atomics touch it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

fn allocate(size: usize, allocator: unsafe fn(Layout) -> *mut u8) -> NonNull<u8> {
    let layout = Layout::from_size_align(size, PAGE).expect("far below the address space");
    // SAFETY: the size is not zero.
    let memory = unsafe { allocator(layout) };
    NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}
