//! What a cancel may come to.

use super::*;

#[derive(Debug, Default, PartialEq)]
struct Seen {
    done: usize,
    cancelled: usize,
    succeeded: usize,
}

/// Cancels a recv, with bytes there for it or without, over many seeds.
fn cancel_recvs(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for seed in 0..200 {
        let mut rig = Rig::new(seed, Behaviour { immediate_probability: 0.0, ..Behaviour::mild() });
        let (socket, peer) = rig.pair();
        assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
        peer.write_all(bytes).expect("room");
        let mut received = Vec::new();
        match rig.cancel(key(0), socket, Direction::Recv) {
            CancelOutcome::Done => {
                seen.done += 1;
                assert!(rig.poll().is_empty(), "no completion comes of what is over");
            }
            CancelOutcome::Requested => match rig.wait_for_one() {
                Completion::Recv { result: Err(Failure::Cancelled), .. } => seen.cancelled += 1,
                Completion::Recv { result: Ok(buffer), .. } => {
                    seen.succeeded += 1;
                    received.extend_from_slice(&buffer);
                }
                other => panic!("{other:?}"),
            },
        }
        drop(peer);
        // Nothing is lost nor repeated, whatever the cancel came to.
        while let Ok(part) = rig.recv_to_end(key(0), socket) {
            if part.is_empty() {
                break;
            }
            received.extend(part);
        }
        assert_eq!(received, bytes);
        rig.close(socket);
    }
    seen
}

#[test]
fn a_cancel_loses_or_beats_the_success() {
    let seen = cancel_recvs(b"there");
    assert!(seen.done > 0 && seen.cancelled > 0 && seen.succeeded > 0, "{seen:?}");
}

#[test]
fn a_cancel_without_bytes_never_ends_with_success() {
    let seen = cancel_recvs(b"");
    assert!(seen.done > 0 && seen.cancelled > 0, "{seen:?}");
    assert_eq!(seen.succeeded, 0);
}

#[test]
fn a_cancelled_send_that_succeeded_has_moved_its_bytes() {
    let mut moved = 0;
    for seed in 0..200 {
        let mut rig = Rig::new(seed, Behaviour { immediate_probability: 0.0, ..Behaviour::mild() });
        let (socket, peer) = rig.pair();
        let bytes = pattern(seed, 100);
        assert!(matches!(rig.send(key(0), socket, &bytes), Submitted::Pending));
        let sent = match rig.cancel(key(0), socket, Direction::Send) {
            CancelOutcome::Done => 0,
            CancelOutcome::Requested => match rig.wait_for_one() {
                Completion::Send { result: Ok(sent), .. } => sent,
                Completion::Send { result: Err(Failure::Cancelled), .. } => 0,
                other => panic!("{other:?}"),
            },
        };
        rig.close(socket);
        let mut received = Vec::new();
        peer.read_to_end(&mut received).expect("a graceful end");
        assert_eq!(received, &bytes[..sent]);
        moved += usize::from(sent > 0);
    }
    assert!(moved > 0, "no success ever beat its cancel");
}

#[test]
fn a_completion_that_is_there_stays_what_it_was() {
    let mut rig = Rig::new(1, Behaviour { cancel_done_probability: 1.0, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
    peer.write_all(b"there").expect("room");
    rig.backend.wait(None, &mut rig.pool).expect("no fault was injected");
    assert_eq!(rig.cancel(key(0), socket, Direction::Recv), CancelOutcome::Requested);
    let completions = rig.drain();
    assert!(matches!(&completions[..], [Completion::Recv { result: Ok(buffer), .. }] if **buffer == *b"there"));
    rig.close(socket);
}
