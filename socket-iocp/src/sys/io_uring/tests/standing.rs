//! Recvs that stand: one submission for many, and nothing lost of what nobody has asked for.

use super::*;
use crate::sys::io_uring::standing::{MAX_KEPT, Standing};
use crate::sys::io_uring::tag::{Kind, Tag};
use std::io::{Read, Write};
use std::thread;

const KEY: Key = Key { index: 1, generation: 1 };

/// A socket with its bits, as a state machine has them.
struct Under {
    rig: Rig,
    io: SocketIo,
    socket: TcpStream,
}

impl Under {
    /// With read buffers of this size; the peer as well.
    fn new(options: &Options) -> (Under, TcpStream) {
        let (peer, socket) = tcp_pair();
        let mut rig = Rig::of(&options.clone().multishot_recv(true));
        rig.backend.start().expect("the ring is enabled");
        (Under { rig, io: SocketIo::default(), socket }, peer)
    }

    fn threaded(buffer_size: usize) -> (Under, TcpStream) {
        Under::new(&Options::new(buffer_size).threads(1))
    }

    fn recv(&mut self) -> Submitted<ReadBuffer> {
        self.rig.backend.recv(&mut self.io, KEY, self.socket.as_raw_fd(), &mut self.rig.pool)
    }

    fn recv_pending(&mut self) {
        let submitted = self.recv();
        assert!(matches!(submitted, Submitted::Pending), "{submitted:?}");
    }

    /// A recv that finds something kept.
    fn recv_kept(&mut self) -> Result<ReadBuffer, Failure> {
        match self.recv() {
            Submitted::Done(result) => result,
            Submitted::Pending => panic!("something was to be kept"),
        }
    }

    /// Gives the backend the next answer. Whether it stands on, and what it is for a recv that is pending.
    fn arrive(&mut self) -> (bool, Option<Result<ReadBuffer, Failure>>) {
        match self.rig.next() {
            Completion::Arrived { key: KEY, result, stands } => {
                (stands, self.rig.backend.arrived(&mut self.io, KEY, result, stands))
            }
            other => panic!("an answer was to come, not {other:?}"),
        }
    }

    /// The next answer, for the recv that is pending.
    fn answered(&mut self) -> Result<ReadBuffer, Failure> {
        self.arrive().1.expect("a recv is pending")
    }

    /// Has everything kept that comes until all of `bytes` have.
    fn keep(&mut self, bytes: usize) -> usize {
        let (mut arrived, mut answers) = (0, 0);
        while arrived < bytes {
            let Completion::Arrived { result, stands, .. } = self.rig.next() else { panic!("answers were to come") };
            arrived += result.as_ref().expect("data").len();
            answers += 1;
            assert!(self.rig.backend.arrived(&mut self.io, KEY, result, stands).is_none(), "no recv is pending");
        }
        answers
    }

    /// The socket ends; what comes before the recv that stands has ended is kept.
    fn end(&mut self) {
        assert!(self.rig.backend.end_standing(&mut self.io, KEY));
        while self.rig.backend.end_standing(&mut self.io, KEY) {
            assert!(self.arrive().1.is_none(), "no recv is pending");
        }
        self.rig.assert_quiet();
    }
}

#[test]
fn one_submission_serves_many_recvs() {
    let (mut under, mut peer) = Under::threaded(BUFFER_SIZE);
    for round in 0..100 {
        under.recv_pending();
        if round > 0 {
            assert_eq!(under.rig.backend.ring.queued(), 0, "it stands");
        }
        peer.write_all(&[round; 10]).expect("written");
        assert_eq!(under.answered().expect("data")[..], [round; 10]);
        assert_eq!(under.rig.backend.in_kernel(), 2, "it, and the read of the wake-up");
    }
    under.end();
    assert_eq!(under.rig.backend.in_kernel(), 1);
}

#[test]
fn what_nobody_asked_for_is_kept_in_order() {
    let (mut under, mut peer) = Under::threaded(4);
    under.recv_pending();
    peer.write_all(b"abcdefghij").expect("written");
    assert_eq!(&under.answered().expect("data")[..], b"abcd");
    under.keep(6);
    for expected in [&b"efgh"[..], b"ij"] {
        assert_eq!(&under.recv_kept().expect("data")[..], expected);
    }
    under.recv_pending();
    peer.write_all(b"k").expect("written");
    assert_eq!(&under.answered().expect("data")[..], b"k");
}

