//! Two values, each of which one place borrows at a time.
//!
//! As two `RefCell`s, but a slot has room for no more than a byte beside them: each of those would take a word for its flag.

use std::cell::{Cell, UnsafeCell};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The values and what is borrowed of them.
pub(crate) struct Pair<A, B> {
    first: UnsafeCell<A>,
    second: UnsafeCell<B>,
    /// A bit of each that is borrowed.
    borrowed: Cell<u8>,
}

const FIRST: u8 = 1;
const SECOND: u8 = 2;

/// A value while it is borrowed.
pub(crate) struct Borrowed<'p, T> {
    value: NonNull<T>,
    borrowed: &'p Cell<u8>,
    bit: u8,
}

impl<A, B> Pair<A, B> {
    pub(crate) fn new(first: A, second: B) -> Pair<A, B> {
        Pair { first: UnsafeCell::new(first), second: UnsafeCell::new(second), borrowed: Cell::new(0) }
    }

    /// # Panics
    /// While it is borrowed.
    pub(crate) fn first(&self) -> Borrowed<'_, A> {
        Borrowed::new(&self.first, &self.borrowed, FIRST)
    }

    /// # Panics
    /// While it is borrowed.
    pub(crate) fn second(&self) -> Borrowed<'_, B> {
        Borrowed::new(&self.second, &self.borrowed, SECOND)
    }
}

impl<'p, T> Borrowed<'p, T> {
    /// `bit` is that of `value` in `borrowed`, and no other's.
    fn new(value: &'p UnsafeCell<T>, borrowed: &'p Cell<u8>, bit: u8) -> Borrowed<'p, T> {
        assert!(borrowed.get() & bit == 0, "borrowed twice");
        borrowed.set(borrowed.get() | bit);
        // The pair is borrowed for as long as this value lives, so the place stays.
        let value = NonNull::from(value).cast::<T>();
        Borrowed { value, borrowed, bit }
    }
}

impl<T> Deref for Borrowed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the bit, set in `new` and cleared in the drop, keeps every other borrow of the value away, and no thread but this
        // one has the pair: it is not `Sync`.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Borrowed<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; and this value is borrowed alone.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        self.borrowed.set(self.borrowed.get() & !self.bit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{self, AssertUnwindSafe};

    #[test]
    fn both_are_borrowed_at_once() {
        let pair = Pair::new(1, String::from("a"));
        {
            let (mut first, mut second) = (pair.first(), pair.second());
            *first += 1;
            second.push('b');
        }
        assert_eq!((*pair.first(), pair.second().as_str()), (2, "ab"));
    }

    #[test]
    fn neither_is_borrowed_twice() {
        let pair = Pair::new(1, 2);
        let first = pair.first();
        let again = panic::catch_unwind(AssertUnwindSafe(|| drop(pair.first())));
        assert!(again.is_err());
        // The panic has taken nothing from the one who has it.
        assert_eq!(*first, 1);
        drop(first);
        assert_eq!((*pair.first(), *pair.second()), (1, 2));
    }

    #[test]
    fn a_flag_costs_a_byte() {
        assert_eq!(size_of::<Pair<[u8; 6], u8>>(), 8);
    }
}
