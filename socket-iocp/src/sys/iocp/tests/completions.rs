//! Completions that are none of ours, wake-ups, waits, and sockets on their way in and out.

use super::*;
use windows_sys::Win32::Foundation::{
    ERROR_CONNECTION_ABORTED, ERROR_HANDLES_CLOSED, ERROR_INVALID_PARAMETER, ERROR_NETNAME_DELETED,
    ERROR_OPERATION_ABORTED, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_RESET,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;

#[test]
fn a_wake_up_ends_a_wait() {
    let mut rig = Rig::new(options());
    let waker = rig.backend.waker();
    let thread = std::thread::spawn(move || waker.wake());
    assert!(matches!(rig.wait(), Completion::Woken));
    thread.join().expect("no panic");
}

#[test]
fn a_wait_ends_with_its_time() {
    let mut rig = Rig::new(options());
    rig.backend.wait(Some(Duration::from_micros(5_300)), &mut rig.pool).expect("a wait");
    assert!(rig.next().is_none());
}

#[test]
fn a_socket_has_one_completion_port() {
    let (mut rig, other) = (Rig::new(options()), Rig::new(options()));
    let (connection, _client) = rig.pair();
    for waker in [rig.backend.waker(), other.backend.waker()] {
        let error = waker.associate(connection.raw(), connection.key, false).expect_err("it has one");
        assert_eq!(error, Error::with_os(ErrorCode::Unsupported, ERROR_INVALID_PARAMETER as i32));
    }
}

/// The mode cannot be taken off again: were it not known, a send that succeeds at once would be waited for in vain.
#[test]
fn a_socket_that_skips_already_is_known() {
    let mut rig = Rig::new(options().skip_on_success(false));
    let (server, _client) = tcp();
    // SAFETY: the call takes no memory.
    assert_ne!(unsafe { SetFileCompletionNotificationModes(server.as_raw_socket() as HANDLE, 1) }, 0);
    let mut connection = rig.add(server);
    assert_eq!(rig.send_now(&mut connection, &[b"abc"]), Ok(3));
}

#[test]
fn the_completion_of_a_socket_that_is_gone_is_dropped() {
    let mut rig = Rig::new(options());
    let (mut gone, mut its_client) = rig.pair();
    let (mut here, mut client) = rig.pair();
    assert_pending(rig.recv(&mut gone));
    assert_pending(rig.recv(&mut here));
    rig.memories.remove(&gone.key);
    its_client.write_all(b"for nobody").expect("a connection");
    client.write_all(b"here").expect("a connection");
    let Completion::Recv { key, .. } = rig.wait() else { panic!("no recv") };
    assert_eq!(key, here.key);
    assert!(rig.poll().is_empty());
}

#[test]
fn the_completion_of_an_operation_of_somebody_else_is_dropped() {
    let mut rig = Rig::new(options());
    let (connection, mut client) = rig.pair();
    let theirs: &'static SocketMemory = Box::leak(Box::new(SocketMemory::new()));
    let (mut io, key, raw) = (connection.io, connection.key, connection.raw());
    assert_pending(rig.backend.recv(&mut io, theirs, key, raw, &mut rig.pool));
    client.write_all(b"theirs").expect("a connection");
    // It is there, and is nothing for us.
    rig.backend.wait(Some(LONG), &mut rig.pool).expect("a wait");
    assert_eq!(rig.backend.found, 1);
    assert!(rig.next().is_none());
}

#[test]
#[should_panic(expected = "a second operation")]
fn a_second_recv_asserts() {
    let mut rig = Rig::new(options());
    let (mut connection, _client) = rig.pair();
    assert_pending(rig.recv(&mut connection));
    let _ = rig.recv(&mut connection);
}

#[test]
fn who_cancelled_decides_what_an_error_means() {
    use memory::{State, result_of};
    for status in [STATUS_CANCELLED, STATUS_CONNECTION_RESET, STATUS_CONNECTION_ABORTED] {
        assert_eq!(result_of(status, 0, State::Cancelling), Err(Failure::Cancelled));
        // What was moved counts, cancelled or not.
        assert_eq!(result_of(status, 5, State::Cancelling), Ok(5));
        assert_eq!(result_of(status, 5, State::Pending), Ok(5));
    }
    assert_eq!(result_of(STATUS_SUCCESS, 0, State::Cancelling), Ok(0));
    assert_eq!(result_of(STATUS_INSUFFICIENT_RESOURCES, 0, State::Pending), Err(Failure::Shortage));
    let os = |code: u32| Err(Failure::Os(code as i32));
    assert_eq!(result_of(STATUS_CANCELLED, 0, State::Pending), os(ERROR_OPERATION_ABORTED));
    assert!(crate::sys::was_given_up(ERROR_OPERATION_ABORTED as i32));
    assert_eq!(result_of(STATUS_CONNECTION_RESET, 0, State::Pending), os(ERROR_NETNAME_DELETED));
    assert_eq!(result_of(STATUS_CONNECTION_ABORTED, 0, State::Pending), os(ERROR_CONNECTION_ABORTED));
    for closed in [ERROR_NETNAME_DELETED, ERROR_CONNECTION_ABORTED, ERROR_HANDLES_CLOSED] {
        assert!(crate::sys::hints_at_close(closed as i32));
    }
}
