//! A socket's queue of sends.
//!
//! One list, in the order of the issue calls: first the sends that are done and wait for their callbacks, then those
//! whose bytes the kernel has been given, then the rest. At most one kernel send is under way, carrying as many of them
//! as fit; so bytes leave in order, one write's bytes are never interleaved with another's, and many small sends cost
//! one call.
//!
//! The kernel's rule is kept here: between [`start`](SendQueue::start) and [`complete`](SendQueue::complete) no send
//! that was given to the kernel leaves the list, so its buffer stays where it is.

use crate::handle::{Marks, NodeList, NodeRef};
use crate::planted::planted;
use crate::sys::MAX_GATHER;
use crate::{Error, ErrorCode, Watermark};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kernel {
    Idle,
    Sending,
    Cancelling,
    /// It had no memory for the last one: it is not asked before there may be some.
    Paused,
}

#[derive(Debug)]
pub(crate) struct SendQueue<W> {
    sends: NodeList<W>,
    /// How many at the front are done.
    done: u32,
    /// How many follow that are not done.
    waiting: u32,
    kernel: Kernel,
    /// How many intervals have passed in which sends waited and no byte left.
    quiet_intervals: u8,
    /// The handler was told last that the bytes queued are many.
    above: bool,
    /// They have crossed the other mark since.
    crossing: bool,
}

impl<W> SendQueue<W> {
    pub(crate) const fn new() -> SendQueue<W> {
        SendQueue {
            sends: NodeList::new(),
            done: 0,
            waiting: 0,
            kernel: Kernel::Idle,
            quiet_intervals: 0,
            above: false,
            crossing: false,
        }
    }

    pub(crate) fn push(&mut self, node: NodeRef<W>) {
        // A send of no bytes is done when everything before it is: `complete` sees to those further back.
        let done_already = self.waiting == 0 && node.content().buffer.is_empty();
        self.sends.push_back(node);
        if done_already {
            self.done += 1;
        } else {
            self.waiting += 1;
        }
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
        matches!(self.kernel, Kernel::Sending | Kernel::Cancelling)
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
        self.crossing =
            if self.above { queued_bytes <= marks.low && !planted!(LowForgotten) } else { queued_bytes > marks.high };
    }

    pub(crate) fn crosses_mark(&self) -> bool {
        self.crossing
    }

    /// The handler is told which mark is crossed.
    pub(crate) fn cross_mark(&mut self) -> Watermark {
        self.crossing = false;
        self.above = !self.above;
        if self.above { Watermark::High } else { Watermark::Low }
    }

    /// The slices to give to the kernel now; they are the kernel's until `complete`.
    pub(crate) fn start(&mut self) -> impl Iterator<Item = &[u8]> {
        assert!(self.can_start(), "a second kernel send for a socket");
        self.kernel = Kernel::Sending;
        self.sends
            .iter()
            .skip(self.done as usize)
            .flat_map(|send| send.buffer.slices_from(send.sent))
            .filter(|slice| !slice.is_empty())
            .take(MAX_GATHER)
    }

    /// Whether the kernel send under way still has to be cancelled; it is then under cancellation.
    pub(crate) fn start_cancel(&mut self) -> bool {
        let needed = self.kernel == Kernel::Sending;
        if needed {
            self.kernel = Kernel::Cancelling;
        }
        needed
    }

    /// The kernel send has ended with this many bytes; they are those of the first sends that are not done. Returns how
    /// many sends became done.
    pub(crate) fn complete(&mut self, mut bytes: usize) -> u32 {
        assert!(self.is_in_kernel(), "a completion of no kernel send");
        self.kernel = Kernel::Idle;
        if bytes != 0 {
            self.quiet_intervals = 0;
        }
        let mut skip = self.done;
        let mut finished = 0;
        self.sends.visit_mut(|send| {
            if skip > 0 {
                skip -= 1;
                return true;
            }
            let left = send.buffer.len() - send.sent;
            let part = left.min(bytes);
            if part == left || !planted!(PartIsSentAgain) {
                send.sent += part;
            }
            bytes -= part;
            finished += u32::from(part == left);
            part == left
        });
        assert!(bytes == 0, "the kernel sent more than it was given");
        self.mark_done(finished);
        finished
    }

