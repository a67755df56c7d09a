//! A socket's queue of sends.
//!
//! One list, in the order of the issue calls: first the sends that are done and wait for their callbacks, then those
//! whose bytes the kernel has been given, then the rest. At most one kernel send is under way, carrying as many of them
//! as fit; so bytes leave in order, one write's bytes are never interleaved with another's, and many small sends cost
//! one call.
//!
//! The kernel's rule is kept here: between [`start`](SendQueue::start) and [`complete`](SendQueue::complete) no send
//! that was given to the kernel leaves the list, so its buffer stays where it is.
//!
//! # Files
//! A send from a file is alone in its kernel sends, of which there may be many: each is given what is left of the range, and
//! says how far it came. So what is before a file is gathered up to it, and what is behind it waits for its end.
//!
//! # Datagrams
//! In the queue of a datagram socket each send is a kernel send of its own, and a failure is that of one send alone.
//!
//! # Sends that end before their turn
//! A send that is cancelled, or whose time limit is over, is marked by its result, an error, while it waits. It becomes done as
//! soon as the kernel does not have it: at once, or when the kernel send that it is part of, which is cancelled for its sake,
//! has ended. It then stands behind those done before, so that it is reported before the sends that it has waited for. What
//! else was part of the kernel send starts again where it stopped.

use crate::buffer::{Destination, FilePart, Slices};
use crate::handle::{Marks, NodeList, NodeRef, Send};
use crate::planted::planted;
use crate::sys::MAX_GATHER;
use crate::time::{Limit, Moment};
use crate::{Error, ErrorCode, Watermark};
use std::iter;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kernel {
    Idle,
    Sending,
    /// Sending what it is to give back: it is to be cancelled.
    Unwanted,
    Cancelling,
    /// It had no memory for the last one: it is not asked before there may be some.
    Paused,
}

/// What the kernel is to send now.
#[derive(Debug)]
pub(crate) enum Work<'q, S> {
    /// These slices.
    Bytes(S),
    /// This part of a file, or the beginning of it.
    File(FilePart<'q>),
}

#[derive(Debug)]
pub(crate) struct SendQueue<W> {
    sends: NodeList<W>,
    /// How many at the front are done.
    done: u32,
    /// How many follow that are not done.
    waiting: u32,
    /// The first of the time limits of those waiting, or one before; none begun is none.
    first_limit: Limit,
    kernel: Kernel,
    /// How many slices the kernel has been given; a file is one.
    given: u8,
    /// How many intervals have passed in which sends waited and no byte left.
    quiet_intervals: u8,
    /// Bits of [`flags`]: what is asked with yes or no, in one byte, since there is a queue for each idle socket.
    flags: u8,
}

mod flags {
    /// A send has a time limit that has not begun.
    pub(super) const FRESH_LIMIT: u8 = 1;
    /// The handler was told last that the bytes queued are many.
    pub(super) const ABOVE: u8 = 1 << 1;
    /// They have crossed the other mark since.
    pub(super) const CROSSING: u8 = 1 << 2;
    /// The socket is not connected yet: no send is done but one that ends early.
    pub(super) const HELD: u8 = 1 << 3;
    /// Each send is a datagram, whole and by itself: one of no bytes is sent too.
    pub(super) const DATAGRAMS: u8 = 1 << 4;
    /// A send of no bytes is not done with what is before it.
    pub(super) const EMPTY_WAITS: u8 = HELD | DATAGRAMS;
}

impl<W> SendQueue<W> {
    pub(crate) const fn new() -> SendQueue<W> {
        SendQueue {
            sends: NodeList::new(),
            done: 0,
            waiting: 0,
            first_limit: Limit::NONE,
            kernel: Kernel::Idle,
            given: 0,
            quiet_intervals: 0,
            flags: 0,
        }
    }

    /// The queue of a socket that is not connected yet. The caller starts no send before [`begin`](SendQueue::begin).
    pub(crate) const fn held() -> SendQueue<W> {
        let mut queue = SendQueue::new();
        queue.flags = flags::HELD;
        queue
    }

    /// The queue of a datagram socket: see [`start_datagram`](SendQueue::start_datagram).
    pub(crate) const fn of_datagrams() -> SendQueue<W> {
        let mut queue = SendQueue::new();
        queue.flags = flags::DATAGRAMS;
        queue
    }

