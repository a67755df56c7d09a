//! The process's descriptor limit, where the system has one: raised as far as allowed, and checked against what a
//! command needs.

use crate::failure::Failure;
use crate::system;

/// Descriptors beside the connections: standard streams, a listen socket, and room for libraries.
const DESCRIPTORS_BESIDE: u64 = 32;
/// What a port needs for each thread that runs it, generously: a ring or epoll descriptor, a wake-up, a timer.
const DESCRIPTORS_A_THREAD: u64 = 8;

/// Raises the soft limit of descriptors to the hard one. A refusal leaves the limit as it was, which
/// [`check_descriptors`] then judges.
pub fn raise_descriptors() {
    system::raise_descriptor_limit();
}

/// Tells whether that many connections, with `sockets_each` descriptors for each, and the threads' own descriptors fit
/// under the limit.
pub fn check_descriptors(connections: u64, sockets_each: u64, threads: u64) -> Result<(), Failure> {
    let beside = DESCRIPTORS_BESIDE.saturating_add(threads.saturating_mul(DESCRIPTORS_A_THREAD));
    let needed = connections.saturating_mul(sockets_each).saturating_add(beside);
    system::descriptor_limit().map_or(Ok(()), |limit| fits(connections, needed, limit))
}

fn fits(connections: u64, needed: u64, limit: u64) -> Result<(), Failure> {
    if needed <= limit {
        return Ok(());
    }
    Err(Failure::cannot_start(format!(
        "{connections} connections need {needed} descriptors, this process may have {limit} (see `ulimit -Hn`)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_exact() {
        assert!(fits(900, 1000, 1000).is_ok());
        let failure = fits(900, 1001, 1000).expect_err("one too many");
        assert!(failure.to_string().starts_with("900 connections need 1001 descriptors"), "{failure}");
        assert_eq!(failure.code(), 2);
    }

    #[test]
    fn absurd_numbers_do_not_wrap_around() {
        assert_eq!(check_descriptors(u64::MAX, 2, u64::MAX).is_ok(), system::descriptor_limit().is_none());
        assert!(check_descriptors(1, 1, 1).is_ok());
    }
}