#[test]
fn what_is_kept_is_bounded_and_the_peer_pushed_back() {
    const WHOLE: usize = 1000;
    let (mut under, mut peer) = Under::threaded(1);
    under.recv_pending();
    peer.write_all(&[0]).expect("written");
    under.answered().expect("data");
    let whole: Vec<u8> = (1..=WHOLE).map(|at| at as u8).collect();
    peer.write_all(&whole).expect("written");
    let mut kept = 0;
    loop {
        let (stands, answer) = under.arrive();
        assert!(answer.is_none());
        if !stands {
            break;
        }
        kept += 1;
    }
    under.rig.assert_quiet();
    assert!((MAX_KEPT..WHOLE / 2).contains(&kept), "{kept}");
    // The rest is in the kernel, and comes when all of that is taken.
    let mut taken = Vec::new();
    while taken.len() < WHOLE {
        match under.recv() {
            Submitted::Done(result) => taken.extend_from_slice(&result.expect("data")),
            Submitted::Pending => {
                let answer = loop {
                    if let (_, Some(answer)) = under.arrive() {
                        break answer;
                    }
                };
                match answer {
                    Ok(buffer) => taken.extend_from_slice(&buffer),
                    // It had been asked to end before, or the ring had no buffer.
                    Err(failure) => assert!(matches!(failure, Failure::Again | Failure::NoBuffer), "{failure:?}"),
                }
            }
        }
    }
    assert_eq!(taken, whole);
}

#[test]
fn a_fin_that_nobody_asked_for_is_said_to_the_next_recv() {
    let (mut under, mut peer) = Under::threaded(BUFFER_SIZE);
    under.recv_pending();
    peer.write_all(b"last").expect("written");
    assert_eq!(&under.answered().expect("data")[..], b"last");
    drop(peer);
    assert!(matches!(under.arrive(), (false, None)));
    under.recv_pending();
    assert!(under.answered().expect("FIN").is_empty());
    assert!(!under.rig.backend.end_standing(&mut under.io, KEY), "a FIN is the last answer");
    under.rig.assert_quiet();
}

#[test]
fn a_failure_that_nobody_asked_for_comes_behind_what_is_kept() {
    let (mut under, mut peer) = Under::threaded(2);
    under.recv_pending();
    peer.write_all(b"abcd").expect("written");
    assert_eq!(&under.answered().expect("data")[..], b"ab");
    under.keep(2);
    reset(peer);
    assert!(matches!(under.arrive(), (false, None)));
    assert_eq!(&under.recv_kept().expect("data")[..], b"cd");
    assert_eq!(under.recv_kept().map(|_| ()), Err(Failure::Os(libc::ECONNRESET)));
    assert!(!under.rig.backend.end_standing(&mut under.io, KEY));
    assert!(matches!(under.rig.backend.take_kept(&mut under.io, KEY), Ok(None)));
}

#[test]
fn a_cancel_leaves_it_standing() {
    let (mut under, mut peer) = Under::threaded(BUFFER_SIZE);
    under.recv_pending();
    under.rig.assert_quiet();
    let socket = under.socket.as_raw_fd();
    let outcome = under.rig.backend.cancel(&mut under.io, KEY, socket, Direction::Recv);
    assert_eq!(outcome, CancelOutcome::Done);
    peer.write_all(b"unasked").expect("written");
    under.keep(7);
    assert_eq!(&under.recv_kept().expect("data")[..], b"unasked");
    // Asked for again before the end is asked for: it is that recv's, or nobody's.
    under.recv_pending();
    let outcome = under.rig.backend.cancel(&mut under.io, KEY, socket, Direction::Recv);
    assert_eq!(outcome, CancelOutcome::Done);
    under.end();
}

#[test]
fn a_recv_issued_while_it_ends_stands_anew() {
    let (mut under, mut peer) = Under::threaded(1);
    under.recv_pending();
    peer.write_all(&[0]).expect("written");
    under.answered().expect("data");
    peer.write_all(&[1; MAX_KEPT]).expect("written");
    under.keep(MAX_KEPT);
    for _ in 0..MAX_KEPT {
        under.recv_kept().expect("data");
    }
    under.recv_pending();
    assert_eq!(under.answered().map(|_| ()), Err(Failure::Again), "the cancel's answer");
    under.recv_pending();
    peer.write_all(&[2]).expect("written");
    assert_eq!(under.answered().expect("data")[..], [2]);
    under.end();
}

