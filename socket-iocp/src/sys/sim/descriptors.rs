//! The table of numbers, as a process's table of descriptors: the lowest free one is the next.
//!
//! The engine keeps one table of numbers for the whole process, so two networks must not give out the same one: each
//! has a block of its own, which is another's when it is gone.

use super::state::SocketId;
use crate::RawSocket;
use crate::sys::{number_at, place_of};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Where simulated numbers start in the table of the process: above any that a process has (`fs.nr_open` is far below it
/// by default), so that one given to a real system call is no socket and never a stranger's.
const FIRST_PLACE: usize = 1 << 24;
/// The numbers of one network.
const BLOCK: usize = 1 << 15;
/// Networks at once: the table has 1 << 26 places.
const MAX_BLOCKS: usize = ((1 << 26) - FIRST_PLACE) / BLOCK;

/// Blocks in use.
static BLOCKS: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// A number in use.
#[derive(Debug)]
pub(super) struct Descriptor {
    /// Tells the users of one number apart.
    pub(super) serial: u64,
    pub(super) socket: SocketId,
    pub(super) recv_pending: bool,
    pub(super) send_pending: bool,
    pub(super) accepts_pending: usize,
}

impl Descriptor {
    /// Panics if an operation is pending on this number.
    pub(super) fn assert_idle(&self, number: RawSocket, what: &str) {
        let Descriptor { recv_pending, send_pending, accepts_pending, .. } = *self;
        assert!(!recv_pending, "sim: {what} with a recv pending, socket {number}");
        assert!(!send_pending, "sim: {what} with a send pending, socket {number}");
        assert!(accepts_pending == 0, "sim: {what} with {accepts_pending} accepts pending, socket {number}");
    }
}

#[derive(Debug)]
pub(super) struct Descriptors {
    block: usize,
    table: Vec<Option<Descriptor>>,
    free: BTreeSet<usize>,
    /// Numbers that a test has closed behind the engine's back: the engine may go on using them.
    closed_behind: BTreeSet<RawSocket>,
    next_serial: u64,
}

impl Descriptors {
    /// An empty table over the lowest block that no other network has.
    pub(super) fn new() -> Descriptors {
        let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        let block = (0..MAX_BLOCKS).find(|block| !blocks.contains(block)).expect("sim: too many networks at once");
        blocks.insert(block);
        Descriptors { block, table: Vec::new(), free: BTreeSet::new(), closed_behind: BTreeSet::new(), next_serial: 1 }
    }

    fn first(&self) -> usize {
        FIRST_PLACE + self.block * BLOCK
    }

    fn position(&self, number: RawSocket) -> Option<usize> {
        place_of(number)?.checked_sub(self.first())
    }

    /// Gives the lowest free number to a socket; the caller's reference passes to it.
    pub(super) fn open(&mut self, socket: SocketId) -> RawSocket {
        let serial = self.next_serial;
        self.next_serial += 1;
        let position = self.free.pop_first().unwrap_or_else(|| {
            self.table.push(None);
            self.table.len() - 1
        });
        self.table[position] =
            Some(Descriptor { serial, socket, recv_pending: false, send_pending: false, accepts_pending: 0 });
        assert!(position < BLOCK, "sim: out of numbers");
        number_at(self.first() + position)
    }

    /// Takes a number out; its reference to the socket passes to the caller.
    pub(super) fn take(&mut self, number: RawSocket) -> Option<Descriptor> {
        let position = self.position(number)?;
        let descriptor = self.table.get_mut(position)?.take()?;
        self.free.insert(position);
        Some(descriptor)
    }

    /// As [`take`](Descriptors::take), by a test behind the engine's back.
    pub(super) fn take_behind(&mut self, number: RawSocket) -> Option<Descriptor> {
        self.closed_behind.insert(number);
        self.take(number)
    }

    pub(super) fn get(&self, number: RawSocket) -> Option<&Descriptor> {
        self.table.get(self.position(number)?)?.as_ref()
    }

    fn get_mut(&mut self, number: RawSocket) -> Option<&mut Descriptor> {
        let position = self.position(number)?;
        self.table.get_mut(position)?.as_mut()
    }

    /// The descriptor that a call of the engine names: `None` is EBADF, which only a close behind its back excuses.
    pub(super) fn named(&mut self, number: RawSocket, what: &str) -> Option<&mut Descriptor> {
        let excused = self.closed_behind.contains(&number);
        let found = self.get_mut(number);
        assert!(found.is_some() || excused, "sim: {what} on a number that is not open: {number}");
        found
    }

    /// The descriptor if it is still the one with this serial.
    pub(super) fn same(&mut self, number: RawSocket, serial: u64) -> Option<&mut Descriptor> {
        self.get_mut(number).filter(|descriptor| descriptor.serial == serial)
    }

    /// Numbers in use.
    pub(super) fn len(&self) -> usize {
        self.table.len() - self.free.len()
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        BLOCKS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.block);
    }
}
