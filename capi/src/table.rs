//! A process-wide table of values that C names by handle: the ports.
//!
//! A handle is an index and a generation in one pointer-size number whose lowest bit is set. Slots live in chunks that
//! are never unmapped, so that any number may be looked up at any time. A slot's state is one word:
//!
//! ```text
//! generation (32 bits) | phase (2 bits) | calls inside (30 bits)
//! ```
//!
//! A call enters by compare-and-swap on the whole word, which checks the generation, the phase and counts it in one
//! step: a call that has entered keeps the value alive, and none enters once the slot is closing. Whoever leaves a
//! closing slot last drops the value and frees the slot under the next generation. No lock is taken but to wait for
//! that.

use engine::{Error, ErrorCode};
use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Bits of an index in a handle. One port more than these allow is `E_LIMIT`.
const INDEX_BITS: u32 = if usize::BITS >= 64 { 16 } else { 8 };
/// Bits of a generation in a handle; a slot whose generation would need more is not used again.
const GENERATION_BITS: u32 = if usize::BITS >= 64 { 32 } else { usize::BITS - INDEX_BITS - 1 };
const MAX_GENERATION: u32 = ((1u64 << GENERATION_BITS) - 1) as u32;
/// Chunk `k` has `FIRST_CHUNK << k` slots.
const FIRST_CHUNK: usize = 16;
const CHUNKS: usize = INDEX_BITS as usize - FIRST_CHUNK.ilog2() as usize;

const CALLS_MASK: u64 = (1 << 30) - 1;
const PHASE_SHIFT: u32 = 30;
const GENERATION_SHIFT: u32 = 32;

/// What a slot is doing. `Free` is 0: a zeroed slot is free under generation 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    Free = 0,
    /// Being made: the handle is known to its maker only.
    Claimed = 1,
    Live = 2,
    /// Nobody enters; the last to leave drops the value.
    Closing = 3,
}

/// A slot's state word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    generation: u32,
    phase: Phase,
    calls: u32,
}

impl State {
    fn load(word: u64) -> State {
        let phase = match (word >> PHASE_SHIFT) & 3 {
            0 => Phase::Free,
            1 => Phase::Claimed,
            2 => Phase::Live,
            _ => Phase::Closing,
        };
        State { generation: (word >> GENERATION_SHIFT) as u32, phase, calls: (word & CALLS_MASK) as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.generation) << GENERATION_SHIFT | (self.phase as u64) << PHASE_SHIFT | u64::from(self.calls)
    }
}

/// On cache lines of its own: calls from many threads write the state.
#[repr(align(128))]
struct Slot<T> {
    state: AtomicU64,
    /// Initialized while the phase is `Live` or `Closing`.
    value: UnsafeCell<MaybeUninit<T>>,
}

pub(crate) struct Table<T> {
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    /// Held by whoever frees a slot and by those who look whether one has been freed.
    freeing: Mutex<()>,
    freed: Condvar,
}

// SAFETY: values are reached by shared reference from any thread (`T: Sync`) and dropped by whichever thread leaves
// last (`T: Send`); the state word orders both.
unsafe impl<T: Send + Sync> Sync for Table<T> {}

/// A slot taken for a value that is being made. Dropping it gives the slot back.
pub(crate) struct Claim<'t, T> {
    slot: &'t Slot<T>,
    index: usize,
    generation: u32,
}

/// A call inside: the value stays until this is dropped.
pub(crate) struct Entered<'t, T> {
    table: &'t Table<T>,
    slot: &'t Slot<T>,
}

fn handle_of(index: usize, generation: u32) -> usize {
    ((generation as usize) << (INDEX_BITS + 1)) | (index << 1) | 1
}

/// Index and generation of a number that may be a handle.
fn parts_of(handle: usize) -> Option<(usize, u32)> {
    let generation = handle >> (INDEX_BITS + 1);
    if handle & 1 == 0 || generation > MAX_GENERATION as usize {
        return None;
    }
    Some(((handle >> 1) & ((1 << INDEX_BITS) - 1), generation as u32))
}

