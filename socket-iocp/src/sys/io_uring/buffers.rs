//! The provided-buffer ring: read buffers that the kernel takes from when there is data, so that a recv that waits
//! holds none.
//!
//! See [`io_uring_register_buf_ring(3)`](https://man7.org/linux/man-pages/man3/io_uring_register_buf_ring.3.html).

use super::faults;
use super::setup::from_io;
use super::wake::last_os_error;
use crate::buffer::{Block, BufferPool};
use crate::{Error, ErrorCode};
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

/// The one buffer group of a ring.
pub(super) const GROUP: u16 = 0;
/// The most buffers that a ring has with the kernel at once.
const MAX_ENTRIES: usize = 4096;
/// The most bytes of buffers that a ring has with the kernel at once, one buffer excepted.
const MAX_BYTES: usize = 16 << 20;
/// Buffers given to the kernel at first; the number doubles whenever they run out.
const FIRST_FILL: usize = 32;

/// The ring shared with the kernel, and the blocks behind its entries.
///
/// Invariant: block `id` is in `blocks` exactly while the kernel may write to it, that is from the entry's publication
/// until the completion that names it is taken; its id is in `free_ids` at all other times.
pub(super) struct BufferRing {
    /// An anonymous mapping of its own, page-aligned as the kernel wants it; not in a forked child.
    entries: NonNull<BufRingEntry>,
    capacity: usize,
    /// Counts the entries ever published, modulo 2^16; the kernel's copy is set by `publish` alone.
    tail: u16,
    blocks: Vec<Option<Block>>,
    free_ids: Vec<u16>,
    /// The number of buffers that the kernel should have, at most `capacity`.
    target: usize,
    /// A recv has found the ring empty since the last fill.
    ran_out: bool,
}

// SAFETY: the mapping has one owner, this value; the kernel does not care which thread writes to it.
unsafe impl Send for BufferRing {}

impl BufferRing {
    /// Makes a ring with its first buffers. The caller registers it.
    pub(super) fn new(pool: &mut BufferPool) -> Result<BufferRing, Error> {
        let capacity = faults::buffers(capacity_for(pool.buffer_size()));
        let mut blocks = Vec::new();
        let mut free_ids = Vec::new();
        blocks.try_reserve_exact(capacity).map_err(|_| ErrorCode::NoMemory)?;
        free_ids.try_reserve_exact(capacity).map_err(|_| ErrorCode::NoMemory)?;
        blocks.resize_with(capacity, || None);
        free_ids.extend((0..capacity as u16).rev());
        let entries = map_entries(capacity)?;
        let target = FIRST_FILL.min(capacity);
        let mut ring = BufferRing { entries, capacity, tail: 0, blocks, free_ids, target, ran_out: false };
        ring.refill(pool);
        if ring.provided() == 0 { Err(ErrorCode::NoMemory.into()) } else { Ok(ring) }
    }

    /// Tells the kernel of the ring.
    ///
    /// # Safety
    /// This value lives until nothing of the submitter's ring is under way any more (see `end.rs`).
    pub(super) unsafe fn register(&self, submitter: &Submitter<'_>) -> Result<(), Error> {
        let address = self.entries.as_ptr() as u64;
        // SAFETY: the mapping holds `capacity` entries; the caller keeps it.
        unsafe { submitter.register_buf_ring_with_flags(address, self.capacity as u16, GROUP, 0) }
            .map_err(|error| from_io(&error))
    }

    /// A recv was refused because the ring was empty: the next fill is larger.
    pub(super) fn note_ran_out(&mut self) {
        self.ran_out = true;
    }

    /// Gives the kernel as many buffers as it should have, or as memory allows.
    pub(super) fn refill(&mut self, pool: &mut BufferPool) {
        if self.ran_out {
            self.ran_out = false;
            self.target = (self.target * 2).min(self.capacity);
        }
        if self.provided() >= self.target {
            return;
        }
        while self.provided() < self.target {
            let Some(block) = pool.take() else { break };
            self.add(block, pool.buffer_size() as u32);
        }
        self.publish();
    }

