//! Which of a host's addresses is tried when: "happy eyeballs", [RFC 8305](https://www.rfc-editor.org/rfc/rfc8305). No clock is
//! read here and no socket made: times are arguments, attempts are told of.

use crate::{Error, ErrorCode};
use std::net::SocketAddr;
use std::time::Duration;

/// How long an attempt is left alone before the next one begins beside it; the RFC's "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The most addresses of one host that are tried: they bound the attempts that go on at once.
const MAX_ADDRESSES: usize = 16;

/// The race of one host's addresses. The first attempt that succeeds ends it, and that is its owner's to see.
#[derive(Debug)]
pub(crate) struct Race {
    /// In the order of their attempts.
    addresses: Vec<SocketAddr>,
    /// So many attempts have begun.
    begun: usize,
    /// So many of those go on.
    pending: usize,
    /// When the next one begins, although others go on.
    next_at: Duration,
    /// What is told if none succeeds.
    error: Option<Error>,
}

impl Race {
    /// A race of these addresses, the most promising first, as getaddrinfo(3) sorts them (RFC 6724).
    pub(crate) fn new(mut addresses: Vec<SocketAddr>) -> Race {
        interleave(&mut addresses);
        addresses.truncate(MAX_ADDRESSES);
        Race { addresses, begun: 0, pending: 0, next_at: Duration::ZERO, error: None }
    }

    /// The address of an attempt that is due; it counts as begun. To be asked until there is none.
    pub(crate) fn next(&mut self, now: Duration) -> Option<SocketAddr> {
        let is_due = self.pending == 0 || now >= self.next_at;
        let address = self.addresses.get(self.begun).copied().filter(|_| is_due)?;
        self.begun += 1;
        self.pending += 1;
        self.next_at = now + ATTEMPT_DELAY;
        Some(address)
    }

    /// An attempt has failed: the next one is due at once.
    pub(crate) fn failed(&mut self, error: Error) {
        self.pending -= 1;
        self.next_at = Duration::ZERO;
        let told = self.error.get_or_insert(error);
        if !was_answered(told) && was_answered(&error) {
            *told = error;
        }
    }

    /// When the next attempt is due; `None` when all have begun.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        (self.begun < self.addresses.len()).then_some(self.next_at)
    }

    /// Why none has succeeded, once all have failed: the first error that came of an answer or of silence; that nothing there was
    /// to be reached is told only if it is so of all.
    pub(crate) fn lost(&self) -> Option<Error> {
        let is_over = self.pending == 0 && self.begun == self.addresses.len();
        is_over.then(|| self.error.unwrap_or(ErrorCode::Unresolved.into()))
    }
}

/// Whether the address of a failed attempt was one that could be reached, as far as this machine knows.
fn was_answered(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::Refused | ErrorCode::Reset | ErrorCode::ConnectionAborted | ErrorCode::TimedOut)
}

