//! A worker's timing wheel: its sockets by when to look at them, linked by index through the sockets themselves.
//!
//! The wheel has five levels of 64 buckets: a bucket of the lowest is a millisecond, one of the next 64 of them, and so on up
//! to twelve days. A socket lies in the bucket that its moment falls into, at the lowest level whose buckets reach that far.
//! Entering and leaving are a few stores; the next bucket with anybody in it is found in one word a level.
//!
//! A bucket comes up when its time begins, and so a socket of a higher level comes up early. That is no matter, since every
//! socket is asked then what it waits for and put where it belongs, be it nearer or, when its operation has ended in time and
//! another was issued, farther: what ends in time leaves the wheel as it is.

use crate::time::Moment;
use std::array;
use std::cell::Cell;
use std::time::Duration;

const LEVELS: usize = 5;
const LEVEL_BITS: u32 = 6;
const BUCKETS: usize = 1 << LEVEL_BITS;
/// The list of those that have come up.
const DUE: usize = LEVELS * BUCKETS;

const END: u32 = u32::MAX;
const NOT_LISTED: u32 = u32::MAX;
/// Marks the number of a list in place of the socket before the first one.
const LIST: u32 = 1 << 31;

/// A socket's place in a [`Wheel`].
#[derive(Debug)]
pub(crate) struct WheelPlace {
    /// The socket before, or the list's number for the first one.
    before: Cell<u32>,
    after: Cell<u32>,
    at: Cell<Moment>,
}

impl WheelPlace {
    pub(crate) const fn new() -> WheelPlace {
        WheelPlace { before: Cell::new(NOT_LISTED), after: Cell::new(END), at: Cell::new(Moment::from_number(0)) }
    }

    fn is_listed(&self) -> bool {
        self.before.get() != NOT_LISTED
    }
}

/// The wheel. A socket is in it once at most. `place` finds the place of any socket in it.
#[derive(Debug)]
pub(crate) struct Wheel {
    firsts: [Cell<u32>; DUE + 1],
    /// For each level, which of its buckets have somebody.
    occupied: [Cell<u64>; LEVELS],
    len: Cell<usize>,
    /// Every bucket whose time began by then has come up.
    now: Cell<Moment>,
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        Wheel {
            firsts: array::from_fn(|_| Cell::new(END)),
            occupied: array::from_fn(|_| Cell::new(0)),
            len: Cell::new(0),
            now: Cell::new(Moment::from_number(0)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// Has a socket come up at this moment or before. One that comes up earlier already stays where it is.
    pub(crate) fn look_at<'a>(&self, index: u32, when: Moment, place: impl Fn(u32) -> &'a WheelPlace) {
        let own = place(index);
        if own.is_listed() {
            if !when.is_before(own.at.get()) {
                return;
            }
            self.remove(index, &place);
        }
        let now = self.now.get();
        let ahead_ms = now.ms_until(when).max(1);
        let level = (ahead_ms.ilog2() / LEVEL_BITS) as usize;
        assert!(level < LEVELS, "a moment too far away");
        let shift = level as u32 * LEVEL_BITS;
        let bucket = now.after(ahead_ms).number() >> shift;
        own.at.set(Moment::from_number(bucket << shift));
        let bucket = bucket as usize % BUCKETS;
        self.occupied[level].set(self.occupied[level].get() | 1 << bucket);
        self.push(level * BUCKETS + bucket, index, own, place);
        self.len.set(self.len.get() + 1);
    }

    fn push<'a>(&self, list: usize, index: u32, own: &WheelPlace, place: impl Fn(u32) -> &'a WheelPlace) {
        let first = self.firsts[list].replace(index);
        own.before.set(LIST | list as u32);
        own.after.set(first);
        if first != END {
            place(first).before.set(index);
        }
    }

