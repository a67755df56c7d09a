//! Process-wide tables of values that C names by handle: the ports, and the buffers that are shared among sends.
//!
//! A handle is a generation, an index and a tag in one pointer-size number whose lowest bit is set. Slots live in chunks that
//! are never unmapped, so that any number may be looked up at any time. A slot's state is one word:
//!
//! ```text
//! generation (32 bits) | phase (2 bits) | calls inside (30 bits)
//! ```
//!
//! A call enters by compare-and-swap on the whole word, which checks the generation, the phase and counts it in one
//! step: a call that has entered keeps the value alive, and none enters once the slot is closing. Whoever leaves a
//! closing slot last drops the value and frees the slot under the next generation. No lock is taken but to wait for
//! that. A call may last: a send of a shared buffer is inside until it has been reported.

mod state;

use engine::{Error, ErrorCode};
use state::{Phase, State};
use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Chunk `k` has `FIRST_CHUNK << k` slots.
const FIRST_CHUNK: usize = 16;
/// The most bits of an index in a handle, of any table.
const MAX_INDEX_BITS: u32 = 24;
const TAG_BITS: u32 = 2;
const MAX_CHUNKS: usize = MAX_INDEX_BITS as usize - FIRST_CHUNK.ilog2() as usize;

/// On cache lines of its own: calls from many threads write the state.
#[repr(align(128))]
struct Slot<T> {
    state: AtomicU64,
    /// Which one it is; written when it is claimed.
    index: AtomicU32,
    /// Initialized while the phase is `Live` or `Closing`.
    value: UnsafeCell<MaybeUninit<T>>,
}

/// A sort of values that C names.
pub(crate) trait Named {
    /// Bits of an index in a handle: one value more than these allow is `E_LIMIT`.
    const INDEX_BITS: u32;
    /// The two lowest bits of a handle, of which the lowest is set: they tell the sorts apart.
    const TAG: usize;
}

pub(crate) struct Table<T: Named> {
    chunks: [AtomicPtr<Slot<T>>; MAX_CHUNKS],
    /// No free slot lies below this index. With a version above, which every slot that becomes free moves on: who claims one
    /// puts the index up only if none has become free meanwhile.
    first_free: AtomicU64,
    /// Held by whoever frees a slot and by those who look whether one has been freed.
    freeing: Mutex<()>,
    freed: Condvar,
}

// SAFETY: values are reached by shared reference from any thread (`T: Sync`) and dropped by whichever thread leaves
// last (`T: Send`); the state word orders both.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// A slot taken for a value that is being made. Dropping it gives the slot back.
pub(crate) struct Claim<'t, T: Named> {
    table: &'t Table<T>,
    slot: &'t Slot<T>,
    index: usize,
    generation: u32,
}

/// A call inside: the value stays until this is dropped.
pub(crate) struct Entered<'t, T: Named> {
    table: &'t Table<T>,
    slot: &'t Slot<T>,
}

/// Chunk and offset of an index.
fn place_of(index: usize) -> (usize, usize) {
    let chunk = (index / FIRST_CHUNK + 1).ilog2() as usize;
    (chunk, index - FIRST_CHUNK * ((1 << chunk) - 1))
}

impl<T: Named> Table<T> {
    /// Bits of a generation in a handle; a slot whose generation would need more is not used again.
    const GENERATION_BITS: u32 = if usize::BITS >= 64 { 32 } else { usize::BITS - T::INDEX_BITS - TAG_BITS };
    const MAX_GENERATION: u32 = ((1u64 << Self::GENERATION_BITS) - 1) as u32;
    const CHUNKS: usize = {
        assert!(T::INDEX_BITS <= MAX_INDEX_BITS && T::TAG >> TAG_BITS == 0 && T::TAG & 1 == 1);
        assert!(T::INDEX_BITS + Self::GENERATION_BITS + TAG_BITS <= usize::BITS);
        T::INDEX_BITS as usize - FIRST_CHUNK.ilog2() as usize
    };
    const SLOTS: usize = FIRST_CHUNK * ((1 << Self::CHUNKS) - 1);

