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

impl Named for u32 {
    const INDEX_BITS: u32 = 16;
    const TAG: usize = 0b01;
}

impl Named for Counted {
    const INDEX_BITS: u32 = 24;
    const TAG: usize = 0b11;
}

fn made<T: Named>(table: &Table<T>, value: T) -> usize {
    let claim = table.claim().expect("a slot is free");
    let handle = claim.handle();
    claim.publish(value);
    handle
}

fn refusal<T: Named>(result: Result<Entered<'_, T>, Error>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

#[test]
fn handles_come_apart_as_they_were_put_together() {
    for index in [0, 1, 15, 16, 47, 48, Table::<u32>::SLOTS - 1] {
        for generation in [0, 1, Table::<u32>::MAX_GENERATION] {
            let handle = Table::<u32>::handle_of(index, generation);
            assert_eq!(handle & 1, 1);
            assert_eq!(Table::<u32>::parts_of(handle), Some((index, generation)));
            assert_eq!(Table::<Counted>::parts_of(handle), None, "of another sort");
        }
        let (chunk, offset) = place_of(index);
        assert!(chunk < Table::<u32>::CHUNKS && offset < FIRST_CHUNK << chunk);
    }
}

#[test]
fn numbers_that_never_were_handles_are_told_from_closed_ones() {
    static TABLE: Table<u32> = Table::new();
    let handle_of = Table::<u32>::handle_of;
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
    let last = State { generation: Table::<u32>::MAX_GENERATION - 1, phase: Phase::Live, calls: 0 };
    let (slot, _) = TABLE.find(first).expect("it was made");
    slot.state.store(last.word(), Ordering::Relaxed);
    let handle = Table::<u32>::handle_of(0, Table::<u32>::MAX_GENERATION - 1);
    drop(TABLE.close(handle).expect("live"));
    assert_eq!(refusal(TABLE.enter(handle)), Some(ErrorCode::Closed));
    assert_eq!(made(&TABLE, 2), Table::<u32>::handle_of(1, 0));
}

#[test]
fn the_first_free_slot_is_claimed() {
    static TABLE: Table<u32> = Table::new();
    let handles: Vec<usize> = (0..100).map(|value| made(&TABLE, value)).collect();
    let index = |handle| Table::<u32>::parts_of(handle).map(|(index, _)| index);
    assert!(handles.iter().enumerate().all(|(at, handle)| index(*handle) == Some(at)));
    for at in [70, 3, 40] {
        drop(TABLE.close(handles[at]).expect("live"));
    }
    let given_up = TABLE.claim().expect("a slot is free");
    assert_eq!(index(given_up.handle()), Some(3));
    assert_eq!(index(made(&TABLE, 0)), Some(40));
    drop(given_up);
    for expected in [3, 70, 100] {
        assert_eq!(index(made(&TABLE, 0)), Some(expected));
    }
}

#[test]
fn no_free_slot_is_lost_by_a_race() {
    static TABLE: Table<u32> = Table::new();
    const THREADS: usize = 4;
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 20_000 };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| drop(TABLE.close(made(&TABLE, 0)).expect("live"))));
        }
    });
    // No more were ever taken at once than there are threads, so the first of them is free.
    let index = Table::<u32>::parts_of(made(&TABLE, 0)).map(|(index, _)| index);
    assert_eq!(index, Some(0));
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
