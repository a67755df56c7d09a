//! The queue alone.

mod files;

use super::*;
use crate::ErrorCode::Reset;
use crate::SendBuffer;

fn push(queue: &mut SendQueue<u32>, bytes: &'static [u8], write: u32) {
    queue.push(NodeRef::allocate(0, bytes.into(), write).expect("memory"));
}

/// Starts a kernel send: what it is given.
fn slices(queue: &mut SendQueue<u32>) -> Vec<&[u8]> {
    match queue.start() {
        Work::Bytes(slices) => slices.collect(),
        Work::File(part) => panic!("{part:?}"),
    }
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
    assert_eq!(slices(&mut queue), [&b"abc"[..], b"defg"]);
    assert_eq!(queue.complete(5), 1);
    assert_eq!(taken(&mut queue), [(1, 3, Ok(()))]);
    assert_eq!(slices(&mut queue), [b"fg"]);
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
    assert_eq!(slices(&mut queue), [b"a", b"b"]);
    assert_eq!(queue.complete(1), 2);
    assert_eq!(taken(&mut queue).len(), 3);
    assert_eq!(slices(&mut queue), [b"b"]);
    assert_eq!(queue.complete(1), 1);
}

#[test]
fn the_buffers_of_one_send_are_done_together() {
    let mut queue = SendQueue::new();
    let mut parts = ["ab", "", "cd", "ef"].map(SendBuffer::from);
    let parts = SendBuffer::gathered(&mut parts, NodeRef::<u32>::LAYOUT).expect("memory");
    queue.push(NodeRef::allocate(0, parts, 1).expect("memory"));
    push(&mut queue, b"g", 2);
    assert_eq!(slices(&mut queue), [&b"ab"[..], b"cd", b"ef", b"g"]);
    assert_eq!(queue.complete(3), 0);
    assert_eq!(slices(&mut queue), [&b"d"[..], b"ef", b"g"]);
    assert_eq!(queue.complete(3), 1);
    assert_eq!(taken(&mut queue), [(1, 6, Ok(()))]);
}

#[test]
fn one_kernel_send_carries_a_bounded_number() {
    let mut queue = SendQueue::new();
    for write in 0..MAX_GATHER as u32 + 1 {
        push(&mut queue, b"x", write);
    }
    assert_eq!(slices(&mut queue).len(), MAX_GATHER);
    push(&mut queue, b"y", 99);
    assert!(!queue.can_start());
    assert_eq!(queue.complete(MAX_GATHER), MAX_GATHER as u32);
    assert_eq!(slices(&mut queue), [b"x", b"y"]);
}

#[test]
fn a_failure_spares_what_was_sent_and_names_its_cause_once() {
    let mut queue = SendQueue::new();
    for write in 1..=3 {
        push(&mut queue, b"abc", write);
    }
    assert_eq!(slices(&mut queue).len(), 3);
    assert!(queue.start_cancel() && !queue.start_cancel());
    queue.complete(4);
    queue.fail(Reset.into());
    let cancelled = Err(ErrorCode::Cancelled.into());
    assert_eq!(taken(&mut queue), [(1, 3, Ok(())), (2, 1, Err(Reset.into())), (3, 0, cancelled)]);
}

fn cancel(queue: &mut SendQueue<u32>, write: u32) -> usize {
    queue.end_early(ErrorCode::Cancelled.into(), |send, _| send.write == write)
}

const CANCELLED: Result<(), Error> = Err(Error::new(ErrorCode::Cancelled));

#[test]
fn a_send_that_the_kernel_does_not_have_ends_at_once() {
    let mut queue = SendQueue::new();
    push(&mut queue, b"abc", 1);
    assert_eq!(slices(&mut queue).len(), 1);
    for (bytes, write) in [(&b"d"[..], 2), (b"e", 3), (b"", 4)] {
        push(&mut queue, bytes, write);
    }
    assert_eq!((cancel(&mut queue, 3), cancel(&mut queue, 3), cancel(&mut queue, 9)), (1, 0, 0));
    assert!(!queue.start_cut());
    assert_eq!(taken(&mut queue), [(3, 0, CANCELLED)]);
    assert_eq!(queue.complete(3), 1);
    assert_eq!(slices(&mut queue), [b"d"]);
    queue.complete(1);
    assert_eq!(taken(&mut queue), [(1, 3, Ok(())), (2, 1, Ok(())), (4, 0, Ok(()))]);
}

