//! Where sockets are being connected to: kept beside the sockets, of which few are being connected at any time. A worker is told
//! here of what is new about them.

use crate::handle::SocketHandle;
use crate::lock::lock;
use crate::{Error, ErrorCode, Socket};
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
    to: To,
    stage: Stage,
    /// It is to be cancelled, and the worker has not been told.
    cancelled: bool,
    /// It is in the list of what is new.
    is_new: bool,
}

/// Where a socket is being connected to.
#[derive(Debug)]
pub(crate) enum To {
    /// To an address, by the worker.
    Address(SockAddr),
    /// To a host, elsewhere (`hosts.rs`).
    Host,
    /// What has come of the latter, for the worker.
    Made(Result<Socket, Error>),
    /// The worker has it.
    Taken,
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
#[derive(Debug)]
pub(crate) struct News {
    /// The index of its socket's slot.
    pub(crate) index: u32,
    /// It is to begin.
    pub(crate) begins: bool,
    /// It is to be cancelled.
    pub(crate) cancelled: bool,
    /// What has come of a connect to a host.
    pub(crate) made: Option<Result<Socket, Error>>,
}

impl Connects {
    /// Keeps where a socket is to be connected to that is about to enter its slot. Error: `NoMemory`.
    pub(crate) fn add(&self, handle: SocketHandle, to: To) -> Result<(), Error> {
        let mut inner = lock(&self.inner);
        let places = inner.targets.len() + 1;
        inner.targets.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        let more = places.saturating_sub(inner.new.len());
        inner.new.try_reserve(more).map_err(|_| ErrorCode::NoMemory)?;
        let target = Target { handle, to, stage: Stage::Coming, cancelled: false, is_new: false };
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
        let made = match std::mem::replace(&mut target.to, To::Taken) {
            To::Made(made) => Some(made),
            other => {
                target.to = other;
                None
            }
        };
        Some(News { index, begins, cancelled: std::mem::take(&mut target.cancelled), made })
    }

    /// Keeps what has come of a connect to a host for its worker, which is to be told to look. A connection that nobody waits for
    /// any more comes back.
    pub(crate) fn made(&self, handle: SocketHandle, result: Result<Socket, Error>) -> Option<Socket> {
        let mut result = Some(result);
        lock(&self.inner).tell(handle, |target| target.to = result.take().map_or(To::Taken, To::Made));
        result?.ok()
    }

    /// Where this socket is being connected to.
    pub(crate) fn address(&self, index: u32) -> SockAddr {
        match &lock(&self.inner).targets.get(&index).expect("kept until the connect has been told of").to {
            To::Address(address) => address.clone(),
            elsewhere => unreachable!("a connect {elsewhere:?} is not the worker's"),
        }
    }

    /// Forgets a connect, if there is one; where it was to is the caller's to see to.
    pub(crate) fn remove(&self, index: u32) -> Option<To> {
        // What was added for this socket was added before the worker could meet it.
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut inner = lock(&self.inner);
        let removed = inner.targets.remove(&index)?;
        if removed.is_new {
            inner.new.retain(|new| *new != index);
        }
        self.count.store(inner.targets.len(), Ordering::Release);
        Some(removed.to)
    }
}

impl Inner {
    /// Notes something of the connect of this socket for its worker, if there is one.
    fn tell(&mut self, handle: SocketHandle, note: impl FnOnce(&mut Target)) -> bool {
        let Some(target) = self.targets.get_mut(&handle.index()).filter(|target| target.handle == handle) else {
            return false;
        };
        note(target);
        // There is room, see `add`. One that comes has its worker told when it is there.
        if target.stage != Stage::Coming && !std::mem::replace(&mut target.is_new, true) {
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

    fn to(port: u16) -> To {
        To::Address(address(port))
    }

    fn index_of_next(connects: &Connects) -> Option<u32> {
        connects.next().map(|news| news.index)
    }

    #[test]
    fn a_socket_that_was_gone_before_it_was_to_begin_begins_nothing() {
        let connects = Connects::default();
        let (gone, next) = (SocketHandle::new(5, 1), SocketHandle::new(5, 2));
        connects.add(gone, to(1)).expect("memory");
        connects.remove(5);
        connects.begin(gone);
        assert_eq!(index_of_next(&connects), None);
        // Nor what has its slot next, and is not in it yet.
        connects.add(next, to(2)).expect("memory");
        connects.begin(gone);
        assert_eq!(index_of_next(&connects), None);
        connects.begin(next);
        assert_eq!((index_of_next(&connects), index_of_next(&connects)), (Some(5), None));
        assert_eq!(connects.address(5), address(2));
        connects.remove(5);
        assert_eq!(index_of_next(&connects), None);
    }

    #[test]
    fn one_that_ends_before_the_worker_looks_is_not_met() {
        let connects = Connects::default();
        for index in 0..3 {
            let handle = SocketHandle::new(index, 1);
            connects.add(handle, to(1)).expect("memory");
            connects.begin(handle);
        }
        connects.remove(1);
        let mut met: Vec<_> = std::iter::from_fn(|| index_of_next(&connects)).collect();
        met.sort_unstable();
        assert_eq!(met, [0, 2]);
    }

    #[test]
    fn a_cancel_is_told_once_and_of_the_socket_that_is_meant() {
        let connects = Connects::default();
        let (before, handle) = (SocketHandle::new(5, 1), SocketHandle::new(5, 2));
        let unknown = Err(ErrorCode::NotOutstanding.into());
        assert_eq!(connects.cancel(handle), unknown);
        connects.add(handle, to(1)).expect("memory");
        connects.begin(handle);
        assert_eq!((connects.cancel(before), connects.cancel(handle)), (unknown, Ok(())));
        let news = || connects.next().map(|news| (news.begins, news.cancelled));
        assert_eq!(news(), Some((true, true)));
        assert_eq!(connects.cancel(handle), Ok(()));
        assert_eq!(news(), Some((false, true)));
        assert_eq!(index_of_next(&connects), None);
        connects.cancel(handle).expect("not told of yet");
        connects.remove(5);
        assert_eq!((index_of_next(&connects), connects.cancel(handle)), (None, unknown));
    }

    #[test]
    fn what_came_of_a_host_waits_for_its_socket() {
        let connects = Connects::default();
        let (handle, after) = (SocketHandle::new(5, 1), SocketHandle::new(5, 2));
        let why = Error::from(ErrorCode::Refused);
        connects.add(handle, To::Host).expect("memory");
        assert!(connects.made(handle, Err(why)).is_none());
        assert_eq!(index_of_next(&connects), None);
        connects.begin(handle);
        let news = connects.next().expect("it begins, and is over");
        assert!(news.begins && matches!(news.made, Some(Err(error)) if error == why));
        assert!(matches!(connects.remove(5), Some(To::Taken)));
        // Of one that has gone nothing is kept.
        connects.add(after, To::Host).expect("memory");
        connects.begin(after);
        assert!(connects.next().is_some_and(|news| news.begins && news.made.is_none()));
        assert!(connects.made(handle, Err(why)).is_none());
        assert_eq!(index_of_next(&connects), None);
        assert!(matches!(connects.remove(5), Some(To::Host)));
    }
}