    /// Every send that is not done ends with this error. The kernel has none of them.
    pub(crate) fn fail(&mut self, first: Error) {
        assert!(!self.is_in_kernel(), "sends failed that the kernel has");
        let mut skip = self.done;
        let mut error = first;
        self.sends.visit_mut(|send| {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode::Reset;
    use crate::SendBuffer;

    fn push(queue: &mut SendQueue<u32>, bytes: &'static [u8], write: u32) {
        queue.push(NodeRef::allocate(0, bytes.into(), write).expect("memory"));
    }

    fn taken(queue: &mut SendQueue<u32>) -> Vec<(u32, usize, Result<(), Error>)> {
        std::iter::from_fn(|| queue.take_done())
            .map(|node| node.finish())
            .map(|send| (send.write, send.sent, send.result))
            .collect()
    }

    #[test]
    fn a_short_send_goes_on_where_it_stopped() {
        let mut queue = SendQueue::new();
        push(&mut queue, b"abc", 1);
        push(&mut queue, b"defg", 2);
        assert_eq!(queue.start().collect::<Vec<_>>(), [&b"abc"[..], b"defg"]);
        assert_eq!(queue.complete(5), 1);
        assert_eq!(taken(&mut queue), [(1, 3, Ok(()))]);
        assert_eq!(queue.start().collect::<Vec<_>>(), [b"fg"]);
        assert_eq!(queue.complete(2), 1);
        assert_eq!(taken(&mut queue), [(2, 4, Ok(()))]);
        assert!(queue.is_flushed());
    }

    #[test]
    fn empty_sends_are_done_in_their_turn() {
        let mut queue = SendQueue::new();
        push(&mut queue, b"", 1);
        assert_eq!((queue.done(), queue.can_start()), (1, false));
        push(&mut queue, b"a", 2);
        push(&mut queue, b"", 3);
        push(&mut queue, b"b", 4);
        assert_eq!(queue.start().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(queue.complete(1), 2);
        assert_eq!(taken(&mut queue).len(), 3);
        assert_eq!(queue.start().collect::<Vec<_>>(), [b"b"]);
        assert_eq!(queue.complete(1), 1);
    }

    #[test]
    fn the_buffers_of_one_send_are_done_together() {
        let mut queue = SendQueue::new();
        let mut parts = ["ab", "", "cd", "ef"].map(SendBuffer::from);
        let parts = SendBuffer::gathered(&mut parts, NodeRef::<u32>::LAYOUT).expect("memory");
        queue.push(NodeRef::allocate(0, parts, 1).expect("memory"));
        push(&mut queue, b"g", 2);
        assert_eq!(queue.start().collect::<Vec<_>>(), [&b"ab"[..], b"cd", b"ef", b"g"]);
        assert_eq!(queue.complete(3), 0);
        assert_eq!(queue.start().collect::<Vec<_>>(), [&b"d"[..], b"ef", b"g"]);
        assert_eq!(queue.complete(3), 1);
        assert_eq!(taken(&mut queue), [(1, 6, Ok(()))]);
    }

    #[test]
    fn one_kernel_send_carries_a_bounded_number() {
        let mut queue = SendQueue::new();
        for write in 0..MAX_GATHER as u32 + 1 {
            push(&mut queue, b"x", write);
        }
        assert_eq!(queue.start().count(), MAX_GATHER);
        push(&mut queue, b"y", 99);
        assert!(!queue.can_start());
        assert_eq!(queue.complete(MAX_GATHER), MAX_GATHER as u32);
        assert_eq!(queue.start().collect::<Vec<_>>(), [b"x", b"y"]);
    }

    #[test]
    fn a_failure_spares_what_was_sent_and_names_its_cause_once() {
        let mut queue = SendQueue::new();
        for write in 1..=3 {
            push(&mut queue, b"abc", write);
        }
        assert_eq!(queue.start().count(), 3);
        assert!(queue.start_cancel() && !queue.start_cancel());
        queue.complete(4);
        queue.fail(Reset.into());
        let cancelled = Err(ErrorCode::Cancelled.into());
        assert_eq!(taken(&mut queue), [(1, 3, Ok(())), (2, 1, Err(Reset.into())), (3, 0, cancelled)]);
    }

    #[test]
    #[should_panic(expected = "second kernel send")]
    fn a_second_kernel_send_asserts() {
        let mut queue = SendQueue::new();
        push(&mut queue, b"a", 1);
        let _ = queue.start().count();
        let _ = queue.start().count();
    }
}
