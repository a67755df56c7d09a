//! Where sockets are being connected to: kept beside the sockets, of which few are being connected at any time.

use crate::lock::lock;
use crate::{Error, ErrorCode};
use socket2::SockAddr;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The addresses of a worker's connects, by the indices of their sockets' slots.
#[derive(Default, Debug)]
pub(crate) struct Connects {
    inner: Mutex<Inner>,
    /// How many there are: a socket that was never connected by us takes no lock at its end.
    count: AtomicUsize,
}

#[derive(Default, Debug)]
struct Inner {
    addresses: HashMap<u32, SockAddr>,
    /// Those that the worker has not met yet. They are no messages about their sockets, so that none of those is held back or
    /// overtaken by them.
    new: Vec<u32>,
}

impl Connects {
    /// Keeps the address of a socket that is about to enter its slot. Error: `NoMemory`.
    pub(crate) fn add(&self, index: u32, address: &SockAddr) -> Result<(), Error> {
        let mut inner = lock(&self.inner);
        let places = inner.addresses.len() + 1;
        inner.addresses.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        let more = places.saturating_sub(inner.new.len());
        inner.new.try_reserve(more).map_err(|_| ErrorCode::NoMemory)?;
        inner.addresses.insert(index, address.clone());
        self.count.store(places, Ordering::Release);
        Ok(())
    }

    /// The socket is in its slot: the worker is to begin, once it has been told to look.
    pub(crate) fn begin(&self, index: u32) {
        let mut inner = lock(&self.inner);
        // It may have begun, ended and gone already, by what was issued on it. Else there is room, see `add`.
        if inner.addresses.contains_key(&index) {
            inner.new.push(index);
        }
    }

    /// One that is to begin.
    pub(crate) fn next(&self) -> Option<u32> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        lock(&self.inner).new.pop()
    }

    /// Where this socket is being connected to.
    pub(crate) fn address(&self, index: u32) -> SockAddr {
        lock(&self.inner).addresses.get(&index).expect("kept until the connect has ended").clone()
    }

    /// Forgets the address, if there is one.
    pub(crate) fn remove(&self, index: u32) {
        // What was added for this socket was added before the worker could meet it.
        if self.count.load(Ordering::Acquire) != 0 {
            let mut inner = lock(&self.inner);
            inner.addresses.remove(&index);
            inner.new.retain(|new| *new != index);
            self.count.store(inner.addresses.len(), Ordering::Release);
        }
    }
}
