//! Message headers, vectors and addresses on their way to the kernel. It has copied them when it has taken the submission, so one arena
//! serves all sends until the queue is found empty.

use crate::buffer::Destination;
use crate::sys::{MAX_GATHER, unix};
use crate::{Error, ErrorCode};
use libc::sockaddr;
use socket2::{SockAddr, SockAddrStorage};

/// Room for so many messages of the greatest length between two submissions.
const FULL_MESSAGES: usize = 64;
/// The most messages between two submissions.
const HEADERS: usize = 512;
/// The most addresses between two submissions.
const ADDRESSES: usize = 64;
/// The most bytes that one call moves (the kernel's `MAX_RW_COUNT`, with the largest pages).
const MAX_BYTES: usize = 0x7fff_0000;

/// What a send's slices came to.
pub(super) enum Message {
    /// Nothing to send.
    Nothing,
    /// One slice.
    One { data: *const u8, len: u32 },
    /// Several, behind a header in the arena.
    Many { header: *const libc::msghdr, bytes: usize },
}

/// The arena. No vector grows past the capacity reserved when it was made, so what is in them does not move.
pub(super) struct Messages {
    headers: Vec<libc::msghdr>,
    vectors: Vec<libc::iovec>,
    addresses: Vec<SockAddrStorage>,
}

// SAFETY: the pointers inside are read by the kernel only, in the submission by whichever thread owns this value.
unsafe impl Send for Messages {}

impl Messages {
    pub(super) fn new() -> Result<Messages, Error> {
        let mut headers = Vec::new();
        let mut vectors = Vec::new();
        let mut addresses = Vec::new();
        headers.try_reserve_exact(HEADERS).map_err(|_| ErrorCode::NoMemory)?;
        vectors.try_reserve_exact(FULL_MESSAGES * MAX_GATHER).map_err(|_| ErrorCode::NoMemory)?;
        addresses.try_reserve_exact(ADDRESSES).map_err(|_| ErrorCode::NoMemory)?;
        Ok(Messages { headers, vectors, addresses })
    }

    /// Whether the next message might not fit: everything queued is to be submitted first.
    pub(super) fn is_full(&self) -> bool {
        self.headers.len() == HEADERS
            || self.vectors.len() > (FULL_MESSAGES - 1) * MAX_GATHER
            || self.addresses.len() == ADDRESSES
    }

    /// Everything queued has been submitted: the arena starts afresh.
    pub(super) fn clear(&mut self) {
        self.headers.clear();
        self.vectors.clear();
        self.addresses.clear();
    }

    /// Keeps an address. The arena must not be full.
    pub(super) fn address(&mut self, address: &SockAddr) -> *const sockaddr {
        assert!(!self.is_full(), "the caller has submitted first");
        self.addresses.push(address.clone().as_storage());
        (&raw const self.addresses[self.addresses.len() - 1]).cast()
    }

    /// A datagram's header: these slices, at most [`MAX_GATHER`] of them, to this destination, which stays where it is. The arena
    /// must not be full.
    pub(super) fn datagram<'q>(
        &mut self,
        to: Destination<'_>,
        slices: impl Iterator<Item = &'q [u8]>,
    ) -> *const libc::msghdr {
        assert!(!self.is_full(), "the caller has submitted first");
        let start = self.vectors.len();
        for slice in slices.take(MAX_GATHER) {
            self.vectors.push(libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() });
        }
        let mut header = self.header(start);
        unix::address(&mut header, to);
        self.keep(header)
    }

    /// The header of the vectors from this one on.
    fn header(&mut self, start: usize) -> libc::msghdr {
        // SAFETY: every field of the header may be zero; padding fields on some targets must be.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iovlen = (self.vectors.len() - start) as _;
        header.msg_iov = self.vectors[start..].as_mut_ptr();
        header
    }

    fn keep(&mut self, header: libc::msghdr) -> *const libc::msghdr {
        self.headers.push(header);
        &raw const self.headers[self.headers.len() - 1]
    }

    /// Describes the slices, at most [`MAX_GATHER`] of them and so many bytes. The arena must not be full.
    pub(super) fn describe<'q>(&mut self, slices: impl Iterator<Item = &'q [u8]>, max_bytes: usize) -> Message {
        assert!(!self.is_full(), "the caller has submitted first");
        let start = self.vectors.len();
        let mut room = max_bytes;
        for slice in slices.take(MAX_GATHER) {
            let len = slice.len().min(room);
            self.vectors.push(libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: len });
            room -= len;
            if room == 0 {
                break;
            }
        }
        match self.vectors.len() - start {
            0 => Message::Nothing,
            1 => {
                let vector = self.vectors[start];
                self.vectors.truncate(start);
                Message::One { data: vector.iov_base.cast(), len: vector.iov_len.min(MAX_BYTES) as u32 }
            }
            _ => {
                let header = self.header(start);
                Message::Many { header: self.keep(header), bytes: max_bytes - room }
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
        let first = match messages.describe([&b"a"[..], &b"b"[..]].into_iter(), usize::MAX) {
            Message::Many { header, .. } => header,
            _ => unreachable!("two slices are a message"),
        };
        let vectors = messages.vectors.as_ptr();
        while !messages.is_full() {
            let slices = [&b"xyz"[..]; MAX_GATHER];
            assert!(matches!(messages.describe(slices.into_iter(), usize::MAX), Message::Many { .. }));
        }
        assert_eq!((messages.headers.as_ptr(), messages.vectors.as_ptr()), (first, vectors));
        assert_eq!(messages.headers[0].msg_iov.cast_const(), vectors);
        messages.clear();
        assert!(!messages.is_full());
        while !messages.is_full() {
            messages.describe([&b"a"[..], &b"b"[..]].into_iter(), usize::MAX);
        }
        assert_eq!((messages.headers.as_ptr(), messages.headers.len()), (first, HEADERS));
    }

    #[test]
    fn no_more_bytes_are_described_than_wanted() {
        let mut messages = Messages::new().expect("memory");
        let slices = [&b"abc"[..], b"def", b"ghi"];
        for (max_bytes, lens) in
            [(usize::MAX, vec![3, 3, 3]), (9, vec![3, 3, 3]), (8, vec![3, 3, 2]), (6, vec![3, 3]), (4, vec![3, 1])]
        {
            messages.clear();
            let described = messages.describe(slices.into_iter(), max_bytes);
            let Message::Many { bytes, .. } = described else { unreachable!("several slices are a message") };
            assert_eq!(bytes, lens.iter().sum::<usize>());
            assert_eq!(messages.vectors.iter().map(|vector| vector.iov_len).collect::<Vec<_>>(), lens);
        }
        assert!(matches!(messages.describe(slices.into_iter(), 2), Message::One { len: 2, .. }));
    }

    #[test]
    fn a_single_slice_needs_no_header() {
        let mut messages = Messages::new().expect("memory");
        for _ in 0..2 * HEADERS {
            assert!(matches!(messages.describe([&b"abc"[..]].into_iter(), usize::MAX), Message::One { len: 3, .. }));
            assert!(matches!(messages.describe([].into_iter(), usize::MAX), Message::Nothing));
        }
        assert!(!messages.is_full());
    }
}