#[test]
fn a_send_that_the_kernel_has_ends_with_its_part_and_the_rest_goes_on() {
    let mut queue = SendQueue::new();
    for write in 1..=4 {
        push(&mut queue, b"abc", write);
    }
    assert_eq!(slices(&mut queue).len(), 4);
    assert_eq!((cancel(&mut queue, 2), cancel(&mut queue, 4)), (1, 1));
    assert_eq!(queue.done(), 0);
    assert!(queue.start_cut() && !queue.start_cut());
    queue.complete(4);
    assert_eq!(taken(&mut queue), [(1, 3, Ok(())), (2, 1, CANCELLED), (4, 0, CANCELLED)]);
    assert_eq!(slices(&mut queue), [b"abc"]);
}

#[test]
fn a_send_in_pieces_is_one_send_to_a_cancel() {
    let mut queue = SendQueue::new();
    let mut parts = [b"ab".into(), b"".into(), b"cd".into(), b"ef".into()];
    let parts = SendBuffer::gathered(&mut parts, NodeRef::<u32>::LAYOUT).expect("memory");
    queue.push(NodeRef::allocate(0, parts, 1).expect("memory"));
    push(&mut queue, b"gh", 2);
    assert_eq!(slices(&mut queue).len(), 4);
    push(&mut queue, b"ij", 3);
    // The kernel has the second, and not the third.
    assert_eq!((cancel(&mut queue, 3), queue.start_cut()), (1, false));
    assert_eq!(taken(&mut queue), [(3, 0, CANCELLED)]);
    assert_eq!((cancel(&mut queue, 2), queue.start_cut(), queue.done()), (1, true, 0));
    queue.complete(5);
    assert_eq!(taken(&mut queue), [(2, 0, CANCELLED)]);
    assert_eq!(slices(&mut queue), [b"f"]);
}

#[test]
fn a_send_that_is_done_before_its_cancel_has_succeeded() {
    let mut queue = SendQueue::new();
    push(&mut queue, b"abc", 1);
    assert_eq!(slices(&mut queue).len(), 1);
    assert_eq!(cancel(&mut queue, 1), 1);
    assert!(queue.start_cut());
    queue.complete(3);
    assert_eq!(taken(&mut queue), [(1, 3, Ok(()))]);
    assert!(queue.is_flushed());
}

#[test]
fn what_is_empty_does_not_wait_for_what_has_ended() {
    let mut queue = SendQueue::new();
    push(&mut queue, b"abc", 1);
    push(&mut queue, b"", 2);
    assert_eq!(cancel(&mut queue, 1), 1);
    assert_eq!(taken(&mut queue), [(1, 0, CANCELLED), (2, 0, Ok(()))]);
    assert!(queue.is_flushed() && !queue.can_start());
}

#[test]
fn a_limit_ends_its_own_send() {
    let mut queue = SendQueue::new();
    let timed = |write, delay_ms| {
        let node = NodeRef::allocate(0, b"abc".into(), write).expect("memory");
        node.set_limit(Limit::after_ms(delay_ms));
        node
    };
    queue.push(timed(1, 50));
    push(&mut queue, b"abc", 2);
    queue.push(timed(3, 20));
    let at = Moment::from_number;
    assert_eq!(queue.first_limit(), Limit::NONE);
    queue.begin_limits(at(100));
    assert_eq!(queue.first_limit().moment(), Some(at(121)));
    queue.time_out(at(120));
    assert_eq!(queue.done(), 0);
    queue.time_out(at(121));
    let timed_out = Err(ErrorCode::TimedOut.into());
    assert_eq!(taken(&mut queue), [(3, 0, timed_out)]);
    assert_eq!(queue.first_limit().moment(), Some(at(151)));
    queue.time_out(at(151));
    assert_eq!(taken(&mut queue), [(1, 0, timed_out)]);
    assert_eq!((queue.first_limit(), slices(&mut queue).len()), (Limit::NONE, 1));
}

#[test]
#[should_panic(expected = "second kernel send")]
fn a_second_kernel_send_asserts() {
    let mut queue = SendQueue::new();
    push(&mut queue, b"a", 1);
    slices(&mut queue);
    slices(&mut queue);
}
