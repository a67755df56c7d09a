//! Sends from files: reads and sends, who waits for a chunk, cancels in between.

use super::super::files::MAX_CHUNKS;
use super::*;
use crate::SendFile;
use crate::buffer::FilePart;
use crate::sys::FILE_CHUNK;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// A file without a name, of so many bytes.
fn file(len: usize) -> SendFile {
    // SAFETY: the name is a string of C's, and the descriptor is new.
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"sent".as_ptr(), libc::MFD_CLOEXEC)) };
    file.write_all(&(0..len).map(pattern).collect::<Vec<u8>>()).expect("memory");
    file.into()
}

impl Rig {
    fn try_send_file(
        &mut self,
        key: Key,
        socket: &impl AsRawFd,
        file: &SendFile,
        (offset, len): (u64, usize),
    ) -> Submitted<usize> {
        let part = FilePart { file, offset, len };
        self.backend.send_file(&mut SocketIo::default(), key, socket.as_raw_fd(), part)
    }

    fn send_file(&mut self, key: Key, socket: &impl AsRawFd, file: &SendFile, range: (u64, usize)) {
        let submitted = self.try_send_file(key, socket, file, range);
        assert!(matches!(submitted, Submitted::Pending), "{submitted:?}");
    }
}

#[test]
fn a_range_goes_part_by_part() {
    const START: usize = 1000;
    const LEN: usize = 3 * FILE_CHUNK + 77;
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let file = file(START + LEN + 10);
    let mut sent = 0;
    while sent < LEN {
        rig.send_file(key(1), &socket, &file, ((START + sent) as u64, LEN - sent));
        match rig.sent(key(1)) {
            Ok(bytes) => {
                assert!(bytes <= FILE_CHUNK);
                let mut read = vec![0; bytes];
                peer.read_exact(&mut read).expect("the bytes");
                assert!((START + sent..).zip(&read).all(|(at, byte)| pattern(at) == *byte));
                sent += bytes;
            }
            Err(failure) => assert_eq!(failure, Failure::Again),
        }
    }
    rig.assert_quiet();
}

#[test]
fn what_a_file_cannot_give_is_no_failure_of_the_socket() {
    let mut rig = Rig::new();
    let (_peer, socket) = tcp_pair();
    let short = file(10);
    rig.send_file(key(1), &socket, &short, (10, 5));
    assert_eq!(rig.sent(key(1)), Err(Failure::FileEnded));
    let write_only: SendFile = File::options().write(true).open("/dev/null").expect("a file").into();
    rig.send_file(key(1), &socket, &write_only, (0, 5));
    assert_eq!(rig.sent(key(1)), Err(Failure::File(libc::EBADF)));
    // The file has an end within: what there is goes.
    rig.send_file(key(1), &socket, &short, (4, 100));
    assert_eq!(rig.sent(key(1)), Ok(6));
}

#[test]
fn who_finds_no_chunk_has_the_next_one() {
    const MORE: usize = 10;
    let mut rig = Rig::new();
    let file = file(FILE_CHUNK);
    let pairs: Vec<_> = (0..MAX_CHUNKS + MORE).map(|_| tcp_pair()).collect();
    for (index, (_, socket)) in (0..).zip(&pairs) {
        rig.send_file(key(index), socket, &file, (0, 1000));
    }
    // One that waits is over as soon as it is asked.
    let last = (MAX_CHUNKS + MORE - 1) as u32;
    let stopped = rig.backend.cancel(&mut SocketIo::default(), key(last), pairs[0].1.as_raw_fd(), Direction::Send);
    assert_eq!(stopped, CancelOutcome::Done);
    let mut order = Vec::new();
    for _ in 0..last {
        match rig.next() {
            Completion::Send { key: of, result: Ok(1000) } => order.push(of),
            other => panic!("{other:?}"),
        }
    }
    rig.assert_quiet();
    // Those that had to wait, in their order.
    let waited: Vec<Key> = order.iter().copied().filter(|of| of.index >= MAX_CHUNKS as u32).collect();
    assert_eq!(waited, (MAX_CHUNKS as u32..last).map(key).collect::<Vec<_>>());
    // All is free again.
    rig.send_file(key(last), &pairs[0].1, &file, (0, 1000));
    assert_eq!(rig.sent(key(last)), Ok(1000));
}

#[test]
fn a_peer_that_does_not_read_holds_no_chunk() {
    let mut rig = Rig::new();
    let (mut peer, socket) = UnixStream::pair().expect("a pair");
    let file = file(FILE_CHUNK);
    let mut sent = 0;
    // Until there is no room: then the next one waits for some.
    loop {
        rig.send_file(key(1), &socket, &file, (0, FILE_CHUNK));
        match rig.sent(key(1)) {
            Ok(FILE_CHUNK) => sent += FILE_CHUNK,
            Ok(part) => {
                sent += part;
                break;
            }
            Err(failure) => {
                assert_eq!(failure, Failure::Again);
                break;
            }
        }
    }
    rig.send_file(key(1), &socket, &file, (0, FILE_CHUNK));
    rig.assert_quiet();
    assert_eq!(rig.backend.polls, 1, "it waits by a poll");
    // Others have all chunks.
    let pairs: Vec<_> = (0..MAX_CHUNKS as u32).map(|_| tcp_pair()).collect();
    for (index, (_, socket)) in (100..).zip(&pairs) {
        rig.send_file(key(index), socket, &file, (0, 1));
    }
    for _ in &pairs {
        assert!(matches!(rig.next(), Completion::Send { result: Ok(1), .. }));
    }
    rig.assert_quiet();
    peer.read_exact(&mut vec![0; sent]).expect("all of it");
    assert_eq!(rig.sent(key(1)), Err(Failure::Again));
    rig.send_file(key(1), &socket, &file, (0, 9));
    assert_eq!(rig.sent(key(1)), Ok(9));
}

#[test]
fn a_cancel_before_the_read_has_ended_sends_nothing() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let file = file(100);
    for _ in 0..50 {
        rig.send_file(key(1), &socket, &file, (0, 100));
        rig.cancel(key(1), &socket, Direction::Send);
        assert_eq!(rig.sent(key(1)), Err(Failure::Cancelled));
    }
    rig.assert_quiet();
    rig.send_file(key(1), &socket, &file, (7, 1));
    assert_eq!(rig.sent(key(1)), Ok(1));
    let mut byte = [0];
    peer.read_exact(&mut byte).expect("a byte");
    assert_eq!(byte, [pattern(7)]);
}

// The ring answers EAGAIN for these: it cannot know whether a read would wait.
#[test]
fn a_file_that_is_not_to_be_waited_for_is_read_all_the_same() {
    let mut rig = Rig::new();
    let (mut peer, socket) = tcp_pair();
    let path = "/proc/version";
    let expected = std::fs::read(path).expect("procfs");
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).expect("procfs").into();
    rig.send_file(key(1), &socket, &file, (0, 10_000));
    assert_eq!(rig.sent(key(1)), Ok(expected.len()));
    let mut read = vec![0; expected.len()];
    peer.read_exact(&mut read).expect("the bytes");
    assert_eq!(read, expected);
}

#[test]
fn a_backend_may_go_with_files_under_way() {
    for _ in 0..20 {
        let mut rig = Rig::new();
        let file = file(FILE_CHUNK);
        let pairs: Vec<_> = (0..MAX_CHUNKS as u32 + 5).map(|_| tcp_pair()).collect();
        for (index, (_, socket)) in (0..).zip(&pairs) {
            rig.send_file(key(index), socket, &file, (0, FILE_CHUNK));
        }
        rig.wait(Duration::ZERO);
    }
}
