//! Sends from files among others.

use super::*;
use crate::SendFile;
use crate::buffer::FilePart;
use std::fs::File;

/// A file that nothing is read from.
fn some_file() -> SendFile {
    File::open(std::env::current_exe().expect("this program")).expect("a file").into()
}

fn push_file(queue: &mut SendQueue<u32>, start: u64, len: u64, write: u32) {
    let Ok(buffer) = SendBuffer::from_file(some_file(), start..start + len) else { panic!("a range of a file") };
    queue.push(NodeRef::allocate(0, buffer, write).expect("memory"));
}

/// Starts a kernel send from a file: where, and how much.
fn part(queue: &mut SendQueue<u32>) -> (u64, usize) {
    match queue.start() {
        Work::File(FilePart { offset, len, .. }) => (offset, len),
        Work::Bytes(slices) => panic!("{} slices", slices.count()),
    }
}

#[test]
fn a_file_goes_alone_and_in_parts() {
    let mut queue = SendQueue::new();
    push(&mut queue, b"abc", 1);
    push(&mut queue, b"de", 2);
    push_file(&mut queue, 100, 10, 3);
    push(&mut queue, b"f", 4);
    assert_eq!(slices(&mut queue), [&b"abc"[..], b"de"]);
    assert_eq!(queue.complete(4), 1);
    assert_eq!(slices(&mut queue), [b"e"]);
    assert_eq!(queue.complete(1), 1);
    assert!(queue.is_at_file());
    for (expected, bytes) in [((100, 10), 4), ((104, 6), 0), ((104, 6), 5)] {
        assert_eq!(part(&mut queue), expected);
        assert_eq!(queue.complete(bytes), 0);
    }
    assert_eq!(part(&mut queue), (109, 1));
    assert_eq!(queue.complete(1), 1);
    assert_eq!(taken(&mut queue), [(1, 3, Ok(())), (2, 2, Ok(())), (3, 10, Ok(()))]);
    assert_eq!((queue.is_at_file(), slices(&mut queue)), (false, vec![&b"f"[..]]));
}

#[test]
fn nothing_of_a_file_is_done_in_its_turn() {
    let mut queue = SendQueue::new();
    push(&mut queue, b"a", 1);
    push_file(&mut queue, 5, 0, 2);
    push(&mut queue, b"b", 3);
    assert_eq!(slices(&mut queue).len(), 1);
    assert_eq!(queue.complete(1), 2);
    assert_eq!(taken(&mut queue), [(1, 1, Ok(())), (2, 0, Ok(()))]);
    assert_eq!(slices(&mut queue), [b"b"]);
}

#[test]
fn a_cancel_meets_the_file_that_the_kernel_has() {
    let mut queue = SendQueue::new();
    for write in 1..=3 {
        push_file(&mut queue, 0, 8, write);
    }
    assert_eq!((part(&mut queue), cancel(&mut queue, 2), queue.start_cut()), ((0, 8), 1, false));
    assert_eq!(taken(&mut queue), [(2, 0, CANCELLED)]);
    assert_eq!((cancel(&mut queue, 1), queue.is_being_cut(), queue.start_cut()), (1, true, true));
    assert_eq!(queue.done(), 0);
    queue.complete(3);
    assert_eq!(taken(&mut queue), [(1, 3, CANCELLED)]);
    assert_eq!(part(&mut queue), (0, 8));
    // What was cancelled and has gone to its end is done.
    assert_eq!((cancel(&mut queue, 3), queue.start_cut()), (1, true));
    queue.complete(8);
    assert_eq!(taken(&mut queue), [(3, 8, Ok(()))]);
}

#[test]
fn a_failure_says_how_far_a_file_came() {
    let mut queue = SendQueue::new();
    push_file(&mut queue, 0, 8, 1);
    push_file(&mut queue, 0, 8, 2);
    part(&mut queue);
    queue.complete(5);
    part(&mut queue);
    queue.complete(0);
    queue.fail(ErrorCode::FileTooShort.into());
    assert_eq!(taken(&mut queue), [(1, 5, Err(ErrorCode::FileTooShort.into())), (2, 0, CANCELLED)]);
}