    fn handle_of(index: usize, generation: u32) -> usize {
        (generation as usize) << (T::INDEX_BITS + TAG_BITS) | index << TAG_BITS | T::TAG
    }

    /// Index and generation of a number that may be a handle.
    fn parts_of(handle: usize) -> Option<(usize, u32)> {
        let generation = handle >> (T::INDEX_BITS + TAG_BITS);
        if handle & ((1 << TAG_BITS) - 1) != T::TAG || generation > Self::MAX_GENERATION as usize {
            return None;
        }
        Some(((handle >> TAG_BITS) & ((1 << T::INDEX_BITS) - 1), generation as u32))
    }

    pub(crate) const fn new() -> Self {
        Table {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CHUNKS],
            first_free: AtomicU64::new(0),
            freeing: Mutex::new(()),
            freed: Condvar::new(),
        }
    }

    /// Takes a free slot, mostly the first.
    pub(crate) fn claim(&self) -> Result<Claim<'_, T>, Error> {
        let first_free = self.first_free.load(Ordering::Acquire);
        for index in first_free as u32 as usize..Self::SLOTS {
            let (chunk, offset) = place_of(index);
            let slot = self.slot(self.chunk_or_new(chunk)?, offset);
            let state = State::load(slot.state.load(Ordering::Acquire));
            if state.phase != Phase::Free {
                continue;
            }
            let claimed = State { phase: Phase::Claimed, ..state };
            let won =
                slot.state.compare_exchange(state.word(), claimed.word(), Ordering::Acquire, Ordering::Relaxed).is_ok();
            if won {
                slot.index.store(index as u32, Ordering::Relaxed);
                // If it fails, somebody else has changed it, and it is right or low.
                let next = first_free & !u64::from(u32::MAX) | (index as u64 + 1);
                let _ = self.first_free.compare_exchange(first_free, next, Ordering::Release, Ordering::Relaxed);
                return Ok(Claim { table: self, slot, index, generation: state.generation });
            }
        }
        Err(ErrorCode::Limit.into())
    }

    /// Makes a slot one that can be claimed, or one that is not used again.
    fn vacate(&self, slot: &Slot<T>, generation: u32) {
        let index = slot.index.load(Ordering::Relaxed);
        // At the last generation the slot retires: it looks as if somebody had claimed it.
        let retired = generation == Self::MAX_GENERATION;
        let phase = if retired { Phase::Claimed } else { Phase::Free };
        slot.state.store(State { generation, phase, calls: 0 }.word(), Ordering::Release);
        let with_it = |first_free: u64| {
            let version = (first_free >> 32) as u32;
            Some(u64::from(version.wrapping_add(1)) << 32 | u64::from((first_free as u32).min(index)))
        };
        let _ = self.first_free.fetch_update(Ordering::AcqRel, Ordering::Acquire, with_it);
    }

    /// Enters: `E_BAD_HANDLE` for a number that never was a handle, `E_CLOSED` for one that is closed.
    pub(crate) fn enter(&self, handle: usize) -> Result<Entered<'_, T>, Error> {
        self.change(handle, |state| state)
    }

    /// Enters and lets nobody enter from now on; `E_CLOSED` if somebody else did so before.
    pub(crate) fn close(&self, handle: usize) -> Result<Entered<'_, T>, Error> {
        self.change(handle, |state| State { phase: Phase::Closing, ..state })
    }

    /// Blocks until a closed handle's value has been dropped, that is until every call has left.
    pub(crate) fn wait_until_freed(&self, handle: usize) {
        let Some((slot, generation)) = self.find(handle) else { return };
        let mut freeing = self.freeing.lock().unwrap_or_else(PoisonError::into_inner);
        while State::load(slot.state.load(Ordering::Acquire)).is_closing(generation) {
            freeing = self.freed.wait(freeing).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Enters, and changes the state so.
    fn change(&self, handle: usize, change: impl Fn(State) -> State) -> Result<Entered<'_, T>, Error> {
        let (slot, generation) = self.find(handle).ok_or(ErrorCode::BadHandle)?;
        let mut word = slot.state.load(Ordering::Acquire);
        loop {
            let state = State::load(word);
            state.check(generation)?;
            let changed = change(state.entered()?).word();
            match slot.state.compare_exchange_weak(word, changed, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Ok(Entered { table: self, slot }),
                Err(now) => word = now,
            }
        }
    }

    fn find(&self, handle: usize) -> Option<(&Slot<T>, u32)> {
        let (index, generation) = Self::parts_of(handle)?;
        let (chunk, offset) = place_of(index);
        let slots = NonNull::new(self.chunks.get(chunk)?.load(Ordering::Acquire))?;
        Some((self.slot(slots, offset), generation))
    }

    /// A slot of one of the table's chunks.
    fn slot(&self, chunk: NonNull<Slot<T>>, offset: usize) -> &Slot<T> {
        // SAFETY: `place_of` keeps the offset below the chunk's length; chunks are never unmapped while the table
        // lives, and a zeroed slot is a valid one.
        unsafe { chunk.add(offset).as_ref() }
    }

    fn chunk_or_new(&self, chunk: usize) -> Result<NonNull<Slot<T>>, Error> {
        let place = &self.chunks[chunk];
        if let Some(slots) = NonNull::new(place.load(Ordering::Acquire)) {
            return Ok(slots);
        }
        let layout = Layout::array::<Slot<T>>(FIRST_CHUNK << chunk).map_err(|_| ErrorCode::NoMemory)?;
        // SAFETY: the layout's size is not zero: a slot has a state.
        let made = unsafe { alloc::alloc_zeroed(layout) }.cast::<Slot<T>>();
        let made = NonNull::new(made).ok_or(ErrorCode::NoMemory)?;
        match place.compare_exchange(ptr::null_mut(), made.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(made),
            Err(theirs) => {
                // SAFETY: the allocation made above, which nobody else has seen.
                unsafe { alloc::dealloc(made.as_ptr().cast(), layout) };
                NonNull::new(theirs).ok_or(ErrorCode::NoMemory.into())
            }
        }
    }
}

