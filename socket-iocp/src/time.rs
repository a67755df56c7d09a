//! A worker's clock in milliseconds, and time limits in four bytes.

use crate::planted::planted;
use crate::{Error, ErrorCode};
use std::time::Duration;

/// The longest time limit of an operation, and the longest delay of a timer: seven days.
pub const MAX_TIME_LIMIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The bits of a moment: the highest is free for [`Limit`].
const MOMENT_BITS: u32 = 31;
const MOMENT_MASK: u32 = (1 << MOMENT_BITS) - 1;

/// A moment of a worker's clock in milliseconds. It wraps after 24 days: of two that are compared, one is less than 12 days
/// after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment(u32);

impl Moment {
    /// The millisecond that this moment of the clock lies in.
    pub(crate) const fn of(clock: Duration) -> Moment {
        Moment(clock.as_millis() as u32 & MOMENT_MASK)
    }

    /// The moment of this number, wrapped.
    pub(crate) const fn from_number(number: u32) -> Moment {
        Moment(number & MOMENT_MASK)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    pub(crate) const fn after(self, delay_ms: u32) -> Moment {
        Moment::from_number(self.0.wrapping_add(delay_ms))
    }

    /// How long it is until `later`; 0 if that has come already.
    pub(crate) const fn ms_until(self, later: Moment) -> u32 {
        let ahead = ((later.0.wrapping_sub(self.0)) << 1) as i32 >> 1;
        if ahead > 0 { ahead as u32 } else { 0 }
    }

    pub(crate) const fn is_before(self, other: Moment) -> bool {
        self.ms_until(other) != 0
    }

    /// The earlier of the two.
    pub(crate) fn min(self, other: Moment) -> Moment {
        if other.is_before(self) { other } else { self }
    }
}

/// A time limit: none, a delay that has not begun to run, or the moment at which it is over.
///
/// Who issues an operation with a limit reads no clock: the delay begins to run when the worker next reads its own, at the
/// end of its turn. So it is never over early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limit(u32);

/// Marks a delay that has not begun.
const FRESH: u32 = 1 << MOMENT_BITS;

impl Limit {
    pub(crate) const NONE: Limit = Limit(0);

    /// A delay, rounded up to milliseconds. Errors: `InvalidArgument` (longer than [`MAX_TIME_LIMIT`]).
    pub(crate) fn after(delay: Duration) -> Result<Limit, Error> {
        if delay > MAX_TIME_LIMIT {
            return Err(ErrorCode::InvalidArgument.into());
        }
        Ok(Limit::after_ms(delay.as_nanos().div_ceil(1_000_000) as u32))
    }

    /// A delay of at most [`MAX_TIME_LIMIT`].
    pub(crate) const fn after_ms(delay_ms: u32) -> Limit {
        Limit(FRESH | delay_ms)
    }

    /// Over at this moment, or a millisecond later: there is no number for the moment 0.
    pub(crate) const fn at(moment: Moment) -> Limit {
        Limit(if moment.0 == 0 { 1 } else { moment.0 })
    }

    /// The limit, whose delay runs from `now` on if it has not begun before.
    pub(crate) fn begun(self, now: Moment) -> Limit {
        if !self.is_fresh() {
            return self;
        }
        let delay_ms = self.0 & !FRESH;
        if planted!(LimitsHalved) {
            return Limit::at(now.after(delay_ms / 2));
        }
        // One more, since the present millisecond has begun already.
        Limit::at(now.after(delay_ms + 1))
    }

    /// The limit as a number, to be kept in an atomic.
    pub(crate) const fn into_number(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_number(number: u32) -> Limit {
        Limit(number)
    }

    pub(crate) const fn is_fresh(self) -> bool {
        self.0 & FRESH != 0
    }

    /// When it is over, if it has begun.
    pub(crate) fn moment(self) -> Option<Moment> {
        (self != Limit::NONE && !self.is_fresh()).then_some(Moment(self.0))
    }

    pub(crate) fn is_over(self, now: Moment) -> bool {
        self.moment().is_some_and(|moment| !now.is_before(moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_compare_across_the_wrap() {
        let late = Moment::of(Duration::from_millis(u64::from(MOMENT_MASK)));
        let later = late.after(5);
        assert_eq!((later.number(), late.ms_until(later), later.ms_until(late)), (4, 5, 0));
        assert!(late.is_before(later) && !later.is_before(late) && !late.is_before(late));
        assert_eq!((late.min(later), later.min(late)), (late, late));
    }

    #[test]
    fn a_limit_is_never_over_early() {
        let limit = Limit::after(Duration::from_micros(2_001)).expect("short");
        assert!(limit.is_fresh() && limit.moment().is_none());
        // It begins somewhere in millisecond 7, and three whole ones follow.
        let limit = limit.begun(Moment::from_number(7));
        assert_eq!(limit.begun(Moment::from_number(9)), limit);
        assert!(!limit.is_over(Moment::from_number(10)) && limit.is_over(Moment::from_number(11)));
    }

    #[test]
    fn no_limit_is_never_over() {
        assert!(!Limit::NONE.is_over(Moment::from_number(MOMENT_MASK)) && !Limit::NONE.is_fresh());
        let at_zero = Limit::after_ms(0).begun(Moment::from_number(MOMENT_MASK));
        assert_eq!(at_zero.moment().map(Moment::number), Some(1));
        let too_long = Limit::after(MAX_TIME_LIMIT + Duration::from_nanos(1));
        assert_eq!(too_long.map_err(|error| error.code()), Err(ErrorCode::InvalidArgument));
        assert!(Limit::after(MAX_TIME_LIMIT).is_ok());
    }
}
