//! Keys and values, shared by all workers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough that workers seldom meet at one lock.
const SHARDS: usize = 64;

type Shard = HashMap<Box<[u8]>, Box<[u8]>>;

pub struct Store {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

/// Why a value cannot be incremented.
#[derive(PartialEq, Eq, Debug)]
pub enum NotIncremented {
    NotInteger,
    Overflow,
}

impl Default for Store {
    fn default() -> Store {
        Store { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl Store {
    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        // A shard is whole after every step: a panic elsewhere in a callback leaves nothing half done in it.
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `read` with the value of a key.
    pub fn get<R>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> R) -> R {
        read(self.shard(key).get(key).map(AsRef::as_ref))
    }

    pub fn set(&self, key: &[u8], value: &[u8]) {
        let mut shard = self.shard(key);
        match shard.get_mut(key) {
            Some(old) => *old = value.into(),
            None => drop(shard.insert(key.into(), value.into())),
        }
    }

    /// Tells whether the key was there.
    pub fn delete(&self, key: &[u8]) -> bool {
        self.shard(key).remove(key).is_some()
    }

    /// Adds one to a value; one that is missing counts as zero.
    pub fn increment(&self, key: &[u8]) -> Result<i64, NotIncremented> {
        let mut shard = self.shard(key);
        let old = match shard.get(key) {
            Some(value) => integer(value).ok_or(NotIncremented::NotInteger)?,
            None => 0,
        };
        let new = old.checked_add(1).ok_or(NotIncremented::Overflow)?;
        let value = new.to_string().into_bytes().into();
        match shard.get_mut(key) {
            Some(old) => *old = value,
            None => drop(shard.insert(key.into(), value)),
        }
        Ok(new)
    }
}

/// An integer as Redis writes it, and no other spelling of it.
fn integer(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_replaced_and_deleted() {
        let store = Store::default();
        assert!(store.get(b"k", |value| value.is_none()));
        store.set(b"k", b"1");
        store.set(b"k", b"\0\r\n");
        assert!(store.get(b"k", |value| value == Some(b"\0\r\n")));
        assert!(store.delete(b"k"));
        assert!(!store.delete(b"k"));
    }

    #[test]
    fn only_integers_are_incremented() {
        let store = Store::default();
        assert_eq!(store.increment(b"n"), Ok(1));
        assert_eq!(store.increment(b"n"), Ok(2));
        for (value, result) in [
            (&b"-1"[..], Ok(0)),
            (b"9223372036854775806", Ok(i64::MAX)),
            (b"9223372036854775807", Err(NotIncremented::Overflow)),
            (b"9223372036854775808", Err(NotIncremented::NotInteger)),
            (b"", Err(NotIncremented::NotInteger)),
            (b"+1", Err(NotIncremented::NotInteger)),
            (b"01", Err(NotIncremented::NotInteger)),
            (b" 1", Err(NotIncremented::NotInteger)),
            (b"\xff", Err(NotIncremented::NotInteger)),
        ] {
            store.set(b"n", value);
            assert_eq!(store.increment(b"n"), result, "{value:?}");
        }
    }
}
