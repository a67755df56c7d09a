//! Recvs that stand (`Options::multishot_recv`): one submission, which the kernel answers with every buffer that it has filled,
//! until it is cancelled or cannot go on.
//!
//! The worker knows nothing of that: it issues one recv after the other. So an answer that finds no recv issued is kept here,
//! and the next recv takes it from here.
//!
//! # States
//! They are kept in the socket's [`SocketIo`].
//! ```text
//! nothing ──recv──> STANDS, AWAITED ──answer──> STANDS ──recv──> STANDS, AWAITED
//!    ^                  │                         │ an answer that fills what is kept; the end of the socket
//!    │                  │                         v
//!    └─answer, the last─┴───answer, the last──  STANDS, ENDING (AWAITED if a recv is issued meanwhile)
//! ```
//! - Beside these, `KEPT`: something is kept. A recv takes that first, and nothing is awaited before it is gone.
//! - The last answer is data as any other, a FIN, or an error. A FIN is not kept: the next recv stands anew, and the kernel says
//!   it again. An error is, since the kernel says it once.
//! - `LOST`: there was no memory to keep an answer. The next recv says that.
//!
//! # Who owns a buffer
//! The kernel, until its answer is taken; then the state machine, if a recv is awaited; else this file, until a recv takes it or the
//! socket ends.
//!
//! See [`io_uring_prep_recv_multishot(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_recv_multishot.3.html).

use super::tag::{Kind, Tag};
use super::{Backend, buffers, failure_of};
use crate::buffer::{BufferPool, ReadBuffer};
use crate::sys::{Failure, Key, SocketIo, Submitted};
use crate::{Error, ErrorCode, RawSocket};
use io_uring::opcode;
use io_uring::types::Fd;
use std::collections::{HashMap, VecDeque};

/// In [`SocketIo`], beside the bits of `zero_copy.rs`: a recv of the socket is with the kernel.
const STANDS: u8 = 1 << 2;
/// The worker has issued a recv, which gets the next answer.
const AWAITED: u8 = 1 << 3;
/// It has been asked to end.
const ENDING: u8 = 1 << 4;
/// Answers are kept that no recv has asked for.
const KEPT: u8 = 1 << 5;
/// An answer could not be kept.
const LOST: u8 = 1 << 6;

/// So many buffers may be kept of a socket; then its recv is asked to end. What the kernel fills until it does comes on top.
pub(super) const MAX_KEPT: usize = 16;
/// Empty lists that wait for the next socket, so that keeping something mostly allocates nothing.
const MAX_SPARE: usize = 64;

/// What is kept of all sockets.
pub(super) struct Standing {
    /// Whether a recv that is submitted is to stand.
    on: bool,
    kept: HashMap<Key, Kept>,
    spare: Vec<VecDeque<ReadBuffer>>,
}

/// What is kept of a socket.
struct Kept {
    buffers: VecDeque<ReadBuffer>,
    /// What has ended the recv that stood, behind the buffers.
    failure: Option<Failure>,
}

impl Standing {
    pub(super) fn new(on: bool) -> Standing {
        Standing { on, kept: HashMap::new(), spare: Vec::new() }
    }

    /// The kernel has none.
    pub(super) fn turn_off(&mut self) {
        self.on = false;
    }

    /// Whether a recv of this socket stands, or is to.
    pub(super) fn concerns(&self, io: &SocketIo) -> bool {
        self.on || io.flags & (STANDS | KEPT | LOST) != 0
    }

    /// Keeps an answer. Whether there is room for more; `None`: there was no memory even for this one.
    pub(super) fn keep(&mut self, key: Key, answer: Result<ReadBuffer, Failure>) -> Option<bool> {
        if !self.kept.contains_key(&key) {
            let mut buffers = self.spare.pop().unwrap_or_default();
            self.kept.try_reserve(1).and(buffers.try_reserve(1)).ok()?;
            self.kept.insert(key, Kept { buffers, failure: None });
        }
        let kept = self.kept.get_mut(&key)?;
        match answer {
            Ok(buffer) => {
                kept.buffers.try_reserve(1).ok()?;
                kept.buffers.push_back(buffer);
            }
            Err(failure) => kept.failure = Some(failure),
        }
        Some(kept.buffers.len() < MAX_KEPT)
    }

    /// Takes the first answer that is kept, if there is one, and whether more are.
    pub(super) fn take(&mut self, key: Key) -> (Option<Result<ReadBuffer, Failure>>, bool) {
        let Some(kept) = self.kept.get_mut(&key) else { return (None, false) };
        let first = kept.buffers.pop_front().map(Ok).or_else(|| kept.failure.take().map(Err));
        let more = !kept.buffers.is_empty() || kept.failure.is_some();
        if !more
            && let Some(kept) = self.kept.remove(&key)
            && self.spare.len() < MAX_SPARE
            && self.spare.try_reserve(1).is_ok()
        {
            self.spare.push(kept.buffers);
        }
        (first, more)
    }