#[test]
fn an_empty_ring_ends_it_and_a_recv_stands_anew() {
    let (mut under, mut peer) = Under::threaded(1);
    let first = under.rig.backend.memory.buffers.target();
    under.recv_pending();
    peer.write_all(&[0]).expect("written");
    under.answered().expect("data");
    // More than the ring has, which is more than may be kept: whatever comes first ends it.
    peer.write_all(&vec![1; 4 * first]).expect("written");
    let mut left = 4 * first;
    while left > 0 {
        match under.recv() {
            Submitted::Done(result) => left -= result.expect("data").len(),
            Submitted::Pending => match under.arrive().1 {
                Some(Ok(buffer)) => left -= buffer.len(),
                Some(Err(failure)) => assert!(matches!(failure, Failure::Again | Failure::NoBuffer), "{failure:?}"),
                None => {}
            },
        }
    }
    under.end();
}

#[test]
fn a_kernel_without_it_is_asked_once() {
    let (mut under, mut peer) = Under::threaded(BUFFER_SIZE);
    under.recv_pending();
    let tag = Tag::of_socket(Kind::Standing, KEY);
    let Rig { backend, pool } = &mut under.rig;
    // The kernel that knows it goes on; the test answers in the name of another.
    backend.pending += 1;
    let refusal = backend.answer(tag, -libc::EINVAL, 0, pool);
    let Some(Completion::Arrived { result, stands: false, .. }) = refusal else { panic!("{refusal:?}") };
    let mut io = under.io;
    assert!(matches!(under.rig.backend.arrived(&mut io, KEY, result, false), Some(Err(Failure::Again))));
    let other = key(2);
    let socket = under.socket.as_raw_fd();
    assert!(matches!(under.rig.backend.recv(&mut io, other, socket, &mut under.rig.pool), Submitted::Pending));
    let outcome = under.rig.backend.cancel(&mut under.io, KEY, socket, Direction::Recv);
    assert_eq!(outcome, CancelOutcome::Done);
    under.end();
    peer.write_all(b"once").expect("written");
    assert_eq!(&under.rig.received(other).expect("data")[..], b"once");
}

#[test]
fn what_cannot_be_kept_is_a_failure() {
    let (mut under, mut peer) = Under::threaded(1);
    under.recv_pending();
    peer.write_all(b"abc").expect("written");
    under.answered().expect("data");
    under.keep(2);
    under.rig.backend.lose(&mut under.io);
    assert_eq!(&under.recv_kept().expect("what was kept before")[..], b"b");
    let code = |under: &mut Under| {
        under.rig.backend.take_kept(&mut under.io, KEY).map(|kept| kept.is_some()).map_err(|error| error.code())
    };
    assert_eq!(code(&mut under), Ok(true));
    assert_eq!(code(&mut under), Err(crate::ErrorCode::NoMemory));
    assert_eq!(under.recv_kept().map(|_| ()), Err(Failure::Os(libc::ENOMEM)));
    under.end();
}

#[test]
fn it_goes_with_its_backend() {
    let (mut under, mut peer) = Under::threaded(BUFFER_SIZE);
    under.recv_pending();
    peer.write_all(b"x").expect("written");
    under.answered().expect("data");
    peer.write_all(b"unasked").expect("written");
    under.keep(7);
    let Under { rig, socket, .. } = under;
    drop(rig);
    drop(socket);
    assert_eq!(peer.read(&mut [0]).expect("nobody has the socket any more"), 0);
}

#[test]
fn the_end_of_the_thread_that_submitted_it_is_not_its_end() {
    let (mut under, mut peer) = Under::new(&Options::new(BUFFER_SIZE).threads(0));
    let mut under = thread::spawn(move || {
        under.recv_pending();
        under.rig.backend.set_deadline(None);
        under
    })
    .join()
    .expect("no panic");
    // The kernel finds that thread gone when there is something to be done.
    peer.write_all(b"still").expect("written");
    assert_eq!(under.answered().map(|_| ()), Err(Failure::Again));
    under.recv_pending();
    assert_eq!(&under.answered().expect("data")[..], b"still");
}

#[test]
fn lists_are_used_again() {
    let mut standing = Standing::new(true);
    for turn in 0..10 {
        for index in 0..3 {
            assert_eq!(standing.keep(key(index), Err(Failure::Os(turn))), Some(true));
        }
        for index in 0..3 {
            let (first, more) = standing.take(key(index));
            assert_eq!((first.map(|first| first.map(|_| ())), more), (Some(Err(Failure::Os(turn))), false));
        }
        assert!(matches!(standing.take(key(0)), (None, false)));
    }
    assert_eq!(standing.spare(), 3);
}
