//! Read buffers and their pool; send buffers are in `send.rs`.
//!
//! A read buffer is one heap block: a header, then `capacity` bytes. It has one owner at a time: a pool's list of free
//! buffers, the kernel (as a raw pointer in a backend's ring), or one [`ReadBuffer`] value. A `ReadBuffer` may be
//! dropped on any thread and may outlive its port: each block holds a reference to what its pool shares.

mod addressed;
mod carrier;
mod copied;
mod file;
mod owned;
mod parts;
mod send;

pub(crate) use addressed::{Addressed, Destination};
pub(crate) use file::FilePart;
pub use file::{RawFile, SendFile};
pub use send::SendBuffer;
pub(crate) use send::Slices;

use std::alloc::{self, Layout};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::{fmt, slice};

/// Free read buffers that a worker keeps at most, in bytes; what comes back above it goes to the allocator.
pub(crate) const MAX_FREE_BYTES: usize = 16 << 20;

#[repr(C, align(16))]
struct Header {
    /// From `Arc::into_raw`: one strong count a block.
    pool: *const Shared,
    /// The next block while in a list of free blocks.
    next: *mut Header,
    capacity: u32,
}

/// What a pool shares with the threads that drop its buffers.
#[derive(Debug)]
struct Shared {
    /// A stack of blocks that came back, pushed by any thread, taken whole.
    returned: AtomicPtr<Header>,
    /// The pool is gone: whoever pushes frees the stack.
    closed: AtomicBool,
    /// Blocks alive.
    blocks: AtomicUsize,
}

/// An owned read buffer with the bytes that a recv brought. Keep it, change it, send it to any thread, send it back
/// without a copy, drop it; it may outlive its port.
pub struct ReadBuffer {
    /// `None` for the empty buffer of a FIN.
    block: Option<NonNull<Header>>,
    len: u32,
}

// SAFETY: a `ReadBuffer` owns its block alone, and giving it back is a lock-free push that any thread may make.
unsafe impl Send for ReadBuffer {}
// SAFETY: through `&ReadBuffer` the bytes can only be read.
unsafe impl Sync for ReadBuffer {}

impl ReadBuffer {
    /// A buffer with no bytes and no memory.
    pub const fn empty() -> ReadBuffer {
        ReadBuffer { block: None, len: 0 }
    }

    /// Forgets all but the first `len` bytes; does nothing if there are no more.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len as usize {
            self.len = len as u32;
        }
    }

    /// Gives the buffer up as the address of its bytes; NULL for the empty buffer. For the C interface.
    #[doc(hidden)]
    pub fn into_raw(self) -> *mut u8 {
        let data = self.block.map_or(ptr::null_mut(), |block| data_of(block).as_ptr());
        std::mem::forget(self);
        data
    }

    /// The buffer of an address, with all its bytes.
    ///
    /// # Safety
    /// The address comes from [`into_raw`](ReadBuffer::into_raw), and is used here once.
    #[doc(hidden)]
    pub unsafe fn from_raw(data: *mut u8) -> ReadBuffer {
        let Some(data) = NonNull::new(data) else { return ReadBuffer::empty() };
        // SAFETY: the bytes follow their header, which the caller gives back alive.
        let block = unsafe { data.cast::<Header>().sub(1) };
        // SAFETY: as above.
        ReadBuffer { block: Some(block), len: unsafe { (*block.as_ptr()).capacity } }
    }

    fn data(&self) -> NonNull<u8> {
        self.block.map_or(NonNull::dangling(), data_of)
    }
}

