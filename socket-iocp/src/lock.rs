//! Locking: one way to do it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, a poisoned mutex too: no code of a user runs under the engine's locks, and their data is whole whenever an
/// assertion of the engine can fail.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
