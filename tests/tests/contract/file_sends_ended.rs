//! Sends from files that do not go to their ends: a file that is too short, or cannot be read, resets its socket; cancels, time
//! limits and endings meet them as they meet other sends.

use super::file_sends::{MEDIUM_BYTES, added, connected, send_file};
use socket_iocp::sim::{Behaviour, Operation};
use socket_iocp::{BackendKind, Error, ErrorCode, Port, PortHandle, SendBuffer, SendFile, SocketHandle};
use socket_iocp_testkit::{Completion, Event, Lab, Probe, TestFile, completions, on_every_backend};
use std::sync::Arc;
use std::time::Duration;

on_every_backend!(
    a_file_that_is_too_short_resets_the_socket,
    a_file_that_cannot_be_read_resets_the_socket,
    a_cancel_ends_it_with_its_part,
    a_time_limit_ends_it_with_its_part,
    a_graceful_close_sends_it_to_its_end,
    a_shutdown_sends_it_to_its_end,
    an_abort_reports_how_far_it_came,
    a_removed_socket_goes_on_where_it_stopped,
    a_delete_reports_every_one,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 16 << 20;

/// Waits for a socket's end by this error, of which these are the sends reported.
fn wait_for_failure(port: &PortHandle<Probe>, socket: SocketHandle) -> (Error, Vec<Completion>) {
    let (reason, before) = port.handler().wait_for_end(socket);
    (reason.expect_err("a failure"), completions(&before))
}

fn a_file_that_is_too_short_resets_the_socket(lab: &Lab) {
    let content = TestFile::new(MEDIUM_BYTES);
    for start in [0, MEDIUM_BYTES - 100, MEDIUM_BYTES, MEDIUM_BYTES + 1] {
        let (port, socket, mut client) = connected(lab);
        let there = MEDIUM_BYTES.saturating_sub(start);
        // What is before it takes until somebody reads.
        port.send(socket, vec![7; LARGE_BYTES], 1).expect("a live socket");
        send_file(&port, socket, content.open(), start as u64..2 * MEDIUM_BYTES as u64, 2);
        port.send(socket, b"never", 3).expect("a live socket");
        let read = client.read_to_reset().expect("a reset, and no end in order");
        let (error, sends) = wait_for_failure(&port, socket);
        assert_eq!((error.code(), error.os_error()), (ErrorCode::FileTooShort, None));
        let short = Some(ErrorCode::FileTooShort);
        assert_eq!(sends, [(1, None, LARGE_BYTES), (2, short, there), (3, Some(ErrorCode::Cancelled), 0)]);
        // A reset may overtake what was before it.
        let mut whole = vec![7; LARGE_BYTES];
        whole.extend(TestFile::bytes(start, there));
        assert!(whole.starts_with(&read), "{} bytes", read.len());
    }
}

fn a_file_that_cannot_be_read_resets_the_socket(lab: &Lab) {
    let content = TestFile::new(100);
    let (port, socket, mut client) = connected(lab);
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("a live socket");
    send_file(&port, socket, content.open_for_writing(), ..50, 2);
    port.send(socket, b"never", 3).expect("a live socket");
    let read = client.read_to_reset().expect("a reset, and no end in order");
    assert!(read.len() <= LARGE_BYTES && read.iter().all(|byte| *byte == 7));
    let (error, sends) = wait_for_failure(&port, socket);
    assert!(error.os_error().is_some(), "{error:?}");
    let cancelled = Some(ErrorCode::Cancelled);
    assert_eq!(sends, [(1, None, LARGE_BYTES), (2, Some(error.code()), 0), (3, cancelled, 0)]);
}

fn a_cancel_ends_it_with_its_part(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let (port, socket, mut client) = connected(lab);
    send_file(&port, socket, content.open(), .., 1);
    TestFile::read_by(&mut client, 0, 1 << 20);
    send_file(&port, socket, content.open(), .., 2);
    send_file(&port, socket, content.open(), 5..9, 3);
    port.cancel_sends(socket, |write| *write < 3).expect("a live socket");
    let all = port.handler().wait_for_sends(2)[..2].to_vec();
    let cancelled = Some(ErrorCode::Cancelled);
    let gone: usize = all.iter().map(|(.., bytes)| bytes).sum();
    assert!(all.iter().all(|(_, code, _)| *code == cancelled), "{all:?}");
    assert!(all.contains(&(2, cancelled, 0)) && (1 << 20..LARGE_BYTES).contains(&gone), "{all:?}");
    // What cannot be cut off a connection ends it there: see `PortHandle::cancel_sends`.
    if lab.kind() == BackendKind::Iocp && port.handler().count(|event| matches!(event, Event::Farewell { .. })) > 0 {
        return;
    }
    TestFile::read_by(&mut client, 1 << 20, gone - (1 << 20));
    TestFile::read_by(&mut client, 5, 4);
    assert_eq!(port.handler().wait_for_sends(3)[2], (3, None, 4));
}

fn a_time_limit_ends_it_with_its_part(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let (port, socket, mut client) = connected(lab);
    let Ok(buffer) = SendBuffer::from_file(content.open(), ..) else { panic!("a file") };
    port.send_within(socket, buffer, 1, Duration::from_millis(30)).expect("a live socket");
    let all = port.handler().wait_for_sends(1);
    assert!(matches!(all[..], [(1, Some(ErrorCode::TimedOut), ..LARGE_BYTES)]), "{all:?}");
    TestFile::read_by(&mut client, 0, all[0].2);
}

fn a_graceful_close_sends_it_to_its_end(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let (port, socket, mut client) = connected(lab);
    send_file(&port, socket, content.open(), .., 1);
    port.send(socket, b"tail", 2).expect("a live socket");
    port.close(socket).expect("a live socket");
    TestFile::read_by(&mut client, 0, LARGE_BYTES);
    assert_eq!(client.read_to_end().expect("the end, in order"), b"tail");
    drop(client);
    port.handler().wait_for_farewell(socket).expect("a close");
    assert_eq!(port.handler().wait_for_sends(2), [(1, None, LARGE_BYTES), (2, None, 4)]);
}

fn a_shutdown_sends_it_to_its_end(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let (port, socket, mut client) = connected(lab);
    send_file(&port, socket, content.open(), .., 1);
    port.shutdown_send(socket).expect("a live socket");
    TestFile::read_by(&mut client, 0, LARGE_BYTES);
    assert_eq!(client.read_to_end().expect("the end, in order"), []);
    assert_eq!(port.handler().wait_for_sends(1), [(1, None, LARGE_BYTES)]);
}

fn an_abort_reports_how_far_it_came(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let (port, socket, mut client) = connected(lab);
    for write in 0..3 {
        send_file(&port, socket, content.open(), .., write);
    }
    TestFile::read_by(&mut client, 0, 1 << 20);
    port.abort(socket).expect("a live socket");
    let (error, sends) = wait_for_failure(&port, socket);
    assert_eq!(error.code(), ErrorCode::Cancelled);
    let cancelled = Some(ErrorCode::Cancelled);
    assert!(matches!(sends[..], [(0, code, first), (1, _, 0), (2, _, 0)] if code == cancelled && first >= 1 << 20));
}

fn a_removed_socket_goes_on_where_it_stopped(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let (port, socket, mut client) = connected(lab);
    send_file(&port, socket, content.open(), .., 1);
    TestFile::read_by(&mut client, 0, 1 << 20);
    port.remove(socket).expect("a live socket");
    port.handler().wait_for_farewell(socket).expect("a removal");
    let all = port.handler().wait_for_sends(1);
    let gone = match all[..] {
        [(1, Some(ErrorCode::Cancelled), gone)] => gone,
        _ => panic!("{all:?}"),
    };
    let returned = port.handler().take_returned().pop().expect("the socket");
    drop(returned);
    TestFile::read_by(&mut client, 1 << 20, gone - (1 << 20));
}

fn a_delete_reports_every_one(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let file = Arc::new(content.open());
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let ends: Vec<_> = (0..20).map(|at| added(lab, &port, at)).collect();
    for (socket, _) in &ends {
        for write in 0..5 {
            port.send_file(*socket, file.clone(), .., write).map_err(|refused| refused.error).expect("a live socket");
        }
    }
    let handle = PortHandle::clone(&port);
    port.delete();
    for (socket, _) in &ends {
        let (error, sends) = wait_for_failure(&handle, *socket);
        assert_eq!(error.code(), ErrorCode::Cancelled);
        assert_eq!(sends.iter().map(|(write, ..)| *write).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }
    assert_eq!(Arc::strong_count(&file), 1);
}

/// No disk fails when a test wants it to; the simulated network's reads do.
#[test]
fn a_read_may_fail_at_any_point() {
    const EIO: i32 = 5;
    const CHUNK: usize = 64 << 10;
    let lab = Lab::sim();
    let network = lab.network().expect("it is one");
    network.set_behaviour(Behaviour {
        partial_send_probability: 0.0,
        short_read_probability: 0.0,
        ..network.behaviour()
    });
    for chunks in 0..5 {
        let (port, socket, mut client) = connected(&lab);
        let file = SendFile::simulated(TestFile::bytes(0, (chunks + 3) * CHUNK));
        port.send_file(socket, file, .., 1).map_err(|refused| refused.error).expect("a live socket");
        TestFile::read_by(&mut client, 0, chunks * CHUNK);
        network.fail_next(Operation::ReadFile, EIO);
        client.read_to_reset().expect("a reset, and no end in order");
        let (error, sends) = wait_for_failure(&port, socket);
        assert_eq!(error.os_error(), Some(EIO));
        assert!(matches!(sends[..], [(1, Some(code), bytes)] if code == error.code() && bytes >= chunks * CHUNK));
    }
}
