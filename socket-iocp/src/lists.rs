//! Lists of a worker's sockets, linked by index through the sockets themselves: no list needs memory of its own.

use std::cell::Cell;

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
}