    pub(crate) fn push(&mut self, node: NodeRef<W>) {
        // A send of no bytes is done when everything before it is: `complete` sees to those further back.
        let done_already = !self.empty_waits() && self.waiting == 0 && node.content().buffer.is_empty();
        if node.limit().is_fresh() {
            self.flags |= flags::FRESH_LIMIT;
        }
        self.sends.push_back(node);
        if done_already {
            self.done += 1;
        } else {
            self.waiting += 1;
        }
    }

    /// The socket is connected: what has waited for that and has no bytes is done.
    pub(crate) fn begin(&mut self) {
        self.flags &= !flags::HELD;
        self.take_off(&mut 0);
    }

    fn empty_waits(&self) -> bool {
        self.flags & flags::EMPTY_WAITS != 0
    }

    /// Whether there is something to give to the kernel, and the kernel is free.
    pub(crate) fn can_start(&self) -> bool {
        self.kernel == Kernel::Idle && self.waiting != 0
    }

    /// Whether every send is done.
    pub(crate) fn is_flushed(&self) -> bool {
        self.waiting == 0
    }

    /// How many sends are done and not yet taken.
    pub(crate) fn done(&self) -> u32 {
        self.done
    }

    /// Whether the kernel has sends of this queue.
    pub(crate) fn is_in_kernel(&self) -> bool {
        matches!(self.kernel, Kernel::Sending | Kernel::Unwanted | Kernel::Cancelling)
    }

    /// The kernel had no memory: none is started before [`resume`](SendQueue::resume).
    pub(crate) fn pause(&mut self) {
        assert!(!self.is_in_kernel(), "a pause while the kernel sends");
        self.kernel = Kernel::Paused;
    }

    /// Sends go on after a pause; false if there was none.
    pub(crate) fn resume(&mut self) -> bool {
        let paused = self.kernel == Kernel::Paused;
        if paused {
            self.kernel = Kernel::Idle;
        }
        paused
    }

    /// One more interval has passed: answers how many in a row sends have waited in without a byte leaving.
    pub(crate) fn interval_passed(&mut self) -> u8 {
        self.quiet_intervals = if self.is_flushed() { 0 } else { self.quiet_intervals + 1 };
        self.quiet_intervals
    }

    /// So many bytes are queued now, by the count that all threads share. What was told is kept; whether the other mark is crossed
    /// is looked at anew each time, so that a crossing back before the handler is told leaves nothing to tell.
    pub(crate) fn weigh(&mut self, queued_bytes: u32, marks: Marks) {
        let above = self.flags & flags::ABOVE != 0;
        let crosses =
            if above { queued_bytes <= marks.low && !planted!(LowForgotten) } else { queued_bytes > marks.high };
        self.flags &= !flags::CROSSING;
        if crosses {
            self.flags |= flags::CROSSING;
        }
    }

    pub(crate) fn crosses_mark(&self) -> bool {
        self.flags & flags::CROSSING != 0
    }

    /// The handler is told which mark is crossed.
    pub(crate) fn cross_mark(&mut self) -> Watermark {
        self.flags &= !flags::CROSSING;
        self.flags ^= flags::ABOVE;
        if self.flags & flags::ABOVE != 0 { Watermark::High } else { Watermark::Low }
    }

    /// The first send that is not done.
    fn first(&self) -> Option<&Send<W>> {
        self.sends.iter().nth(self.done as usize)
    }

