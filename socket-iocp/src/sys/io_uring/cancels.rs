//! Which operations were asked to end early, in a driven port only.
//!
//! The kernel finishes an operation on the thread that submitted it. When that thread has ended, which only a driven
//! port's may, it gives up and answers ECANCELED although nobody has cancelled. Such an operation is submitted again;
//! only one in this set was really cancelled.

use super::tag::Tag;
use std::collections::HashSet;

pub(super) struct Cancels(Option<HashSet<Tag>>);

impl Cancels {
    pub(super) fn new(driven: bool) -> Cancels {
        Cancels(driven.then(HashSet::new))
    }

    /// A cancel goes out for this operation. Without memory for the note, the operation will look interrupted, and the
    /// worker, which knows that it has cancelled, leaves it at that.
    pub(super) fn note(&mut self, tag: Tag) {
        if let Some(asked) = &mut self.0
            && asked.try_reserve(1).is_ok()
        {
            asked.insert(tag);
        }
    }

    /// The operation has ended: was it asked to?
    pub(super) fn take(&mut self, tag: Tag) -> bool {
        match &mut self.0 {
            Some(asked) => !asked.is_empty() && asked.remove(&tag),
            // A worker's thread outlives its operations.
            None => true,
        }
    }
}