/// Puts the two families in turn, beginning with that of the first address; within a family the order stays.
fn interleave(addresses: &mut [SocketAddr]) {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return };
    for place in 1..addresses.len() {
        let wants_ipv6 = first ^ (place % 2 == 1);
        let Some(found) = addresses[place..].iter().position(|address| address.is_ipv6() == wants_ipv6) else { return };
        addresses[place..=place + found].rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn four(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 80))
    }

    fn six(number: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 80))
    }

    fn error(code: ErrorCode) -> Error {
        code.into()
    }

    /// The attempts that are due.
    fn due(race: &mut Race, now: Duration) -> Vec<SocketAddr> {
        std::iter::from_fn(|| race.next(now)).collect()
    }

    #[test]
    fn families_take_turns_from_the_first_one_on() {
        let order = |mut addresses: Vec<SocketAddr>| {
            interleave(&mut addresses);
            addresses
        };
        assert_eq!(order(vec![six(1), six(2), four(1), four(2)]), [six(1), four(1), six(2), four(2)]);
        assert_eq!(order(vec![four(1), six(1), six(2), six(3)]), [four(1), six(1), six(2), six(3)]);
        assert_eq!(order(vec![four(1), four(2), four(3), six(1)]), [four(1), six(1), four(2), four(3)]);
        assert_eq!(order(vec![six(1), four(1), six(2)]), [six(1), four(1), six(2)]);
        assert_eq!(order(vec![four(1), four(2)]), [four(1), four(2)]);
        assert_eq!(order(vec![]), []);
    }

    #[test]
    fn of_many_addresses_those_of_both_families_are_tried() {
        let many = (1..40).map(six).chain([four(1)]).collect();
        let mut race = Race::new(many);
        let mut tried = Vec::new();
        for round in 0..100 {
            tried.extend(due(&mut race, round * ATTEMPT_DELAY));
        }
        assert_eq!((tried.len(), &tried[..3]), (MAX_ADDRESSES, &[six(1), four(1), six(2)][..]));
    }

    #[test]
    fn attempts_begin_one_delay_after_the_other() {
        let mut race = Race::new(vec![six(1), four(1), six(2)]);
        assert_eq!((race.next_at(), due(&mut race, 5 * MS)), (Some(Duration::ZERO), vec![six(1)]));
        assert_eq!(race.next_at(), Some(5 * MS + ATTEMPT_DELAY));
        assert_eq!(due(&mut race, 4 * MS + ATTEMPT_DELAY), []);
        // One that is looked at late has its whole delay, too.
        assert_eq!(due(&mut race, 15 * MS + 3 * ATTEMPT_DELAY), [four(1)]);
        assert_eq!(due(&mut race, 14 * MS + 4 * ATTEMPT_DELAY), []);
        assert_eq!(due(&mut race, 15 * MS + 4 * ATTEMPT_DELAY), [six(2)]);
        assert_eq!((race.next_at(), race.lost()), (None, None));
    }

    #[test]
    fn a_failure_begins_the_next_at_once() {
        let mut race = Race::new(vec![six(1), four(1), six(2)]);
        assert_eq!(due(&mut race, MS), [six(1)]);
        race.failed(error(ErrorCode::Refused));
        assert_eq!(due(&mut race, 2 * MS), [four(1)]);
        // Whether another one goes on or not.
        assert_eq!(due(&mut race, 2 * MS + ATTEMPT_DELAY), [six(2)]);
        race.failed(error(ErrorCode::Unreachable));
        race.failed(error(ErrorCode::TimedOut));
        assert_eq!(race.lost(), Some(error(ErrorCode::Refused)));
    }

    #[test]
    fn one_failure_begins_one_attempt() {
        let mut race = Race::new(vec![six(1), four(1), six(2), four(2)]);
        assert_eq!((due(&mut race, MS), due(&mut race, MS + ATTEMPT_DELAY)), (vec![six(1)], vec![four(1)]));
        race.failed(error(ErrorCode::Refused));
        assert_eq!((due(&mut race, 2 * MS + ATTEMPT_DELAY), race.lost()), (vec![six(2)], None));
    }

    #[test]
    fn what_is_told_is_the_first_answer_or_else_the_first_failure() {
        let lost = |codes: &[ErrorCode]| {
            let mut race = Race::new((0..codes.len()).map(|number| four(number as u8)).collect());
            for code in codes {
                assert_eq!(race.lost(), None);
                assert_eq!(due(&mut race, MS).len(), 1);
                race.failed(error(*code));
            }
            race.lost().map(|error| error.code())
        };
        use ErrorCode::{NoDescriptors, Refused, TimedOut, Unreachable, Unsupported};
        assert_eq!(lost(&[Unreachable, Refused, TimedOut]), Some(Refused));
        assert_eq!(lost(&[Unsupported, Unreachable]), Some(Unsupported));
        assert_eq!(lost(&[TimedOut, Refused]), Some(TimedOut));
        assert_eq!(lost(&[NoDescriptors]), Some(NoDescriptors));
        assert_eq!(lost(&[]), Some(ErrorCode::Unresolved));
    }
}