    /// Takes the block of a buffer that a completion has named.
    pub(super) fn take(&mut self, id: u16) -> Block {
        let block = self.blocks[usize::from(id)].take().expect("the kernel names a buffer that it was given");
        self.free_ids.push(id);
        block
    }

    /// Buffers that the kernel has, or has filled and not yet reported.
    pub(super) fn provided(&self) -> usize {
        self.capacity - self.free_ids.len()
    }

    fn add(&mut self, block: Block, buffer_size: u32) {
        let id = self.free_ids.pop().expect("fewer buffers are provided than there are ids");
        let place = usize::from(self.tail) & (self.capacity - 1);
        // SAFETY: `place` is inside the mapping. The kernel does not read this entry before `publish`: at most
        // `capacity` buffers are provided, so it has consumed what was here before. The fields are written one by one
        // because the first entry shares its last two bytes with the tail.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(place);
            entry.set_addr(block.data().as_ptr() as u64);
            entry.set_len(buffer_size);
            entry.set_bid(id);
        }
        self.blocks[usize::from(id)] = Some(block);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was added.
    fn publish(&self) {
        // SAFETY: the tail lies in the mapping's first entry, and Rust and the kernel access it by atomic operations
        // only.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        // Release: the kernel's acquiring load of the tail sees the entries before it.
        tail.store(self.tail, Ordering::Release);
    }

    #[cfg(test)]
    pub(super) fn target(&self) -> usize {
        self.target
    }
}

impl Drop for BufferRing {
    /// Only after the kernel is done with the ring (see `end.rs`).
    fn drop(&mut self) {
        for block in self.blocks.drain(..).flatten() {
            block.release();
        }
        // SAFETY: the mapping is this value's own and nobody uses it any more.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), mapping_len(self.capacity)) };
    }
}

fn capacity_for(buffer_size: usize) -> usize {
    let fitting = (MAX_BYTES / buffer_size).clamp(1, MAX_ENTRIES);
    // The largest power of two that is not above it.
    1 << fitting.ilog2()
}

fn mapping_len(capacity: usize) -> usize {
    capacity * size_of::<BufRingEntry>()
}

fn map_entries(capacity: usize) -> Result<NonNull<BufRingEntry>, Error> {
    let len = mapping_len(capacity);
    // SAFETY: a new anonymous mapping, zeroed, which touches nothing else.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(last_os_error());
    }
    // The kernel pins these very pages: a fork must not make them copy-on-write, or this process would go on with
    // copies that the kernel does not see.
    // SAFETY: the mapping made above.
    if unsafe { libc::madvise(address, len, libc::MADV_DONTFORK) } != 0 {
        let error = last_os_error();
        // SAFETY: the mapping made above, which nobody has seen.
        unsafe { libc::munmap(address, len) };
        return Err(error);
    }
    NonNull::new(address.cast()).ok_or(ErrorCode::NoMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capacity_is_a_power_of_two_within_the_limits() {
        assert_eq!(capacity_for(1), MAX_ENTRIES);
        assert_eq!(capacity_for(4096), 4096);
        assert_eq!(capacity_for(4097), 2048);
        assert_eq!(capacity_for(16 << 20), 1);
        assert_eq!(capacity_for(1 << 30), 1);
    }

    #[test]
    fn blocks_go_around() {
        let mut pool = BufferPool::new(64);
        let mut ring = BufferRing::new(&mut pool).expect("memory");
        assert_eq!(ring.provided(), FIRST_FILL);
        // More than 2^16 turns: the tail wraps.
        for turn in 0..70_000_u32 {
            let id = (turn % FIRST_FILL as u32) as u16;
            let block = ring.take(id);
            pool.put(block);
            ring.refill(&mut pool);
            assert_eq!(ring.provided(), FIRST_FILL);
        }
    }

    #[test]
    fn the_fill_doubles_up_to_the_capacity() {
        let mut pool = BufferPool::new(MAX_BYTES / 128);
        let mut ring = BufferRing::new(&mut pool).expect("memory");
        for expected in [64, 128, 128] {
            ring.note_ran_out();
            ring.note_ran_out();
            for _ in 0..2 {
                ring.refill(&mut pool);
                assert_eq!(ring.provided(), expected);
            }
        }
    }
}
