//! FIN, RST and close, with Linux's answers.

use super::*;
use crate::sys::errno;

const ECONNRESET: Failure = Failure::Os(errno::ECONNRESET);
const EPIPE: Failure = Failure::Os(errno::EPIPE);

#[test]
fn fin_follows_the_bytes_and_leaves_the_other_way_open() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, peer) = rig.pair();
    peer.write_all(b"last").expect("room");
    peer.shutdown_write();
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(b"last".to_vec()));
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(Vec::new()));
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(Vec::new()));
    assert_eq!(rig.send_to_end(key(0), socket, b"reply"), Ok(5));
    rig.close(socket);
    let mut reply = Vec::new();
    peer.read_to_end(&mut reply).expect("a graceful end");
    assert_eq!(reply, b"reply");
}

#[test]
fn a_pending_recv_ends_with_the_fin() {
    let mut rig = Rig::new(1, Behaviour::mild());
    let (socket, peer) = rig.pair();
    assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
    drop(peer);
    assert!(matches!(rig.wait_for_one(), Completion::Recv { result: Ok(buffer), .. } if buffer.is_empty()));
    rig.close(socket);
}

#[test]
fn what_came_before_a_reset_is_read_then_the_error_once() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, peer) = rig.pair();
    peer.write_all(b"hello").expect("room");
    peer.reset();
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(b"hello".to_vec()));
    assert_eq!(rig.recv_to_end(key(0), socket), Err(ECONNRESET));
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(Vec::new()));
    assert_eq!(rig.send_to_end(key(0), socket, b"x"), Err(EPIPE));
    rig.net().check_connected(socket).expect("as a real socket after a reset");
    assert!(rig.net().remote_address(socket).as_socket().is_none());
    rig.close(socket);
}

#[test]
fn a_send_may_be_the_one_to_meet_the_reset() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, peer) = rig.pair();
    peer.reset();
    assert_eq!(rig.send_to_end(key(0), socket, b"x"), Err(ECONNRESET));
    assert_eq!(rig.send_to_end(key(0), socket, b"x"), Err(EPIPE));
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(Vec::new()));
    rig.close(socket);
}

#[test]
fn a_reset_may_destroy_what_was_not_read() {
    let mut shortest = usize::MAX;
    for seed in 0..50 {
        let mut rig = Rig::new(seed, Behaviour { reset_loss_probability: 1.0, ..Behaviour::calm() });
        let (socket, peer) = rig.pair();
        peer.write_all(b"0123456789").expect("room");
        peer.reset();
        let kept = rig.recv_to_end(key(0), socket).unwrap_or_default();
        assert!(b"0123456789".starts_with(&kept));
        shortest = shortest.min(kept.len());
        rig.close(socket);
    }
    assert_eq!(shortest, 0);
}

#[test]
fn a_close_with_unread_bytes_resets_the_peer() {
    let rig = Rig::new(1, Behaviour::calm());
    let (socket, peer) = rig.pair();
    peer.write_all(b"never read").expect("room");
    rig.close(socket);
    let error = peer.read(&mut [0; 8]).expect_err("a reset");
    assert_eq!(error.raw_os_error(), Some(errno::ECONNRESET));
}

#[test]
fn a_close_by_reset_resets_the_peer() {
    let rig = Rig::new(1, Behaviour::calm());
    let (socket, peer) = rig.pair();
    assert!(rig.net().close(socket, CloseHow::Reset, None));
    let error = peer.write(b"x").expect_err("a reset");
    assert_eq!(error.raw_os_error(), Some(errno::ECONNRESET));
}

#[test]
fn a_closed_peer_takes_one_send_and_answers_with_a_reset() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, peer) = rig.pair();
    drop(peer);
    assert_eq!(rig.send_to_end(key(0), socket, b"late"), Ok(4));
    assert_eq!(rig.send_to_end(key(0), socket, b"later"), Err(EPIPE));
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(Vec::new()));
    rig.close(socket);
}

