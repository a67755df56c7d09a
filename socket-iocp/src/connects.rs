//! Where sockets are being connected to: kept beside the sockets, of which few are being connected at any time.

use crate::handle::SocketHandle;
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
    targets: HashMap<u32, Target>,
    /// Those of which there is something that the worker has not seen yet, each once. They are no messages about their sockets, so
    /// that none of those is held back or overtaken by them.
    new: Vec<u32>,
}

#[derive(Debug)]
struct Target {
    /// Whose connect it is: the slot may have been another's a moment ago.
    handle: SocketHandle,
    address: SockAddr,
    stage: Stage,
    /// It is to be cancelled, and the worker has not been told.
    cancelled: bool,
    /// It is in the list of what is new.
    is_new: bool,
}

/// How far a worker knows of a connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Its socket is not in its slot yet.
    Coming,
    /// It is to begin.
    Arrived,
    Begun,
}

/// What is new of one.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct News {
    /// The index of its socket's slot.
    pub(crate) index: u32,
    /// It is to begin.
    pub(crate) begins: bool,
    /// It is to be cancelled.
    pub(crate) cancelled: bool,
}

impl Connects {
    /// Keeps the address of a socket that is about to enter its slot. Error: `NoMemory`.
    pub(crate) fn add(&self, handle: SocketHandle, address: &SockAddr) -> Result<(), Error> {
        let mut inner = lock(&self.inner);
        let places = inner.targets.len() + 1;
        inner.targets.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        let more = places.saturating_sub(inner.new.len());
        inner.new.try_reserve(more).map_err(|_| ErrorCode::NoMemory)?;
        let target = Target { handle, address: address.clone(), stage: Stage::Coming, cancelled: false, is_new: false };
        inner.targets.insert(handle.index(), target);
        self.count.store(places, Ordering::Release);
        Ok(())
    }

    /// The socket is in its slot: the worker is to begin, once it has been told to look.
    pub(crate) fn begin(&self, handle: SocketHandle) {
        // It may have begun, ended and gone already, by what was issued on it or with its port, and its slot may be given to
        // another, which is not in it yet.
        lock(&self.inner).tell(handle, |target| target.stage = Stage::Arrived);
    }

    /// Asks for the end of a connect that has not been told of; the worker is to be told to look. Error: `NotOutstanding`.
    pub(crate) fn cancel(&self, handle: SocketHandle) -> Result<(), Error> {
        // What was added for this socket was added before anybody had its handle.
        let is_known =
            self.count.load(Ordering::Acquire) != 0 && lock(&self.inner).tell(handle, |target| target.cancelled = true);
        if is_known { Ok(()) } else { Err(ErrorCode::NotOutstanding.into()) }
    }

    /// One of which there is something new.
    pub(crate) fn next(&self) -> Option<News> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut inner = lock(&self.inner);
        let index = inner.new.pop()?;
        let target = inner.targets.get_mut(&index).expect("what is new is known");
        target.is_new = false;
        let begins = target.stage == Stage::Arrived;
        if begins {
            target.stage = Stage::Begun;
        }
        Some(News { index, begins, cancelled: std::mem::take(&mut target.cancelled) })
    }

    /// Where this socket is being connected to.
    pub(crate) fn address(&self, index: u32) -> SockAddr {
        lock(&self.inner).targets.get(&index).expect("kept until the connect has ended").address.clone()
    }

    /// Forgets the address, if there is one.
    pub(crate) fn remove(&self, index: u32) {
        // What was added for this socket was added before the worker could meet it.
        if self.count.load(Ordering::Acquire) != 0 {
            let mut inner = lock(&self.inner);
            inner.targets.remove(&index);
            inner.new.retain(|new| *new != index);
            self.count.store(inner.targets.len(), Ordering::Release);
        }
    }
}

impl Inner {
    /// Notes something of the connect of this socket for its worker, if there is one.
    fn tell(&mut self, handle: SocketHandle, note: impl FnOnce(&mut Target)) -> bool {
        let Some(target) = self.targets.get_mut(&handle.index()).filter(|target| target.handle == handle) else {
            return false;
        };
        note(target);
        // There is room, see `add`.
        if !std::mem::replace(&mut target.is_new, true) {
            self.new.push(handle.index());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};

    fn address(port: u16) -> SockAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
    }

    #[test]
    fn a_socket_that_was_gone_before_it_was_to_begin_begins_nothing() {
        let connects = Connects::default();
        let (gone, next) = (SocketHandle::new(5, 1), SocketHandle::new(5, 2));
        connects.add(gone, &address(1)).expect("memory");
        connects.remove(5);
        connects.begin(gone);
        assert_eq!(connects.next(), None);
        // Nor what has its slot next, and is not in it yet.
        connects.add(next, &address(2)).expect("memory");
        connects.begin(gone);
        assert_eq!(connects.next(), None);
        connects.begin(next);
        assert_eq!((connects.next().map(|news| news.index), connects.next()), (Some(5), None));
        assert_eq!(connects.address(5), address(2));
        connects.remove(5);
        assert_eq!(connects.next(), None);
    }

    #[test]
    fn one_that_ends_before_the_worker_looks_is_not_met() {
        let connects = Connects::default();
        for index in 0..3 {
            let handle = SocketHandle::new(index, 1);
            connects.add(handle, &address(1)).expect("memory");
            connects.begin(handle);
        }
        connects.remove(1);
        let mut met: Vec<_> = std::iter::from_fn(|| connects.next()).map(|news| news.index).collect();
        met.sort_unstable();
        assert_eq!(met, [0, 2]);
    }

    #[test]
    fn a_cancel_is_told_once_and_of_the_socket_that_is_meant() {
        let connects = Connects::default();
        let (before, handle) = (SocketHandle::new(5, 1), SocketHandle::new(5, 2));
        let unknown = Err(ErrorCode::NotOutstanding.into());
        assert_eq!(connects.cancel(handle), unknown);
        connects.add(handle, &address(1)).expect("memory");
        connects.begin(handle);
        assert_eq!((connects.cancel(before), connects.cancel(handle)), (unknown, Ok(())));
        assert_eq!(connects.next(), Some(News { index: 5, begins: true, cancelled: true }));
        assert_eq!(connects.cancel(handle), Ok(()));
        assert_eq!(connects.next(), Some(News { index: 5, begins: false, cancelled: true }));
        assert_eq!(connects.next(), None);
        connects.cancel(handle).expect("not told of yet");
        connects.remove(5);
        assert_eq!((connects.next(), connects.cancel(handle)), (None, unknown));
    }
}