impl Deref for ReadBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` is at most the block's capacity, its bytes were zeroed when it was made, and this value owns
        // it.
        unsafe { slice::from_raw_parts(self.data().as_ptr(), self.len as usize) }
    }
}

impl DerefMut for ReadBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { slice::from_raw_parts_mut(self.data().as_ptr(), self.len as usize) }
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadBuffer({} bytes)", self.len)
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        if let Some(block) = self.block {
            give_back(block);
        }
    }
}

fn data_of(block: NonNull<Header>) -> NonNull<u8> {
    // SAFETY: a block is a header followed by its bytes, one allocation.
    unsafe { block.add(1).cast() }
}

fn layout(capacity: u32) -> Option<Layout> {
    Layout::from_size_align(size_of::<Header>() + capacity as usize, align_of::<Header>()).ok()
}

fn give_back(block: NonNull<Header>) {
    // SAFETY: the block is alive and its strong count keeps `Shared` alive; the count taken here keeps it alive after
    // the push, when another thread may free the block.
    let shared = unsafe {
        let pool = (*block.as_ptr()).pool;
        Arc::increment_strong_count(pool);
        Arc::from_raw(pool)
    };
    let mut head = shared.returned.load(Ordering::Relaxed);
    loop {
        // SAFETY: until the exchange below succeeds this thread owns the block.
        unsafe { (*block.as_ptr()).next = head };
        match shared.returned.compare_exchange_weak(head, block.as_ptr(), Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => head = now,
        }
    }
    // The pool closes, then empties the stack; a push that it did not see sees `closed` (both are SeqCst).
    if shared.closed.load(Ordering::SeqCst) {
        free_list(shared.returned.swap(ptr::null_mut(), Ordering::SeqCst));
    }
}

fn free_list(mut head: *mut Header) {
    while let Some(block) = NonNull::new(head) {
        // SAFETY: the list was taken whole, so this thread owns its blocks.
        head = unsafe { (*block.as_ptr()).next };
        free_block(block);
    }
}

fn free_block(block: NonNull<Header>) {
    // SAFETY: the caller owns the block, which `allocate` made with this layout; its strong count goes with it.
    unsafe {
        let header = block.as_ptr();
        let (pool, capacity) = ((*header).pool, (*header).capacity);
        (*pool).blocks.fetch_sub(1, Ordering::Relaxed);
        if let Some(layout) = layout(capacity) {
            alloc::dealloc(header.cast(), layout);
        }
        drop(Arc::from_raw(pool));
    }
}

/// A worker's pool of read buffers, all of one size.
#[derive(Debug)]
pub(crate) struct BufferPool {
    shared: Arc<Shared>,
    free: *mut Header,
    free_blocks: usize,
    max_free_blocks: usize,
    capacity: u32,
}

// SAFETY: the pool owns the blocks of its free list; the rest is shared by atomics.
unsafe impl Send for BufferPool {}

impl BufferPool {
    pub(crate) fn new(buffer_size: usize) -> BufferPool {
        BufferPool {
            shared: Arc::new(Shared {
                returned: AtomicPtr::new(ptr::null_mut()),
                closed: AtomicBool::new(false),
                blocks: AtomicUsize::new(0),
            }),
            free: ptr::null_mut(),
            free_blocks: 0,
            max_free_blocks: (MAX_FREE_BYTES / buffer_size).max(1),
            capacity: buffer_size as u32,
        }
    }

    /// The size of each buffer in bytes.
    pub(crate) fn buffer_size(&self) -> usize {
        self.capacity as usize
    }

    /// A buffer for a backend to fill: its address, and the token that [`filled`](BufferPool::filled) or
    /// [`put`](BufferPool::put) takes. `None` when memory is refused.
    pub(crate) fn take(&mut self) -> Option<Block> {
        if self.free.is_null() {
            self.collect();
        }
        if let Some(block) = NonNull::new(self.free) {
            // SAFETY: blocks in the free list are the pool's.
            self.free = unsafe { (*block.as_ptr()).next };
            self.free_blocks -= 1;
            return Some(Block(block));
        }
        self.allocate()
    }

    /// Whether a buffer can be had now.
    pub(crate) fn can_supply(&mut self) -> bool {
        self.take().map(|block| self.put(block)).is_some()
    }

    /// Gives back a block that was not filled.
    pub(crate) fn put(&mut self, block: Block) {
        let header = block.0;
        if self.free_blocks >= self.max_free_blocks {
            free_block(header);
            return;
        }
        // SAFETY: the pool owns the block again.
        unsafe { (*header.as_ptr()).next = self.free };
        self.free = header.as_ptr();
        self.free_blocks += 1;
    }

    /// The buffer value of a block into which `len` bytes have been written.
    pub(crate) fn filled(&self, block: Block, len: usize) -> ReadBuffer {
        assert!(len <= self.buffer_size(), "a backend wrote past its buffer");
        ReadBuffer { block: Some(block.0), len: len as u32 }
    }

    /// Takes in what has come back; what is too much goes to the allocator. Each turn of a worker does it: a pool that never
    /// runs out would else keep whatever a peer once made it give out.
    pub(crate) fn collect(&mut self) {
        if self.shared.returned.load(Ordering::Relaxed).is_null() {
            return;
        }
        let mut head = self.shared.returned.swap(ptr::null_mut(), Ordering::Acquire);
        while let Some(block) = NonNull::new(head) {
            // SAFETY: the stack was taken whole, so its blocks are the pool's.
            head = unsafe { (*block.as_ptr()).next };
            self.put(Block(block));
        }
    }

    fn allocate(&mut self) -> Option<Block> {
        let layout = layout(self.capacity)?;
        // SAFETY: the layout's size is not zero.
        let block = NonNull::new(unsafe { alloc::alloc_zeroed(layout) }.cast::<Header>())?;
        let header =
            Header { pool: Arc::into_raw(self.shared.clone()), next: ptr::null_mut(), capacity: self.capacity };
        // SAFETY: the block is new, big enough and aligned.
        unsafe { block.as_ptr().write(header) };
        self.shared.blocks.fetch_add(1, Ordering::Relaxed);
        Some(Block(block))
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        free_list(self.free);
        self.shared.closed.store(true, Ordering::SeqCst);
        free_list(self.shared.returned.swap(ptr::null_mut(), Ordering::SeqCst));
    }
}

/// A block on its way between pool, kernel and [`ReadBuffer`]. Not freed on drop: a backend that keeps one must give
/// it back.
#[derive(Debug)]
#[must_use]
pub(crate) struct Block(NonNull<Header>);

// SAFETY: a block has one owner.
unsafe impl Send for Block {}

impl Block {
    /// Where the bytes go: `buffer_size` of them.
    pub(crate) fn data(&self) -> NonNull<u8> {
        data_of(self.0)
    }

    /// Gives the block back where no pool is at hand (a backend's end), on any thread, as dropping a [`ReadBuffer`]
    /// does.
    #[cfg(target_os = "linux")]
    pub(crate) fn release(self) {
        give_back(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pool: &mut BufferPool, len: usize) -> ReadBuffer {
        let block = pool.take().expect("memory");
        pool.filled(block, len)
    }

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let mut pool = BufferPool::new(64);
        let first = filled(&mut pool, 1);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(filled(&mut pool, 1).as_ptr(), address);
    }

    #[test]
    fn a_buffer_outlives_its_pool() {
        let mut pool = BufferPool::new(64);
        let mut kept = filled(&mut pool, 64);
        let shared = pool.shared.clone();
        drop(pool);
        kept.fill(7);
        assert!(kept.iter().all(|byte| *byte == 7));
        assert_eq!(shared.blocks.load(Ordering::Relaxed), 1);
        std::thread::spawn(move || drop(kept)).join().expect("no panic");
        assert_eq!(shared.blocks.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn free_buffers_are_bounded() {
        let mut pool = BufferPool::new(MAX_FREE_BYTES / 2);
        let all: Vec<ReadBuffer> = (0..5).map(|_| filled(&mut pool, 1)).collect();
        drop(all);
        pool.collect();
        assert_eq!(pool.shared.blocks.load(Ordering::Relaxed), 2);
    }
}