#[test]
fn a_reset_after_fins_both_ways_is_nothing() {
    let mut rig = Rig::new(1, Behaviour { reset_loss_probability: 1.0, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    let bytes = pattern(1, 500);
    peer.write_all(&bytes).expect("room");
    peer.shutdown_write();
    rig.net().shutdown_send(socket);
    peer.reset();
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(bytes));
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(Vec::new()));
    assert_eq!(rig.send_to_end(key(0), socket, b"x"), Err(EPIPE));
    rig.close(socket);
}

#[test]
fn the_window_pushes_back() {
    let mut rig = Rig::new(1, Behaviour { window_bytes: 10, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    let bytes = pattern(1, 25);
    assert_eq!(rig.send_to_end(key(0), socket, &bytes), Ok(10));
    assert!(matches!(rig.send(key(0), socket, &bytes[10..]), Submitted::Pending));
    assert!(rig.poll().is_empty(), "there is no room");
    let mut read = vec![0; 4];
    peer.read_exact(&mut read).expect("bytes");
    assert!(matches!(rig.wait_for_one(), Completion::Send { result: Ok(4), .. }));
    rig.close(socket);
    peer.read_to_end(&mut read).expect("a graceful end");
    assert_eq!(read, &bytes[..14]);
}

#[test]
fn the_window_pushes_a_peer_back() {
    let mut rig = Rig::new(1, Behaviour { window_bytes: 10, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    peer.set_nonblocking(true);
    assert_eq!(peer.write(&[7; 11]).expect("room for ten"), 10);
    assert_eq!(peer.write(&[7]).expect_err("no room").kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(vec![7; 10]));
    assert_eq!(peer.write(&[7]).expect("room again"), 1);
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(vec![7]));
    rig.close(socket);
}

#[test]
fn errors_by_chance_end_the_connection() {
    let mut rig = Rig::new(1, Behaviour { recv_error_probability: 1.0, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    peer.write_all(b"hello").expect("room");
    assert!(matches!(rig.recv_to_end(key(0), socket), Err(Failure::Os(_))));
    assert_eq!(peer.read(&mut [0; 1]).expect_err("a reset").raw_os_error(), Some(errno::ECONNRESET));
    rig.close(socket);

    let mut rig = Rig::new(1, Behaviour { send_error_probability: 1.0, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    assert!(matches!(rig.send_to_end(key(0), socket, b"hello"), Err(Failure::Os(_))));
    let mut read = Vec::new();
    assert_eq!(peer.read_to_end(&mut read).expect_err("a reset").raw_os_error(), Some(errno::ECONNRESET));
    assert!(b"hello".starts_with(&read));
    rig.close(socket);
}

#[test]
fn an_injected_fault_meets_the_pending_operation() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, _peer) = rig.pair();
    assert!(matches!(rig.recv(key(0), socket), Submitted::Pending));
    rig.network.fail_next(Operation::Recv, errno::ETIMEDOUT);
    let completion = rig.wait_for_one();
    assert!(
        matches!(completion, Completion::Recv { result: Err(Failure::Os(errno::ETIMEDOUT)), .. }),
        "{completion:?}"
    );
    assert!(matches!(rig.recv(key(0), socket), Submitted::Pending), "one fault, one failure");
    assert_eq!(rig.cancel(key(0), socket, Direction::Recv), CancelOutcome::Requested);
    rig.wait();
    rig.close(socket);
}

#[test]
fn a_peer_that_blocks_is_woken_by_each_event() {
    let mut rig = Rig::new(1, Behaviour::mild());
    let (socket, peer) = rig.pair();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = pattern(1, 200_000);
    let mut sent = 0;
    while sent < bytes.len() {
        match rig.send(key(0), socket, &bytes[sent..]) {
            Submitted::Done(result) => sent += result.expect("no errors"),
            Submitted::Pending => match rig.wait_for_one() {
                Completion::Send { result, .. } => sent += result.expect("no errors"),
                other => panic!("{other:?}"),
            },
        }
    }
    rig.close(socket);
    assert!(reader.join().expect("no panic").expect("a graceful end") == bytes);
}
