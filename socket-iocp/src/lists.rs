//! Lists of a worker's sockets, linked by index through the sockets themselves: no list needs memory of its own.

use std::cell::Cell;
use std::time::Duration;

const END: u32 = u32::MAX;
const NOT_LISTED: u32 = u32::MAX - 1;

/// A socket's place in a [`List`].
#[derive(Debug)]
pub(crate) struct Place(Cell<u32>);

impl Place {
    pub(crate) const fn new() -> Place {
        Place(Cell::new(NOT_LISTED))
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.0.get() != NOT_LISTED
    }
}

/// A first-in first-out list in which a socket stands at most once.
#[derive(Debug)]
pub(crate) struct List {
    first: Cell<u32>,
    last: Cell<u32>,
    len: Cell<usize>,
}

impl List {
    pub(crate) const fn new() -> List {
        List { first: Cell::new(END), last: Cell::new(END), len: Cell::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// Puts a socket at the end, unless it is in the list. `place` finds the place of any socket in it.
    pub(crate) fn push<'a>(&self, index: u32, place: impl Fn(u32) -> &'a Place) {
        let own = place(index);
        if own.is_listed() {
            return;
        }
        own.0.set(END);
        match self.last.replace(index) {
            END => self.first.set(index),
            last => place(last).0.set(index),
        }
        self.len.set(self.len.get() + 1);
    }

    pub(crate) fn pop<'a>(&self, place: impl Fn(u32) -> &'a Place) -> Option<u32> {
        let index = self.first.get();
        if index == END {
            return None;
        }
        let next = place(index).0.replace(NOT_LISTED);
        self.first.set(next);
        if next == END {
            self.last.set(END);
        }
        self.len.set(self.len.get() - 1);
        Some(index)
    }
}

/// A socket's place in a [`TimeoutList`].
#[derive(Debug)]
pub(crate) struct TimeoutPlace {
    before: Cell<u32>,
    after: Cell<u32>,
    /// In milliseconds of the worker's clock; wraps after 49 days, which is longer than any delay.
    deadline_ms: Cell<u32>,
}

impl TimeoutPlace {
    pub(crate) const fn new() -> TimeoutPlace {
        TimeoutPlace { before: Cell::new(NOT_LISTED), after: Cell::new(END), deadline_ms: Cell::new(0) }
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.before.get() != NOT_LISTED
    }
}

/// Sockets that wait for the same time to pass, each from when it was put here: so a new one always goes to the end, and the
/// first to reach its deadline is at the front. A socket is in one such list at most.
#[derive(Debug)]
pub(crate) struct TimeoutList {
    first: Cell<u32>,
    last: Cell<u32>,
    delay_ms: u32,
    /// Deadlines are put off to a multiple of this, so that one wake-up does for many.
    grain_ms: u32,
}

impl TimeoutList {
    /// `delay_ms`: below 2^31; `grain_ms`: at least 1.
    pub(crate) const fn new(delay_ms: u32, grain_ms: u32) -> TimeoutList {
        TimeoutList { first: Cell::new(END), last: Cell::new(END), delay_ms, grain_ms }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.get() == END
    }

