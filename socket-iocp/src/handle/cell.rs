//! Data of a worker in memory that every thread can reach.

use std::cell::{Cell, UnsafeCell};
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

/// A value that only the holder of one token can reach.
#[derive(Debug)]
pub(crate) struct WorkerCell<T> {
    owner: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: a reference to the value is given only against a reference to the owner's token, which is not `Sync`: so no
// two threads hold one at once, and what moves between threads is `Send`. `set` has its own contract.
unsafe impl<T: Send> Sync for WorkerCell<T> {}

impl<T> WorkerCell<T> {
    /// A value that nobody can reach before `set`: no token has number 0.
    pub(crate) const fn unowned(value: T) -> WorkerCell<T> {
        WorkerCell { owner: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// The value, for the worker.
    pub(crate) fn get<'a>(&'a self, token: &'a Token) -> &'a T {
        assert_eq!(self.owner.load(Ordering::Relaxed), token.number, "a value of another worker");
        // SAFETY: see `Sync` above; only shared references are ever given, until the value's next `set`.
        unsafe { &*self.value.get() }
    }

    /// Replaces the value and gives it to the worker with this token number.
    ///
    /// # Safety
    /// Nobody holds a reference to the value, and nobody gets one before this returns.
    pub(crate) unsafe fn set(&self, owner: u32, value: T) {
        self.owner.store(owner, Ordering::Relaxed);
        // SAFETY: the caller has the value alone.
        unsafe { *self.value.get() = value };
    }
}