impl<T: Named> Claim<'_, T> {
    /// The handle that C will hold.
    pub(crate) fn handle(&self) -> usize {
        Table::<T>::handle_of(self.index, self.generation)
    }

    /// Puts the value into the slot: from now on the handle may be used.
    pub(crate) fn publish(self, value: T) {
        // SAFETY: a claimed slot's value is not initialized and nobody but the claimant touches it.
        unsafe { (*self.slot.value.get()).write(value) };
        let live = State { generation: self.generation, phase: Phase::Live, calls: 0 };
        self.slot.state.store(live.word(), Ordering::Release);
        std::mem::forget(self);
    }
}

impl<T: Named> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.table.vacate(self.slot, self.generation);
    }
}

impl<T: Named> Deref for Entered<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this call was counted while the slot was live, and the value is dropped only when no call is counted.
        unsafe { (*self.slot.value.get()).assume_init_ref() }
    }
}

impl<T: Named> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        // In a child forked from inside the call the value is the parent's business: it stays as it is, for ever.
        if engine::is_forked_child() {
            return;
        }
        let before = State::load(self.slot.state.fetch_sub(1, Ordering::AcqRel));
        debug_assert!(before.calls > 0, "a call left that had not entered");
        if before.phase == Phase::Closing && before.calls == 1 {
            self.table.free(self.slot, before.generation);
        }
    }
}

impl<T: Named> Table<T> {
    /// Called by the last to leave a closing slot.
    fn free(&self, slot: &Slot<T>, generation: u32) {
        // SAFETY: the slot is closing and no call is counted, so this thread alone reaches the value, once: nobody can
        // enter any more, so nobody else leaves last.
        let value = unsafe { (*slot.value.get()).assume_init_read() };
        drop(value);
        let freeing = self.freeing.lock().unwrap_or_else(PoisonError::into_inner);
        self.vacate(slot, generation + 1);
        drop(freeing);
        self.freed.notify_all();
    }
}

#[cfg(test)]
mod tests;
