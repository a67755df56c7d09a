//! A slot's counts of what is queued, sends and bytes; while the slot is free, its place in the list of free slots.

use crate::{Error, ErrorCode};
use std::sync::atomic::{AtomicU64, Ordering};

/// The generation above, the count below: a late caller with a dead handle changes nothing. While the slot is free the
/// generation is 0, which no handle has, and the next free slot's index stands below.
#[derive(Debug)]
pub(crate) struct Tally(AtomicU64);

fn pack(generation: u32, low: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(low)
}

impl Tally {
    pub(super) fn free(next: u32) -> Tally {
        Tally(AtomicU64::new(pack(0, next)))
    }

    pub(super) fn set_next_free(&self, next: u32) {
        self.0.store(pack(0, next), Ordering::Relaxed);
    }

    pub(super) fn next_free(&self) -> u32 {
        self.0.load(Ordering::Relaxed) as u32
    }

    /// Starts from 0 for a new socket.
    pub(super) fn start(&self, generation: u32) {
        self.0.store(pack(generation, 0), Ordering::Relaxed);
    }

    /// So many more, up to the limit. Errors: `QueueFull`, `Closed` (another generation).
    pub(super) fn add(&self, generation: u32, amount: usize, limit: u32) -> Result<(), Error> {
        let more = |tally: u64| {
            let sum = (tally as u32 as usize).checked_add(amount)?;
            let fits = (tally >> 32) as u32 == generation && sum <= limit as usize;
            fits.then(|| pack(generation, sum as u32))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map(drop).map_err(|tally| {
            let full = (tally >> 32) as u32 == generation;
            if full { ErrorCode::QueueFull } else { ErrorCode::Closed }.into()
        })
    }

    /// What is counted of this generation's; `None` for another's.
    pub(super) fn count(&self, generation: u32) -> Option<u32> {
        let tally = self.0.load(Ordering::Relaxed);
        ((tally >> 32) as u32 == generation).then_some(tally as u32)
    }

    /// Takes back what [`add`](Tally::add) was given.
    pub(super) fn subtract(&self, generation: u32, amount: usize) {
        let less = |tally: u64| {
            let rest = (tally as u32).checked_sub(u32::try_from(amount).ok()?)?;
            ((tally >> 32) as u32 == generation).then(|| pack(generation, rest))
        };
        // Another generation: the socket that was counted is gone, and its count with it.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_up_to_its_limit() {
        let tally = Tally::free(9);
        assert_eq!(tally.next_free(), 9);
        tally.start(3);
        assert_eq!(tally.add(3, 2, 3), Ok(()));
        assert_eq!(tally.add(3, 2, 3), Err(ErrorCode::QueueFull.into()));
        assert_eq!(tally.add(3, usize::MAX, 3), Err(ErrorCode::QueueFull.into()));
        assert_eq!(tally.add(3, 1, 3), Ok(()));
        assert_eq!((tally.count(3), tally.count(2)), (Some(3), None));
        tally.subtract(3, 2);
        assert_eq!(tally.add(3, 2, 3), Ok(()));
    }

    #[test]
    fn another_generation_changes_nothing() {
        let tally = Tally::free(9);
        assert_eq!(tally.add(1, 1, 5), Err(ErrorCode::Closed.into()));
        tally.start(2);
        assert_eq!(tally.add(2, 1, 1), Ok(()));
        tally.subtract(1, 1);
        assert_eq!(tally.add(2, 1, 1), Err(ErrorCode::QueueFull.into()));
        tally.start(3);
        tally.subtract(2, 1);
        assert_eq!(tally.add(3, 1, 1), Ok(()));
    }
}
