//! The deadline of a driven port: a timeout on the ring, whose completion makes the ring's descriptor readable.

use super::ring::Entered;
use super::tag::{Kind, Tag};
use super::{BREATH, Backend};
use crate::Error;
use io_uring::types::Timespec;
use io_uring::{opcode, squeue};
use std::time::{Duration, Instant};

/// A timeout that ends up to this much too early is left alone: the run that it causes sets it again.
const TOLERANCE: Duration = Duration::from_millis(1);
/// A timeout that is not wanted any more is put off by so much: removing it would make a completion, and so make the
/// descriptor readable for nothing.
const FAR: Duration = Duration::from_secs(1 << 30);

pub(super) struct Deadline {
    state: State,
    /// What the kernel reads while the timeout is submitted.
    timespec: Timespec,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No timeout is under way.
    Idle,
    /// One is, and wanted.
    Armed(Instant),
    /// One is, put off.
    Far,
}

impl Deadline {
    pub(super) fn new() -> Deadline {
        Deadline { state: State::Idle, timespec: Timespec::new() }
    }

    /// The timeout's completion has been taken.
    pub(super) fn ended(&mut self) {
        self.state = State::Idle;
    }
}

impl Backend {
    /// Sets the time at which the descriptor becomes readable, and submits whatever is queued: the caller goes back to
    /// its own poll now.
    pub(crate) fn set_deadline(&mut self, after: Option<Duration>) {
        // A ring that fails here fails the next wait as well, which can say so.
        let _ = self.submit_deadline(after);
    }

    fn submit_deadline(&mut self, after: Option<Duration>) -> Result<(), Error> {
        self.arm_wake()?;
        let updated = self.push_deadline(after)?;
        self.submit_all()?;
        // The kernel has the update, and nothing may come of it.
        self.pending -= usize::from(updated);
        self.show_what_was_put_aside()
    }

    /// A submission for which the kernel had no memory has put completions aside: they wait for `next`, and the descriptor
    /// does not show them. A no-op's completion does.
    fn show_what_was_put_aside(&mut self) -> Result<(), Error> {
        if !self.ring.has_put_aside() || self.ring.shows_completions() {
            return Ok(());
        }
        // SAFETY: the entry has no pointer. Everything has been submitted, so there is room.
        unsafe { self.push(opcode::Nop::new().build(), Tag::new(Kind::Show, 0, 0)) };
        while !self.ring.shows_completions() {
            let queued = self.ring.queued();
            match self.ring.enter(queued, false, None)? {
                Entered::Submitted(1..) | Entered::Interrupted => {}
                // Nothing is put aside here: any completion will do.
                Entered::Submitted(0) | Entered::NoMemory | Entered::Overflowing | Entered::TimedOut => {
                    self.ring.enter(0, true, Some(BREATH))?;
                }
            }
        }
        Ok(())
    }

    /// Queues the timeout or its update, if one is needed; whether it was an update. The caller submits it.
    fn push_deadline(&mut self, after: Option<Duration>) -> Result<bool, Error> {
        let now = Instant::now();
        let wanted = after.and_then(|after| now.checked_add(after));
        let (update, state) = match (self.deadline.state, wanted) {
            (State::Idle | State::Far, None) => return Ok(false),
            (State::Armed(armed), Some(wanted)) if armed <= wanted && wanted - armed < TOLERANCE => return Ok(false),
            (State::Idle, Some(wanted)) => (false, State::Armed(wanted)),
            (State::Armed(_), None) => (true, State::Far),
            (State::Armed(_) | State::Far, Some(wanted)) => (true, State::Armed(wanted)),
        };
        self.make_room()?;
        self.deadline.timespec = Timespec::from(wanted.map_or(FAR, |wanted| (wanted - now).min(FAR)));
        let timespec = &raw const self.deadline.timespec;
        let tag = Tag::new(Kind::Deadline, 0, 0);
        if update {
            // An update that succeeds is silent. It fails when the timeout has just ended: then the timeout's own
            // completion is there, and the run that it causes sets the next one.
            let entry = opcode::TimeoutUpdate::new(tag.user_data(), timespec).build();
            // SAFETY: `submit_deadline` submits before this value can move, and the kernel copies the time then.
            unsafe { self.push(entry.flags(squeue::Flags::SKIP_SUCCESS), Tag::new(Kind::Update, 0, 0)) };
        } else {
            // SAFETY: as above.
            unsafe { self.push(opcode::Timeout::new(timespec).build(), tag) };
        }
        self.deadline.state = state;
        Ok(update)
    }
}