    /// `now`: the worker's clock, as in the other methods.
    pub(crate) fn push<'a>(&self, index: u32, now: Duration, place: impl Fn(u32) -> &'a TimeoutPlace) {
        let own = place(index);
        assert!(!own.is_listed(), "a socket waits twice");
        // One more, since the current millisecond has begun already.
        let earliest_ms = now.as_millis() as u64 + u64::from(self.delay_ms) + 1;
        own.deadline_ms.set(earliest_ms.next_multiple_of(self.grain_ms.into()) as u32);
        own.after.set(END);
        own.before.set(self.last.replace(index));
        match own.before.get() {
            END => self.first.set(index),
            last => place(last).after.set(index),
        }
    }

    /// Takes a socket out, if it is in.
    pub(crate) fn remove<'a>(&self, index: u32, place: impl Fn(u32) -> &'a TimeoutPlace) {
        let own = place(index);
        let (before, after) = (own.before.replace(NOT_LISTED), own.after.get());
        match before {
            NOT_LISTED => return,
            END => self.first.set(after),
            before => place(before).after.set(after),
        }
        match after {
            END => self.last.set(before),
            after => place(after).before.set(before),
        }
    }

    /// How long until the first deadline; zero if it has passed, `None` if nobody waits.
    pub(crate) fn next_in<'a>(&self, now: Duration, place: impl Fn(u32) -> &'a TimeoutPlace) -> Option<Duration> {
        let first = self.first.get();
        if first == END {
            return None;
        }
        let left = place(first).deadline_ms.get().wrapping_sub(now.as_millis() as u32) as i32;
        Some(Duration::from_millis(left.max(0) as u64))
    }

    /// Takes the first socket whose deadline has passed.
    pub(crate) fn pop_expired<'a>(&self, now: Duration, place: impl Fn(u32) -> &'a TimeoutPlace) -> Option<u32> {
        let first = self.first.get();
        (self.next_in(now, &place)? == Duration::ZERO).then(|| {
            self.remove(first, &place);
            first
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_order_and_takes_each_once() {
        let places: Vec<Place> = (0..4).map(|_| Place::new()).collect();
        let place = |index: u32| &places[index as usize];
        let list = List::new();
        for index in [2, 0, 2, 3] {
            list.push(index, place);
        }
        assert_eq!(list.len(), 3);
        assert_eq!(std::iter::from_fn(|| list.pop(place)).collect::<Vec<_>>(), [2, 0, 3]);
        list.push(1, place);
        assert_eq!((list.pop(place), list.pop(place)), (Some(1), None));
        assert!(list.is_empty() && !places[2].is_listed());
    }

    #[test]
    fn waiting_sockets_leave_from_anywhere() {
        let places: Vec<TimeoutPlace> = (0..4).map(|_| TimeoutPlace::new()).collect();
        let place = |index: u32| &places[index as usize];
        let (list, now) = (TimeoutList::new(1_000_000, 1), Duration::from_secs(7));
        for index in 0..4 {
            list.push(index, now, place);
        }
        for index in [1, 3, 0, 0] {
            list.remove(index, place);
        }
        assert_eq!(list.next_in(now, place), Some(Duration::from_millis(1_000_001)));
        assert_eq!(list.pop_expired(now, place), None);
        list.remove(2, place);
        assert_eq!(list.next_in(now, place), None);
    }

    #[test]
    fn deadlines_pass_in_order_also_where_the_clock_wraps() {
        let places = [TimeoutPlace::new(), TimeoutPlace::new()];
        let place = |index: u32| &places[index as usize];
        let list = TimeoutList::new(10, 1);
        let start = Duration::from_millis(u64::from(u32::MAX) - 5);
        list.push(0, start, place);
        list.push(1, start + Duration::from_millis(3), place);
        assert_eq!(list.pop_expired(start + Duration::from_millis(10), place), None);
        assert_eq!(list.pop_expired(start + Duration::from_millis(11), place), Some(0));
        assert_eq!(list.pop_expired(start + Duration::from_millis(11), place), None);
        assert_eq!(list.pop_expired(start + Duration::from_millis(20), place), Some(1));
    }

    #[test]
    fn deadlines_that_are_near_each_other_are_one() {
        let places = [TimeoutPlace::new(), TimeoutPlace::new(), TimeoutPlace::new()];
        let place = |index: u32| &places[index as usize];
        let list = TimeoutList::new(100, 16);
        let at = Duration::from_millis;
        for (index, now_ms) in [(0, 12), (1, 27), (2, 28)] {
            list.push(index, at(now_ms), place);
        }
        assert_eq!(list.next_in(at(28), place), Some(at(100)));
        assert_eq!(list.pop_expired(at(127), place), None);
        assert_eq!((list.pop_expired(at(128), place), list.pop_expired(at(128), place)), (Some(0), Some(1)));
        assert_eq!(list.next_in(at(128), place), Some(at(16)));
    }
}