/// Chunk and offset of an index.
fn place_of(index: usize) -> (usize, usize) {
    let chunk = (index / FIRST_CHUNK + 1).ilog2() as usize;
    (chunk, index - FIRST_CHUNK * ((1 << chunk) - 1))
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Table<T> {
        Table {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            freeing: Mutex::new(()),
            freed: Condvar::new(),
        }
    }

    /// Takes a free slot. Ports are made rarely and are few: looking at each costs less than a list would.
    pub(crate) fn claim(&self) -> Result<Claim<'_, T>, Error> {
        for index in 0..FIRST_CHUNK * ((1 << CHUNKS) - 1) {
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
                return Ok(Claim { slot, index, generation: state.generation });
            }
        }
        Err(ErrorCode::Limit.into())
    }

    /// Enters: `E_BAD_HANDLE` for a number that never was a handle, `E_CLOSED` for one that is closed.
    pub(crate) fn enter(&self, handle: usize) -> Result<Entered<'_, T>, Error> {
        self.change(handle, |state| State { calls: state.calls + 1, ..state })
    }

    /// Enters and lets nobody enter from now on; `E_CLOSED` if somebody else did so before.
    pub(crate) fn close(&self, handle: usize) -> Result<Entered<'_, T>, Error> {
        self.change(handle, |state| State { calls: state.calls + 1, phase: Phase::Closing, ..state })
    }

    /// Blocks until a closed handle's value has been dropped, that is until every call has left.
    pub(crate) fn wait_until_freed(&self, handle: usize) {
        let Some((slot, generation)) = self.find(handle) else { return };
        let mut freeing = self.freeing.lock().unwrap_or_else(PoisonError::into_inner);
        while State::load(slot.state.load(Ordering::Acquire)).is_closing(generation) {
            freeing = self.freed.wait(freeing).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, handle: usize, change: impl Fn(State) -> State) -> Result<Entered<'_, T>, Error> {
        let (slot, generation) = self.find(handle).ok_or(ErrorCode::BadHandle)?;
        let mut word = slot.state.load(Ordering::Acquire);
        loop {
            let state = State::load(word);
            state.check(generation)?;
            let changed = change(state).word();
            match slot.state.compare_exchange_weak(word, changed, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Ok(Entered { table: self, slot }),
                Err(now) => word = now,
            }
        }
    }

    fn find(&self, handle: usize) -> Option<(&Slot<T>, u32)> {
        let (index, generation) = parts_of(handle)?;
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

impl State {
    fn is_closing(self, generation: u32) -> bool {
        self.generation == generation && self.phase == Phase::Closing
    }

    /// Whether a handle of this generation may be entered now.
    fn check(self, generation: u32) -> Result<(), Error> {
        let never_given_out = matches!(self.phase, Phase::Free | Phase::Claimed);
        match generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => Err(ErrorCode::Closed.into()),
            std::cmp::Ordering::Greater => Err(ErrorCode::BadHandle.into()),
            std::cmp::Ordering::Equal if never_given_out => Err(ErrorCode::BadHandle.into()),
            std::cmp::Ordering::Equal if self.phase == Phase::Closing => Err(ErrorCode::Closed.into()),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

impl<T> Claim<'_, T> {
    /// The handle that C will hold.
    pub(crate) fn handle(&self) -> usize {
        handle_of(self.index, self.generation)
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

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        let free = State { generation: self.generation, phase: Phase::Free, calls: 0 };
        self.slot.state.store(free.word(), Ordering::Release);
    }
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this call was counted while the slot was live, and the value is dropped only when no call is counted.
        unsafe { (*self.slot.value.get()).assume_init_ref() }
    }
}

impl<T> Drop for Entered<'_, T> {
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

impl<T> Table<T> {
    /// Called by the last to leave a closing slot.
    fn free(&self, slot: &Slot<T>, generation: u32) {
        // SAFETY: the slot is closing and no call is counted, so this thread alone reaches the value, once: nobody can
        // enter any more, so nobody else leaves last.
        let value = unsafe { (*slot.value.get()).assume_init_read() };
        drop(value);
        // At the last generation the slot retires: it looks as if somebody had claimed it.
        let retired = generation + 1 == MAX_GENERATION;
        let phase = if retired { Phase::Claimed } else { Phase::Free };
        let next = State { generation: generation + 1, phase, calls: 0 };
        let freeing = self.freeing.lock().unwrap_or_else(PoisonError::into_inner);
        slot.state.store(next.word(), Ordering::Release);
        drop(freeing);
        self.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    /// Counts the drops of its clones.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn made<T>(table: &Table<T>, value: T) -> usize {
        let claim = table.claim().expect("a slot is free");
        let handle = claim.handle();
        claim.publish(value);
        handle
    }

    fn refusal<T>(result: Result<Entered<'_, T>, Error>) -> Option<ErrorCode> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn handles_come_apart_as_they_were_put_together() {
        for index in [0, 1, 15, 16, 47, 48, FIRST_CHUNK * ((1 << CHUNKS) - 1) - 1] {
            for generation in [0, 1, MAX_GENERATION] {
                let handle = handle_of(index, generation);
                assert_eq!(handle & 1, 1);
                assert_eq!(parts_of(handle), Some((index, generation)));
            }
            let (chunk, offset) = place_of(index);
            assert!(chunk < CHUNKS && offset < FIRST_CHUNK << chunk);
        }
    }

    #[test]
    fn numbers_that_never_were_handles_are_told_from_closed_ones() {
        static TABLE: Table<u32> = Table::new();
        assert_eq!(refusal(TABLE.enter(1)), Some(ErrorCode::BadHandle));
        let handle = made(&TABLE, 7);
        assert_eq!(*TABLE.enter(handle).expect("live"), 7);
        for wrong in [0, 2, handle ^ 1, handle_of(1, 0), handle_of(0, 1), handle_of(50_000, 0), usize::MAX] {
            assert_eq!(refusal(TABLE.enter(wrong)), Some(ErrorCode::BadHandle), "{wrong:#x}");
        }
        drop(TABLE.close(handle).expect("live"));
        assert_eq!(refusal(TABLE.enter(handle)), Some(ErrorCode::Closed));
        assert_eq!(refusal(TABLE.close(handle)), Some(ErrorCode::Closed));
        let again = made(&TABLE, 8);
        assert_ne!(again, handle, "the slot is used again under another generation");
        assert_eq!(refusal(TABLE.enter(handle)), Some(ErrorCode::Closed));
        assert_eq!(*TABLE.enter(again).expect("live"), 8);
    }

    #[test]
    fn a_claim_given_up_leaves_its_slot_free() {
        static TABLE: Table<u32> = Table::new();
        let given_up = TABLE.claim().expect("a slot is free").handle();
        assert_eq!(refusal(TABLE.enter(given_up)), Some(ErrorCode::BadHandle));
        assert_eq!(made(&TABLE, 1), given_up);
    }

    #[test]
    fn the_last_to_leave_drops_the_value() {
        static TABLE: Table<Counted> = Table::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let handle = made(&TABLE, Counted(drops.clone()));
        let inside = TABLE.enter(handle).expect("live");
        drop(TABLE.close(handle).expect("live"));
        assert_eq!(refusal(TABLE.enter(handle)), Some(ErrorCode::Closed));
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        drop(inside);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        TABLE.wait_until_freed(handle);
    }

    #[test]
    fn a_retired_slot_is_not_claimed_again() {
        static TABLE: Table<u32> = Table::new();
        let first = made(&TABLE, 1);
        let last = State { generation: MAX_GENERATION - 1, phase: Phase::Live, calls: 0 };
        let (slot, _) = TABLE.find(first).expect("it was made");
        slot.state.store(last.word(), Ordering::Relaxed);
        let handle = handle_of(0, MAX_GENERATION - 1);
        drop(TABLE.close(handle).expect("live"));
        assert_eq!(refusal(TABLE.enter(handle)), Some(ErrorCode::Closed));
        assert_eq!(made(&TABLE, 2), handle_of(1, 0));
    }

    #[test]
    fn calls_racing_a_close_are_whole_or_refused() {
        static TABLE: Table<Counted> = Table::new();
        const ROUNDS: usize = if cfg!(miri) { 5 } else { 500 };
        let drops = Arc::new(AtomicUsize::new(0));
        for round in 0..ROUNDS {
            let handle = made(&TABLE, Counted(drops.clone()));
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    let drops = &drops;
                    scope.spawn(move || {
                        while let Ok(inside) = TABLE.enter(handle) {
                            assert!(Arc::ptr_eq(&inside.0, drops));
                            assert_eq!(drops.load(Ordering::Relaxed), round);
                        }
                    });
                }
                drop(TABLE.close(handle).expect("live"));
                TABLE.wait_until_freed(handle);
                assert_eq!(drops.load(Ordering::Relaxed), round + 1);
            });
        }
    }
}
