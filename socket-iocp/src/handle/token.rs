//! Proof of being a worker, for data of its own in memory that every thread can reach.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT_TOKEN: AtomicU32 = AtomicU32::new(1);

/// Proves that one is the worker: there is one token of a number, it cannot be cloned, and it is not `Sync`, so at any
/// moment one thread at most holds a reference to it.
#[derive(Debug)]
pub(crate) struct Token {
    number: u32,
    not_sync: PhantomData<Cell<()>>,
}

impl Token {
    pub(crate) fn new() -> Token {
        let number = NEXT_TOKEN.fetch_add(1, Ordering::Relaxed);
        assert!(number != u32::MAX, "more than four billion workers were made");
        Token { number, not_sync: PhantomData }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}
