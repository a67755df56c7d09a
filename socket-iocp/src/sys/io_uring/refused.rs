//! Operations that the kernel answered with EAGAIN instead of letting them wait.
//!
//! Recent kernels let them wait whatever `O_NONBLOCK` says; some older ones do not, for an accept at least. The worker
//! submits such an operation again; a poll goes in its place then, and the operation itself after that, so that nobody
//! spins.

use super::tag::{Kind, Tag};
use crate::sys::ListenerKey;
use crate::{Error, ErrorCode};

/// More refusals than this between two waits forget the oldest, which then costs one more vain attempt.
const CAPACITY: usize = 64;

pub(super) struct Refused(Vec<Tag>);

impl Refused {
    pub(super) fn new() -> Result<Refused, Error> {
        let mut tags = Vec::new();
        tags.try_reserve_exact(CAPACITY).map_err(|_| ErrorCode::NoMemory)?;
        Ok(Refused(tags))
    }

    /// What stands for any accept of the listener: the next one may have another entry.
    pub(super) fn accept(listener: ListenerKey) -> Tag {
        Tag::new(Kind::Accept, 0, listener.0)
    }

    pub(super) fn note(&mut self, tag: Tag) {
        let tag = match tag.kind() {
            Kind::Accept => Refused::accept(tag.listener()),
            Kind::Standing => tag.with_kind(Kind::Recv),
            _ => tag,
        };
        if self.0.len() == CAPACITY {
            self.0.remove(0);
        }
        self.0.push(tag);
    }

    /// Whether a recv of this socket, to stand or not, was refused the last time.
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.0.contains(&tag.with_kind(Kind::Recv))
    }

    /// Whether the operation was refused the last time; asked once for each refusal.
    pub(super) fn take(&mut self, tag: Tag) -> bool {
        match self.0.iter().position(|refused| *refused == tag) {
            Some(place) => {
                self.0.remove(place);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Key;

    #[test]
    fn the_notes_are_bounded_and_answer_once() {
        let mut refused = Refused::new().expect("memory");
        let tag = |index| Tag::of_socket(Kind::Recv, Key { index, generation: 1 });
        for index in 0..2 * CAPACITY as u32 {
            refused.note(tag(index));
        }
        assert!(!refused.take(tag(0)), "forgotten");
        assert!(refused.take(tag(CAPACITY as u32)));
        assert!(!refused.take(tag(CAPACITY as u32)));
        refused.note(Tag::new(Kind::Accept, 9, 3));
        assert!(refused.take(Refused::accept(ListenerKey(3))));
    }
}
