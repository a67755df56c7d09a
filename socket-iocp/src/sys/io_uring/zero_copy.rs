//! Sends whose bytes the kernel reads where they lie (`Options::zero_copy_from`).
//!
//! The kernel answers such a send twice: with the result, when every byte is queued (`F_MORE` says that more comes), and with
//! a notification (`F_NOTIF`), when nobody reads the bytes any more, which on a network is when the peer has acknowledged
//! them. Until then the buffers are the kernel's, so the two answers are one completion for the worker: the result is kept
//! here, and comes with the notification. A send that failed may have a notification or not; the flags say so.
//!
//! # The end of a socket
//! A peer that reads no more acknowledges no more. The notification would then wait for the close, and the close waits for
//! every completion. So a socket that is going to be closed is [dissolved](dissolve) when its send is cancelled: that resets
//! the connection and throws away what is queued, and the notification comes.
//!
//! # Who can
//! TCP alone: nothing else can be dissolved, and sockets of the Unix family have no such sends. A socket of which the kernel
//! has refused one goes on with plain sends: EOPNOTSUPP (sockets from an accept, on some kernels), ENOMEM (more pages than
//! `RLIMIT_MEMLOCK` lets the process keep in place), ENOBUFS.
//!
//! See [`io_uring_prep_send_zc(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_send_zc.3.html).

use super::refused::Refused;
use super::tag::Tag;
use crate::sys::SocketIo;
use crate::{Error, RawSocket};
use std::collections::HashMap;

/// In [`SocketIo`]: what sort of socket it is has been asked.
const ASKED: u8 = 1;
/// In [`SocketIo`]: its large sends are without a copy.
const ALLOWED: u8 = 2;
/// With an idle time-out, the most bytes of one send: what the peer's system has to take for the send to go on.
pub(super) const MAX_PART: usize = 256 * 1024;

pub(super) struct ZeroCopy {
    /// The least bytes of a send without a copy; `usize::MAX`: there are none.
    from: usize,
    /// Such sends that have not ended, with their results as soon as those are there.
    under_way: HashMap<Tag, Option<i32>>,
    refused: Refused,
}

impl ZeroCopy {
    /// With 0 for never.
    pub(super) fn new(from: u32) -> Result<ZeroCopy, Error> {
        let from = if from == 0 { usize::MAX } else { from as usize };
        Ok(ZeroCopy { from, under_way: HashMap::new(), refused: Refused::new()? })
    }

    fn is_on(&self) -> bool {
        self.from != usize::MAX
    }

    /// Whether this send, which is about to be submitted, is to be one without a copy. It is noted then.
    pub(super) fn begin(&mut self, io: &mut SocketIo, tag: Tag, socket: RawSocket, bytes: usize) -> bool {
        if bytes < self.from {
            return false;
        }
        if io.flags & ASKED == 0 {
            io.flags |= ASKED | if is_tcp(socket) { ALLOWED } else { 0 };
        }
        if self.refused.take(tag) {
            io.flags &= !ALLOWED;
        }
        // Room for the result is made now: without it, nothing depends on it.
        if io.flags & ALLOWED == 0 || self.under_way.try_reserve(1).is_err() {
            return false;
        }
        let before = self.under_way.insert(tag, None);
        assert!(before.is_none(), "one send of a socket is under way at a time");
        true
    }

    /// The send has this result, and its notification is to come.
    pub(super) fn keep(&mut self, tag: Tag, result: i32) {
        let kept = self.under_way.get_mut(&tag).expect("sends without a copy alone have two answers");
        assert!(kept.replace(result).is_none(), "a send has one result");
    }

    /// A send, of whatever sort, has ended with this answer: its result. `None`: it is to be submitted again, with a copy.
    pub(super) fn ended(&mut self, tag: Tag, answer: i32) -> Option<i32> {
        if !self.is_on() {
            return Some(answer);
        }
        let Some(kept) = self.under_way.remove(&tag) else { return Some(answer) };
        // What a notification says itself is of no interest.
        let result = kept.unwrap_or(answer);
        if matches!(-result, libc::EOPNOTSUPP | libc::ENOMEM | libc::ENOBUFS) {
            self.refused.note(tag);
            return None;
        }
        Some(result)
    }

    /// The result that is kept, if it is there.
    #[cfg(test)]
    pub(super) fn result(&self, tag: Tag) -> Option<i32> {
        self.under_way.get(&tag).copied().flatten()
    }

    pub(super) fn is_under_way(&self, tag: Tag) -> bool {
        self.is_on() && self.under_way.contains_key(&tag)
    }
}

fn is_tcp(socket: RawSocket) -> bool {
    let mut protocol: libc::c_int = 0;
    let mut len = size_of_val(&protocol) as libc::socklen_t;
    // SAFETY: the call writes at most `len` bytes, which `protocol` has.
    let answer = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PROTOCOL, (&raw mut protocol).cast(), &raw mut len)
    };
    answer == 0 && protocol == libc::IPPROTO_TCP
}

/// Resets a connection of TCP at once, and throws away what was queued; the descriptor stays. See
/// [`connect(2)`](https://man7.org/linux/man-pages/man2/connect.2.html) on `AF_UNSPEC`.
pub(super) fn dissolve(socket: RawSocket) {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    // A refusal leaves the send to the peer and to the limits of TCP.
    // SAFETY: the call reads one address, of the length given.
    unsafe { libc::connect(socket, &raw const nobody, size_of_val(&nobody) as libc::socklen_t) };
}
