//! Cancelling sends that a function of the user's picks.

use super::{Worker, guarded};
use crate::handle::{Claimer, Slot, Which};
use crate::handler::Handler;
use crate::{Error, ErrorCode};
use std::cell::Cell;

/// Set for as long as a function of the user's runs with a state machine borrowed, also if it panics.
struct Looking<'a>(&'a Cell<bool>);

impl<'a> Looking<'a> {
    fn begin(looking: &'a Cell<bool>) -> Looking<'a> {
        looking.set(true);
        Looking(looking)
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<H: Handler> Worker<H> {
    /// Whether the caller is a function that looks through the sends of a socket, which is no place to change one.
    pub(crate) fn is_looking(&self) -> bool {
        self.looking.get()
    }

    /// Cancels sends for a caller on this worker. A panic of `which` is the caller's.
    pub(crate) fn cancel_sends(
        &self,
        slot: &'static Slot<H>,
        generation: u32,
        which: &mut dyn FnMut(&H::Write) -> bool,
    ) -> Result<(), Error> {
        self.let_others_first();
        slot.head.word.claim_look(generation, Claimer::Local)?;
        match self.pick_sends(slot, which) {
            0 => Err(ErrorCode::NotOutstanding.into()),
            _ => Ok(()),
        }
    }

    /// Cancels sends for a caller on another thread. A panic of `which` ends the socket, as one in a callback does.
    pub(super) fn cancel_sends_for_another(&self, slot: &'static Slot<H>, mut which: Box<Which<H::Write>>) {
        let picked = guarded(|| self.pick_sends(slot, &mut *which));
        let dropped = guarded(|| drop(which));
        if picked.is_err() || dropped.is_err() {
            self.panicked(slot);
            self.mark_dirty(slot.index());
        }
    }

    fn pick_sends(&self, slot: &'static Slot<H>, which: &mut dyn FnMut(&H::Write) -> bool) -> usize {
        let picked = {
            let _looking = Looking::begin(&self.looking);
            self.local(slot).machine().cancel_sends(which)
        };
        self.mark_dirty(slot.index());
        picked
    }
}
