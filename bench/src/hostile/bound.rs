//! What memory a server may take at most, computed from what it was made with. It is what it is measured by.

use super::options::Limits;
use super::server::STATE_BYTES;
use crate::READ_BUFFER_SIZE;
use socket_iocp::BackendKind;

/// The library's own memory for a socket with nothing queued; `tests/tests/idle_memory.rs` keeps it.
const SOCKET_BYTES: u64 = 320;
/// A queued send: a block of 64 bytes and what the allocator adds.
const SEND_BYTES: u64 = 64 + ALLOCATOR_BYTES;
/// A read buffer: a header, its bytes, and what the allocator adds.
const BUFFER_BYTES: u64 = 32 + READ_BUFFER_SIZE as u64 + ALLOCATOR_BYTES;
/// What the allocator adds to a block, to align it and to find it again.
const ALLOCATOR_BYTES: u64 = 16;
/// Free read buffers that a worker keeps, and read buffers that its ring has with the kernel.
const POOL_BYTES: u64 = 16 << 20;

/// The bytes for so many connections, some of which send and may not read; `None` if those may queue without a limit.
pub(crate) fn bound(kind: BackendKind, limits: Option<&Limits>, connections: usize, senders: usize) -> Option<u64> {
    let queue = match limits {
        // What is held back is one buffer more.
        Some(limits) => queued_sends(limits) * (SEND_BYTES + BUFFER_BYTES) + BUFFER_BYTES,
        None if senders == 0 => 0,
        None => return None,
    };
    let pools = if kind == BackendKind::IoUring { 2 * POOL_BYTES } else { POOL_BYTES };
    Some(connections as u64 * (SOCKET_BYTES + STATE_BYTES as u64) + senders as u64 * queue + pools)
}

/// Sends that may be queued on one socket. The limit of bytes bounds them too, but a send of one byte holds a whole read
/// buffer all the same: it is the limit of sends that bounds memory.
fn queued_sends(limits: &Limits) -> u64 {
    u64::from(limits.max_queued_sends.min(limits.max_queued_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { idle_timeout: None, max_queued_sends: 4, max_queued_bytes: 16_384 };

    #[test]
    fn what_is_queued_is_bounded_by_the_limits_or_not_at_all() {
        let of = |limits, connections, senders| bound(BackendKind::Readiness, limits, connections, senders);
        assert_eq!(of(None, 10, 0), Some(POOL_BYTES + 10 * (SOCKET_BYTES + STATE_BYTES as u64)));
        assert_eq!(of(None, 10, 1), None);
        let one = of(Some(&LIMITS), 10, 1).expect("a bound") - of(Some(&LIMITS), 10, 0).expect("a bound");
        assert_eq!(one, 4 * (SEND_BYTES + BUFFER_BYTES) + BUFFER_BYTES);
    }

    #[test]
    fn a_ring_has_buffers_of_its_own() {
        let of = |kind| bound(kind, Some(&LIMITS), 1, 1).expect("a bound");
        assert_eq!(of(BackendKind::IoUring) - of(BackendKind::Readiness), POOL_BYTES);
    }
}
