//! Which socket, of which port, has a descriptor number: one table for the process, as the numbers are.

use super::SocketHandle;
use crate::sys::place_of;
use crate::{Error, ErrorCode, RawSocket};
use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

const PAGE_BITS: u32 = 10;
const PAGES: usize = 1 << 16;

type Page = [AtomicU64; 1 << PAGE_BITS];

static DIRECTORY: [AtomicPtr<Page>; PAGES] = [const { AtomicPtr::new(ptr::null_mut()) }; PAGES];

/// Who has a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    Socket(SocketHandle),
    Listener(u64),
}

impl Entry {
    fn encode(self) -> u64 {
        match self {
            Entry::Socket(handle) => handle.into_raw() as u64,
            Entry::Listener(id) => id << 1 | 1,
        }
    }

    fn decode(word: u64) -> Option<Entry> {
        if word & 1 == 1 {
            return Some(Entry::Listener(word >> 1));
        }
        SocketHandle::from_raw(word as usize).map(Entry::Socket)
    }
}

fn encoded(entry: Option<Entry>) -> u64 {
    entry.map_or(0, Entry::encode)
}

/// The table of the process.
#[derive(Debug)]
pub(crate) struct SocketTable;

impl SocketTable {
    fn cell(socket: RawSocket) -> Option<&'static AtomicU64> {
        let number = place_of(socket)?;
        let page = DIRECTORY.get(number >> PAGE_BITS)?.load(Ordering::Acquire);
        // SAFETY: pages in the directory are initialised and never freed.
        let page = unsafe { NonNull::new(page)?.as_ref() };
        Some(&page[number % (1 << PAGE_BITS)])
    }

    fn make_cell(socket: RawSocket) -> Result<&'static AtomicU64, Error> {
        let number = place_of(socket).ok_or(ErrorCode::BadSocket)?;
        let place = DIRECTORY.get(number >> PAGE_BITS).ok_or(ErrorCode::Limit)?;
        if place.load(Ordering::Acquire).is_null() {
            let layout = Layout::new::<Page>();
            // SAFETY: the layout is not of size zero. Zero is an `AtomicU64`'s vacant state.
            let page = unsafe { alloc::alloc_zeroed(layout) }.cast::<Page>();
            if page.is_null() {
                return Err(ErrorCode::NoMemory.into());
            }
            if place.compare_exchange(ptr::null_mut(), page, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: another thread was first; this page was never seen.
                unsafe { alloc::dealloc(page.cast(), layout) };
            }
        }
        Ok(Self::cell(socket).expect("the page was just made"))
    }

    /// Who has the number now.
    pub(crate) fn get(socket: RawSocket) -> Option<Entry> {
        Entry::decode(Self::cell(socket)?.load(Ordering::Acquire))
    }

    /// Makes sure that a number has a place, so that entering it later cannot be refused for want of memory.
    pub(crate) fn reserve(socket: RawSocket) -> Result<(), Error> {
        Self::make_cell(socket).map(drop)
    }

    /// Enters `entry` if the number still has `expected`; false if it has something else by now.
    pub(crate) fn enter(socket: RawSocket, expected: Option<Entry>, entry: Entry) -> Result<bool, Error> {
        let cell = Self::make_cell(socket)?;
        let swap = cell.compare_exchange(encoded(expected), entry.encode(), Ordering::AcqRel, Ordering::Acquire);
        Ok(swap.is_ok())
    }

    /// Takes `entry` out; false if the number has something else by now.
    pub(crate) fn leave(socket: RawSocket, entry: Entry) -> bool {
        let Some(cell) = Self::cell(socket) else { return false };
        cell.compare_exchange(entry.encode(), 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::INVALID_SOCKET;

    #[test]
    fn an_entry_leaves_only_if_it_is_still_there() {
        let (socket, old, new) = (50_000_000, Entry::Socket(SocketHandle::new(9, 1)), Entry::Listener(4));
        assert_eq!(SocketTable::get(socket), None);
        assert_eq!(SocketTable::enter(socket, None, old), Ok(true));
        assert_eq!(SocketTable::get(socket), Some(old));
        assert_eq!(SocketTable::enter(socket, None, new), Ok(false));
        assert_eq!(SocketTable::enter(socket, Some(old), new), Ok(true));
        assert!(!SocketTable::leave(socket, old));
        assert!(SocketTable::leave(socket, new));
        assert_eq!(SocketTable::get(socket), None);
    }

    #[test]
    fn what_is_no_number_of_a_socket_has_nobody() {
        assert_eq!(SocketTable::get(INVALID_SOCKET), None);
        assert!(SocketTable::enter(INVALID_SOCKET, None, Entry::Listener(1)).is_err());
    }
}