    /// Empty lists at hand.
    #[cfg(test)]
    pub(super) fn spare(&self) -> usize {
        self.spare.len()
    }
}

/// A recv is to be cancelled: if one stands, it stands on, and is awaited no more. Whether that is all.
pub(super) fn gives_up_recv(io: &mut SocketIo) -> bool {
    let stands = io.flags & STANDS != 0;
    if stands {
        io.flags &= !AWAITED;
    }
    stands
}

impl Backend {
    /// A recv of a socket of which one stands, or is to.
    pub(super) fn recv_standing(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        pool: &mut BufferPool,
    ) -> Submitted<ReadBuffer> {
        if let Some(kept) = self.next_kept(io, key) {
            return Submitted::Done(kept);
        }
        if io.flags & STANDS == 0 {
            let tag = Tag::of_socket(Kind::Standing, key);
            if self.refused.has(tag) {
                return self.recv_once(key, socket, pool);
            }
            if let Err(error) = self.make_room() {
                return Submitted::Done(Err(failure_of(error)));
            }
            // SAFETY: the entry has no pointer; the buffers are the ring's, which holds them until it is gone.
            unsafe { self.push(opcode::RecvMulti::new(Fd(socket), buffers::GROUP).build(), tag) };
            io.flags |= STANDS;
        }
        io.flags |= AWAITED;
        Submitted::Pending
    }

    /// See [`Backend::arrived`](crate::sys::Backend::arrived).
    pub(crate) fn arrived(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        result: Result<ReadBuffer, Failure>,
        stands: bool,
    ) -> Option<Result<ReadBuffer, Failure>> {
        assert!(io.flags & STANDS != 0, "an answer of no recv");
        let awaited = io.flags & AWAITED != 0;
        io.flags &= !AWAITED;
        if !stands {
            io.flags &= !(STANDS | ENDING);
        }
        match result {
            // Asked to end before this recv was issued: another is to stand.
            Err(Failure::Cancelled) if awaited => return Some(Err(Failure::Again)),
            _ if awaited => return Some(result),
            Ok(buffer) if buffer.is_empty() => {}
            Ok(_) | Err(Failure::Os(_)) => self.keep(io, key, result),
            // The next recv stands anew.
            Err(Failure::Again | Failure::NoBuffer | Failure::Shortage | Failure::Cancelled) => {}
            Err(Failure::File(_) | Failure::FileEnded) => unreachable!("a recv reads no file"),
        }
        None
    }

    /// See [`Backend::end_standing`](crate::sys::Backend::end_standing).
    pub(crate) fn end_standing(&mut self, io: &mut SocketIo, key: Key) -> bool {
        if io.flags & (STANDS | ENDING) == STANDS {
            io.flags |= ENDING;
            self.push_cancel(Tag::of_socket(Kind::Standing, key));
        }
        io.flags & STANDS != 0
    }

    /// See [`Backend::take_kept`](crate::sys::Backend::take_kept).
    pub(crate) fn take_kept(&mut self, io: &mut SocketIo, key: Key) -> Result<Option<ReadBuffer>, Error> {
        match self.next_kept(io, key) {
            Some(Ok(buffer)) => Ok(Some(buffer)),
            Some(Err(_)) if io.flags & LOST != 0 => Err(ErrorCode::NoMemory.into()),
            // An error that nobody has asked for.
            Some(Err(_)) | None => Ok(None),
        }
    }

    /// The first answer that is kept. Where one was lost, that is the last word.
    fn next_kept(&mut self, io: &mut SocketIo, key: Key) -> Option<Result<ReadBuffer, Failure>> {
        if io.flags & KEPT != 0 {
            let (first, more) = self.standing.take(key);
            if !more {
                io.flags &= !KEPT;
            }
            return first;
        }
        (io.flags & LOST != 0).then_some(Err(Failure::Os(libc::ENOMEM)))
    }

    fn keep(&mut self, io: &mut SocketIo, key: Key, answer: Result<ReadBuffer, Failure>) {
        // Behind what is missing nothing is of use.
        let room = if io.flags & LOST == 0 { self.standing.keep(key, answer) } else { None };
        io.flags |= if room.is_some() { KEPT } else { LOST };
        if room != Some(true) {
            self.end_standing(io, key);
        }
    }

    /// As if there had been no memory to keep something.
    #[cfg(test)]
    pub(super) fn lose(&mut self, io: &mut SocketIo) {
        io.flags |= LOST;
    }
}