    /// Takes a socket out, if it is in.
    pub(crate) fn remove<'a>(&self, index: u32, place: impl Fn(u32) -> &'a WheelPlace) {
        let own = place(index);
        let (before, after) = (own.before.replace(NOT_LISTED), own.after.get());
        if before == NOT_LISTED {
            return;
        }
        if before & LIST == 0 {
            place(before).after.set(after);
        } else {
            let list = (before & !LIST) as usize;
            self.firsts[list].set(after);
            if after == END && list != DUE {
                let occupied = &self.occupied[list / BUCKETS];
                occupied.set(occupied.get() & !(1 << (list % BUCKETS)));
            }
        }
        if after != END {
            place(after).before.set(before);
        }
        self.len.set(self.len.get() - 1);
    }

    /// The next bucket to come up, and when its time begins.
    fn next_bucket(&self) -> Option<(usize, Moment)> {
        let mut next: Option<(usize, Moment)> = None;
        for (level, occupied) in self.occupied.iter().enumerate().filter(|(_, occupied)| occupied.get() != 0) {
            let shift = level as u32 * LEVEL_BITS;
            // The bucket of the present has come up: whoever is in it is a whole turn ahead.
            let first = (self.now.get().number() >> shift) + 1;
            let bucket = first + occupied.get().rotate_right(first % BUCKETS as u32).trailing_zeros();
            let begins = Moment::from_number(bucket << shift);
            if next.is_none_or(|(_, earliest)| begins.is_before(earliest)) {
                next = Some((level * BUCKETS + bucket as usize % BUCKETS, begins));
            }
        }
        next
    }

    /// It is `now`: whoever is to be looked at by then comes up.
    pub(crate) fn advance<'a>(&self, now: Moment, place: impl Fn(u32) -> &'a WheelPlace) {
        while let Some((list, begins)) = self.next_bucket()
            && !now.is_before(begins)
        {
            while self.firsts[list].get() != END {
                let index = self.firsts[list].get();
                self.remove(index, &place);
                self.push(DUE, index, place(index), &place);
                self.len.set(self.len.get() + 1);
            }
        }
        self.now.set(now);
    }

    /// Takes one of those that have come up.
    pub(crate) fn pop_due<'a>(&self, place: impl Fn(u32) -> &'a WheelPlace) -> Option<u32> {
        let first = self.firsts[DUE].get();
        if first == END {
            return None;
        }
        self.remove(first, place);
        Some(first)
    }

    /// How long it is, from the last [`advance`](Wheel::advance) on, until somebody comes up; `None` if nobody is in the wheel.
    pub(crate) fn next_in(&self) -> Option<Duration> {
        if self.firsts[DUE].get() != END {
            return Some(Duration::ZERO);
        }
        let (_, begins) = self.next_bucket()?;
        Some(Duration::from_millis(self.now.get().ms_until(begins).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MAX_TIME_LIMIT;

    const FARTHEST_MS: u32 = MAX_TIME_LIMIT.as_millis() as u32 + 1;

    struct Rig {
        wheel: Wheel,
        places: Vec<WheelPlace>,
        now: Moment,
    }

    impl Rig {
        fn new(count: usize, start: u32) -> Rig {
            let rig = Rig {
                wheel: Wheel::new(),
                places: (0..count).map(|_| WheelPlace::new()).collect(),
                now: Moment::from_number(start),
            };
            rig.wheel.advance(rig.now, |index| &rig.places[index as usize]);
            rig
        }

        fn look_at(&self, index: u32, when: Moment) {
            self.wheel.look_at(index, when, |index| &self.places[index as usize]);
        }

        fn remove(&self, index: u32) {
            self.wheel.remove(index, |index| &self.places[index as usize]);
        }

        /// Those that come up by this moment.
        fn advance(&mut self, now: Moment) -> Vec<u32> {
            let place = |index: u32| &self.places[index as usize];
            self.now = now;
            self.wheel.advance(now, place);
            std::iter::from_fn(|| self.wheel.pop_due(place)).collect()
        }

        /// Waits as a worker does until this one's moment has come, and counts the times that it came up.
        fn wait_for(&mut self, index: u32, when: Moment) -> u32 {
            for ups in 1.. {
                let wait_ms = self.wheel.next_in().expect("it is there").as_millis() as u32;
                assert!(wait_ms <= self.now.ms_until(when).max(1), "it would come late");
                assert_eq!(self.advance(self.now.after(wait_ms)), [index]);
                if !self.now.is_before(when) {
                    return ups;
                }
                self.look_at(index, when);
            }
            unreachable!("it came up")
        }
    }

    #[test]
    fn whatever_the_delay_it_comes_up_in_time_and_seldom_before() {
        let near_the_wrap = (1 << 31) - 100;
        for start in [0, 1, 63, 64, 4_095, 262_143, 16_777_215, 1_234_567_890, near_the_wrap] {
            for delay_ms in [1, 2, 63, 64, 65, 127, 4_095, 4_096, 4_159, 262_143, 262_144, 300_000_000, FARTHEST_MS] {
                let mut rig = Rig::new(1, start);
                let when = rig.now.after(delay_ms);
                rig.look_at(0, when);
                assert!(rig.wait_for(0, when) <= LEVELS as u32, "{start} + {delay_ms}");
                assert_eq!(rig.now, when, "{start} + {delay_ms}");
                assert!(rig.wheel.is_empty() && rig.wheel.next_in().is_none());
            }
        }
    }

    #[test]
    fn a_moment_that_has_passed_is_the_next() {
        let mut rig = Rig::new(1, 1_000);
        rig.look_at(0, Moment::from_number(900));
        assert_eq!(rig.advance(Moment::from_number(1_000)), []);
        assert_eq!(rig.advance(Moment::from_number(1_001)), [0]);
    }

    #[test]
    fn an_earlier_moment_counts_and_a_later_one_does_not() {
        let mut rig = Rig::new(2, 500);
        rig.look_at(0, rig.now.after(50));
        rig.look_at(0, rig.now.after(60));
        assert_eq!(rig.wheel.next_in(), Some(Duration::from_millis(50)));
        rig.look_at(0, rig.now.after(20));
        rig.look_at(1, rig.now.after(20));
        assert_eq!(rig.wheel.next_in(), Some(Duration::from_millis(20)));
        assert_eq!(rig.advance(rig.now.after(19)), []);
        assert_eq!(rig.advance(rig.now.after(1)), [0, 1]);
        assert!(rig.wheel.is_empty());
    }

    #[test]
    fn whoever_leaves_does_not_come_up() {
        let mut rig = Rig::new(6, 77);
        let when = rig.now.after(10_000);
        for index in 0..6 {
            rig.look_at(index, when);
        }
        for index in [5, 0, 3, 3] {
            rig.remove(index);
        }
        let place = |index: u32| &rig.places[index as usize];
        rig.wheel.advance(when, place);
        // Also one that has come up already.
        rig.remove(2);
        assert_eq!(rig.wheel.next_in(), Some(Duration::ZERO));
        assert_eq!(rig.advance(when), [1, 4]);
        assert!(rig.wheel.is_empty());
    }

    #[test]
    fn many_come_up_each_in_its_millisecond() {
        const COUNT: u32 = 2_000;
        let mut rig = Rig::new(COUNT as usize, (1 << 31) - 30_000);
        let mut state = 7_u32;
        let mut random = move |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let whens: Vec<Moment> = (0..COUNT).map(|_| rig.now.after(random(70_000) + 1)).collect();
        for index in 0..COUNT {
            rig.look_at(index, whens[index as usize]);
        }
        let mut came = 0;
        while let Some(wait) = rig.wheel.next_in() {
            // Now and then it is asked late, as by a worker that had something else to do.
            let late_ms = if random(32) == 0 { random(500) } else { 0 };
            let before = rig.now;
            for index in rig.advance(rig.now.after(wait.as_millis() as u32 + late_ms)) {
                let when = whens[index as usize];
                assert!(before.is_before(when), "{index} comes up late");
                if rig.now.is_before(when) {
                    rig.look_at(index, when);
                } else {
                    came += 1;
                }
            }
        }
        assert_eq!(came, COUNT);
    }
}
