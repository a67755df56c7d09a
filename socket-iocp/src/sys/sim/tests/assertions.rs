//! What an engine must not do fails loudly.

use super::super::super::ListenerKey;
use super::*;
use crate::sys::errno;

/// A socket with a recv pending and one with a send pending.
fn busy() -> (Rig, [RawSocket; 2], [Peer; 2]) {
    let mut rig = Rig::new(1, Behaviour { window_bytes: 1, ..Behaviour::calm() });
    let (reading, reading_peer) = rig.pair();
    let (writing, writing_peer) = rig.pair();
    assert!(matches!(rig.recv(key(0), reading), Submitted::Pending));
    assert!(matches!(rig.send(key(1), writing, b"x"), Submitted::Done(Ok(1))));
    assert!(matches!(rig.send(key(1), writing, b"y"), Submitted::Pending));
    (rig, [reading, writing], [reading_peer, writing_peer])
}

#[test]
#[should_panic(expected = "Recv { index: 0, generation: 1 } is submitted while one is pending")]
fn two_recvs_on_a_key() {
    let (mut rig, [reading, _], _peers) = busy();
    let _ = rig.recv(key(0), reading);
}

#[test]
#[should_panic(expected = "a second recv on one socket")]
fn two_recvs_on_a_socket() {
    let (mut rig, [reading, _], _peers) = busy();
    let _ = rig.recv(key(2), reading);
}

#[test]
#[should_panic(expected = "Send { index: 1, generation: 1 } is submitted while one is pending")]
fn two_sends_on_a_key() {
    let (mut rig, [_, writing], _peers) = busy();
    let _ = rig.send(key(1), writing, b"z");
}

#[test]
#[should_panic(expected = "a second send on one socket")]
fn two_sends_on_a_socket() {
    let (mut rig, [_, writing], _peers) = busy();
    let _ = rig.send(key(2), writing, b"z");
}

#[test]
#[should_panic(expected = "an operation on a number that is not open")]
fn an_operation_on_a_closed_number() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, _peer) = rig.pair();
    rig.close(socket);
    let _ = rig.recv(key(0), socket);
}

#[test]
#[should_panic(expected = "close on a number that is not open")]
fn a_second_close() {
    let rig = Rig::new(1, Behaviour::calm());
    let (socket, _peer) = rig.pair();
    rig.close(socket);
    rig.close(socket);
}

#[test]
#[should_panic(expected = "close with a recv pending")]
fn a_close_with_a_recv_pending() {
    let (rig, [reading, _], _peers) = busy();
    rig.close(reading);
}

#[test]
#[should_panic(expected = "close with a send pending")]
fn a_close_with_a_send_pending() {
    let (rig, [_, writing], _peers) = busy();
    rig.close(writing);
}

#[test]
#[should_panic(expected = "close with a recv pending")]
fn a_close_before_the_completion_is_taken() {
    let (mut rig, [reading, _], [peer, _other]) = busy();
    peer.write_all(b"x").expect("room");
    rig.backend.wait(None, &mut rig.pool).expect("no fault was injected");
    rig.close(reading);
}

#[test]
#[should_panic(expected = "forget with a recv pending")]
fn a_forget_with_a_recv_pending() {
    let (mut rig, [reading, _], _peers) = busy();
    rig.backend.forget(&mut rig.io, reading);
}

#[test]
#[should_panic(expected = "a cancel of Send { index: 0, generation: 1 }, which is not pending")]
fn a_cancel_of_nothing() {
    let (mut rig, [reading, _], _peers) = busy();
    rig.cancel(key(0), reading, Direction::Send);
}

#[test]
#[should_panic(expected = "a send's bytes were changed while it was pending")]
fn bytes_changed_while_a_send_is_pending() {
    let (mut rig, [_, writing], [_other, peer]) = busy();
    assert_eq!(rig.cancel(key(1), writing, Direction::Send), CancelOutcome::Requested);
    rig.wait();
    let mut bytes = *b"good";
    let data = bytes.as_mut_ptr();
    // SAFETY: the four bytes of `bytes`, which lives to the end of the test.
    let slice = unsafe { std::slice::from_raw_parts(data, 4) };
    assert!(matches!(rig.send(key(1), writing, slice), Submitted::Pending));
    // SAFETY: one byte of `bytes`, on the one thread. It breaks the rule of `sys/mod.rs`, "Memory", on purpose.
    unsafe { data.write(b'f') };
    peer.read_exact(&mut [0]).expect("the first byte");
    rig.wait();
}

#[test]
#[should_panic(expected = "a send's bytes were changed while it was pending")]
fn bytes_changed_before_the_completion_is_taken() {
    let mut rig = Rig::new(1, Behaviour { immediate_probability: 0.0, ..Behaviour::calm() });
    let (socket, _peer) = rig.pair();
    let mut bytes = *b"good";
    let data = bytes.as_mut_ptr();
    // SAFETY: the four bytes of `bytes`, which lives to the end of the test.
    let slice = unsafe { std::slice::from_raw_parts(data, 4) };
    assert!(matches!(rig.send(key(1), socket, slice), Submitted::Pending));
    rig.backend.wait(None, &mut rig.pool).expect("no fault was injected");
    // SAFETY: one byte of `bytes`, on the one thread. It breaks the rule of `sys/mod.rs`, "Memory", on purpose.
    unsafe { data.write(b'f') };
    rig.drain();
}

#[test]
#[should_panic(expected = "a send with an empty slice")]
fn an_empty_slice() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, _peer) = rig.pair();
    let _ = rig.send(key(0), socket, b"");
}

#[test]
#[should_panic(expected = "a backend is dropped with 2 operations pending")]
fn a_backend_dropped_with_operations_pending() {
    drop(busy());
}

#[test]
#[should_panic(expected = "ListenerKey(3) is removed with 1 accepts pending")]
fn a_listener_removed_with_an_accept_pending() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let listener = rig.network.listen().into_raw();
    rig.backend.add_listener(ListenerKey(3), listener).expect("nothing is refused");
    assert!(matches!(rig.backend.accept(ListenerKey(3), listener), Submitted::Pending));
    rig.backend.remove_listener(ListenerKey(3), listener);
}

#[test]
#[should_panic(expected = "an accept on ListenerKey(0), which was not added")]
fn an_accept_on_a_listener_that_was_not_added() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let listener = rig.network.listen();
    let _ = rig.backend.accept(ListenerKey(0), listener.as_raw());
}

#[test]
fn a_number_closed_behind_the_back_is_an_error_and_no_panic() {
    let (mut rig, [reading, writing], peers) = busy();
    rig.network.close_behind(reading);
    rig.network.close_behind(writing);
    assert_eq!(rig.cancel(key(0), reading, Direction::Recv), CancelOutcome::Requested);
    assert_eq!(rig.cancel(key(1), writing, Direction::Send), CancelOutcome::Requested);
    let mut ended = 0;
    while ended < 2 {
        ended += rig.wait().len();
    }
    assert!(matches!(rig.recv(key(0), reading), Submitted::Done(Err(Failure::Os(errno::EBADF)))));
    assert!(!rig.net().close(reading, CloseHow::Background, None));
    let mut rest = Vec::new();
    peers[0].read_to_end(&mut rest).expect("a graceful end, once the operation had ended");
    assert_eq!(rig.network.open_sockets(), 0);
}