    /// What to give to the kernel now; it is the kernel's until `complete`.
    pub(crate) fn start(&mut self) -> Work<'_, impl Iterator<Item = &[u8]>> {
        assert!(self.can_start(), "a second kernel send for a socket");
        self.kernel = Kernel::Sending;
        if self.is_at_file() {
            self.given = 1;
            let part = self.first().and_then(|send| send.buffer.rest_of_file(send.sent));
            return Work::File(part.expect("a send with nothing left is done"));
        }
        let given = &mut self.given;
        *given = 0;
        let mut sends = self.sends.iter().skip(self.done as usize);
        let mut parts = Slices::none();
        let next = move || {
            parts.next().or_else(|| {
                let send = sends.next().filter(|send| !send.buffer.is_file())?;
                Some(parts.start(&send.buffer, send.sent).unwrap_or_default())
            })
        };
        let slices = iter::from_fn(next).filter(|slice| !slice.is_empty()).take(MAX_GATHER);
        Work::Bytes(slices.inspect(|_| *given += 1))
    }

    /// Whether the first send that is not done is from a file.
    pub(crate) fn is_at_file(&self) -> bool {
        self.first().is_some_and(|send| send.buffer.is_file())
    }

    /// Whether the kernel send under way is to end, or ends, for the sake of a send that it is part of, or of the socket's end.
    pub(crate) fn is_being_cut(&self) -> bool {
        matches!(self.kernel, Kernel::Unwanted | Kernel::Cancelling)
    }

    /// In a queue of datagrams: the first that waits, which is the kernel's until
    /// [`complete_datagram`](SendQueue::complete_datagram), with where it goes.
    pub(crate) fn start_datagram(&mut self) -> (Destination<'_>, impl Iterator<Item = &[u8]>) {
        assert!(self.can_start(), "a second kernel send for a socket");
        self.kernel = Kernel::Sending;
        self.given = 1;
        let send = self.sends.iter().nth(self.done as usize).expect("one waits");
        (send.buffer.destination(), send.buffer.slices().filter(|slice| !slice.is_empty()))
    }

    /// The kernel has sent the datagram that it was given, or has failed to; `None`: it has done neither. A failure is that of
    /// this one alone. Returns how many sends became done.
    pub(crate) fn complete_datagram(&mut self, outcome: Option<Result<usize, Error>>) -> u32 {
        assert!(self.is_in_kernel(), "a completion of no kernel send");
        self.kernel = Kernel::Idle;
        self.given = 0;
        let Some(outcome) = outcome else { return self.end_marked() };
        let mut skip = self.done;
        self.sends.visit_mut(|send, _| {
            if skip > 0 {
                skip -= 1;
                return true;
            }
            assert!(outcome.is_err() || outcome == Ok(send.buffer.len()), "a datagram leaves whole");
            // Also of one that was to end: it was done before.
            send.sent = outcome.unwrap_or(0);
            send.result = outcome.map(drop);
            false
        });
        self.mark_done(1);
        1 + self.end_marked()
    }

    /// Whether the kernel send under way still has to be cancelled; it is then under cancellation.
    pub(crate) fn start_cancel(&mut self) -> bool {
        let needed = matches!(self.kernel, Kernel::Sending | Kernel::Unwanted);
        if needed {
            self.kernel = Kernel::Cancelling;
        }
        needed
    }

    /// As [`start_cancel`](SendQueue::start_cancel), where a send that is to end is part of the kernel's.
    pub(crate) fn start_cut(&mut self) -> bool {
        self.kernel == Kernel::Unwanted && self.start_cancel()
    }

    /// The kernel send has ended with this many bytes; they are those of the first sends that are not done. Returns how
    /// many sends became done.
    pub(crate) fn complete(&mut self, mut bytes: usize) -> u32 {
        assert!(self.is_in_kernel(), "a completion of no kernel send");
        self.kernel = Kernel::Idle;
        self.given = 0;
        if bytes != 0 {
            self.quiet_intervals = 0;
        }
        let finished = self.take_off(&mut bytes);
        assert!(bytes == 0, "the kernel sent more than it was given");
        finished + self.end_marked()
    }

    /// So many bytes have gone, of the first sends that are not done. Returns how many sends became done.
    fn take_off(&mut self, bytes: &mut usize) -> u32 {
        let mut skip = self.done;
        let mut finished = 0;
        self.sends.visit_mut(|send, _| {
            if skip > 0 {
                skip -= 1;
                return true;
            }
            let left = send.buffer.len() - send.sent;
            let part = left.min(*bytes);
            if part == left || !planted!(PartIsSentAgain) {
                send.sent += part;
            }
            *bytes -= part;
            if part == left {
                // Also of one that was to end: it was done before.
                send.result = Ok(());
                finished += 1;
            }
            part == left
        });
        self.mark_done(finished);
        finished
    }

    /// Has the sends that `which` picks end with this error, unless they are done before. Returns how many were picked.
    pub(crate) fn end_early(&mut self, error: Error, mut which: impl FnMut(&Send<W>, Limit) -> bool) -> usize {
        let (mut skip, mut given, mut picked) = (self.done, self.given, 0);
        let (mut cuts, datagrams) = (false, self.flags & flags::DATAGRAMS != 0);
        self.sends.visit_mut(|send, link| {
            if skip > 0 {
                skip -= 1;
                return true;
            }
            let is_given = take_given(&mut given, send, datagrams);
            if send.result.is_ok() && which(send, link.limit()) {
                send.result = Err(error);
                cuts |= is_given;
                picked += 1;
            }
            true
        });
        if cuts && self.kernel == Kernel::Sending {
            self.kernel = Kernel::Unwanted;
        }
        self.end_marked();
        picked
    }

    /// Those marked that the kernel does not have are done. Returns how many sends became done.
    fn end_marked(&mut self) -> u32 {
        let (mut given, datagrams) = (self.given, self.flags & flags::DATAGRAMS != 0);
        let ended = self.sends.bring_forward(self.done, |send| {
            let is_given = take_given(&mut given, send, datagrams);
            send.result.is_err() && !is_given
        });
        self.mark_done(ended);
        // What is empty and waited for one of them is done, too.
        let empty = if ended != 0 && self.given == 0 && !self.empty_waits() { self.take_off(&mut 0) } else { 0 };
        ended + empty
    }

    /// The first of the limits that have begun, or a moment before it.
    pub(crate) fn first_limit(&self) -> Limit {
        if self.is_flushed() { Limit::NONE } else { self.first_limit }
    }

    /// The delays that have not begun run from now on.
    pub(crate) fn begin_limits(&mut self, now: Moment) {
        if self.flags & flags::FRESH_LIMIT != 0 {
            self.flags &= !flags::FRESH_LIMIT;
            self.sends.visit_mut(|_, link| {
                link.set_limit(link.limit().begun(now));
                true
            });
            self.find_first_limit();
        }
    }

    /// Sends whose limit is over end.
    pub(crate) fn time_out(&mut self, now: Moment) {
        self.end_early(ErrorCode::TimedOut.into(), |_, limit| limit.is_over(now));
        self.find_first_limit();
    }

    fn find_first_limit(&mut self) {
        let (mut skip, mut first) = (self.done, None::<Moment>);
        self.sends.visit_mut(|send, link| {
            if skip > 0 {
                skip -= 1;
            } else if let (Ok(()), Some(moment)) = (send.result, link.limit().moment()) {
                first = Some(first.map_or(moment, |first| first.min(moment)));
            }
            true
        });
        self.first_limit = first.map_or(Limit::NONE, Limit::at);
    }

    /// Every send that is not done ends with this error. The kernel has none of them.
    pub(crate) fn fail(&mut self, first: Error) {
        assert!(!self.is_in_kernel(), "sends failed that the kernel has");
        let mut skip = self.done;
        let mut error = first;
        self.sends.visit_mut(|send, _| {
            if skip > 0 {
                skip -= 1;
            } else {
                send.result = Err(error);
                error = ErrorCode::Cancelled.into();
            }
            true
        });
        self.mark_done(self.waiting);
    }

    /// Takes the first send that is done.
    pub(crate) fn take_done(&mut self) -> Option<NodeRef<W>> {
        if self.done == 0 {
            return None;
        }
        self.done -= 1;
        self.sends.pop_front()
    }

    fn mark_done(&mut self, count: u32) {
        self.waiting -= count;
        self.done += count;
        if self.is_flushed() {
            self.quiet_intervals = 0;
        }
    }
}

/// Takes a send's slices off the number of those that the kernel has been given, the first sends' first. Whether it has some of
/// this one.
fn take_given<W>(given: &mut u8, send: &Send<W>, datagrams: bool) -> bool {
    if *given == 0 {
        return false;
    }
    if datagrams {
        // It is one send, be it of several slices or of none.
        *given = 0;
        return true;
    }
    let slices = match send.buffer.rest_of_file(send.sent) {
        Some(_) => 1,
        None => send.buffer.slices_from(send.sent).filter(|slice| !slice.is_empty()).count(),
    };
    // No more of the last one than there was room for.
    *given -= (*given).min(u8::try_from(slices).unwrap_or(u8::MAX));
    slices > 0
}

#[cfg(test)]
mod tests;
