//! Message headers and vectors on their way to the kernel. It has copied them when a submission returns, so one arena
//! serves all sends between two submissions.

use crate::sys::MAX_GATHER;
use crate::{Error, ErrorCode};
use std::ptr;

/// Room for so many messages of the greatest length between two submissions.
const FULL_MESSAGES: usize = 64;
/// The most messages between two submissions.
const HEADERS: usize = 512;
/// The most bytes that one call moves (the kernel's `MAX_RW_COUNT`, with the largest pages).
const MAX_BYTES: usize = 0x7fff_0000;

/// What a send's slices came to.
pub(super) enum Message {
    /// Nothing to send.
    Nothing,
    /// One slice.
    One { data: *const u8, len: u32 },
    /// Several, behind a header in the arena.
    Many(*const libc::msghdr),
}

/// The arena. Neither vector grows past the capacity reserved when it was made, so what is in them does not move.
pub(super) struct Messages {
    headers: Vec<libc::msghdr>,
    vectors: Vec<libc::iovec>,
}

// SAFETY: the pointers inside are read by the kernel only, in the submission by whichever thread owns this value.
unsafe impl Send for Messages {}

impl Messages {
    pub(super) fn new() -> Result<Messages, Error> {
        let mut headers = Vec::new();
        let mut vectors = Vec::new();
        headers.try_reserve_exact(HEADERS).map_err(|_| ErrorCode::NoMemory)?;
        vectors.try_reserve_exact(FULL_MESSAGES * MAX_GATHER).map_err(|_| ErrorCode::NoMemory)?;
        Ok(Messages { headers, vectors })
    }

    /// Whether the next message might not fit: everything queued is to be submitted first.
    pub(super) fn is_full(&self) -> bool {
        self.headers.len() == HEADERS || self.vectors.len() > (FULL_MESSAGES - 1) * MAX_GATHER
    }

    /// Everything queued has been submitted: the arena starts afresh.
    pub(super) fn clear(&mut self) {
        self.headers.clear();
        self.vectors.clear();
    }

    /// Describes the slices, at most [`MAX_GATHER`] of them. The arena must not be full.
    pub(super) fn describe<'q>(&mut self, slices: impl Iterator<Item = &'q [u8]>) -> Message {
        assert!(!self.is_full(), "the caller has submitted first");
        let start = self.vectors.len();
        for slice in slices.take(MAX_GATHER) {
            self.vectors.push(libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() });
        }
        match self.vectors.len() - start {
            0 => Message::Nothing,
            1 => {
                let vector = self.vectors[start];
                self.vectors.truncate(start);
                Message::One { data: vector.iov_base.cast(), len: vector.iov_len.min(MAX_BYTES) as u32 }
            }
            count => {
                // SAFETY: every field of the header may be zero; padding fields on some targets must be.
                let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
                header.msg_iov = ptr::from_mut(&mut self.vectors[start]);
                header.msg_iovlen = count as _;
                self.headers.push(header);
                Message::Many(&raw const self.headers[self.headers.len() - 1])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arena_never_moves_what_it_holds() {
        let mut messages = Messages::new().expect("memory");
        let first = match messages.describe([&b"a"[..], &b"b"[..]].into_iter()) {
            Message::Many(header) => header,
            _ => unreachable!("two slices are a message"),
        };
        let vectors = messages.vectors.as_ptr();
        while !messages.is_full() {
            let slices = [&b"xyz"[..]; MAX_GATHER];
            assert!(matches!(messages.describe(slices.into_iter()), Message::Many(_)));
        }
        assert_eq!((messages.headers.as_ptr(), messages.vectors.as_ptr()), (first, vectors));
        assert_eq!(messages.headers[0].msg_iov.cast_const(), vectors);
        messages.clear();
        assert!(!messages.is_full());
        while !messages.is_full() {
            messages.describe([&b"a"[..], &b"b"[..]].into_iter());
        }
        assert_eq!((messages.headers.as_ptr(), messages.headers.len()), (first, HEADERS));
    }

    #[test]
    fn a_single_slice_needs_no_header() {
        let mut messages = Messages::new().expect("memory");
        for _ in 0..2 * HEADERS {
            assert!(matches!(messages.describe([&b"abc"[..]].into_iter()), Message::One { len: 3, .. }));
            assert!(matches!(messages.describe([].into_iter()), Message::Nothing));
        }
        assert!(!messages.is_full());
    }
}
