//! The state of a slot: one word, which is changed by compare-and-swap alone.

use engine::{Error, ErrorCode};

const CALLS_MASK: u64 = (1 << 30) - 1;
const PHASE_SHIFT: u32 = 30;
const GENERATION_SHIFT: u32 = 32;

/// What a slot is doing. `Free` is 0: a zeroed slot is free under generation 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Phase {
    Free = 0,
    /// Being made: the handle is known to its maker only.
    Claimed = 1,
    Live = 2,
    /// Nobody enters; the last to leave drops the value.
    Closing = 3,
}

/// A slot's state word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    pub(super) calls: u32,
}

impl State {
    pub(super) fn load(word: u64) -> State {
        let phase = match (word >> PHASE_SHIFT) & 3 {
            0 => Phase::Free,
            1 => Phase::Claimed,
            2 => Phase::Live,
            _ => Phase::Closing,
        };
        State { generation: (word >> GENERATION_SHIFT) as u32, phase, calls: (word & CALLS_MASK) as u32 }
    }

    pub(super) fn word(self) -> u64 {
        u64::from(self.generation) << GENERATION_SHIFT | (self.phase as u64) << PHASE_SHIFT | u64::from(self.calls)
    }

    pub(super) fn is_closing(self, generation: u32) -> bool {
        self.generation == generation && self.phase == Phase::Closing
    }

    /// With one call more inside.
    pub(super) fn entered(self) -> Result<State, Error> {
        let full = u64::from(self.calls) == CALLS_MASK;
        if full { Err(ErrorCode::Limit.into()) } else { Ok(State { calls: self.calls + 1, ..self }) }
    }

    /// Whether a handle of this generation may be entered now.
    pub(super) fn check(self, generation: u32) -> Result<(), Error> {
        let never_given_out = matches!(self.phase, Phase::Free | Phase::Claimed);
        match generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => Err(ErrorCode::Closed.into()),
            std::cmp::Ordering::Greater => Err(ErrorCode::BadHandle.into()),
            std::cmp::Ordering::Equal if never_given_out => Err(ErrorCode::BadHandle.into()),
            std::cmp::Ordering::Equal if self.phase == Phase::Closing => Err(ErrorCode::Closed.into()),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}
