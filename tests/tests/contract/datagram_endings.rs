//! A datagram socket ends as any other, but that it waits for no peer: its farewell comes once, last.

use socket_iocp::{ErrorCode, Port, Socket};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::time::Duration;

on_every_backend!(
    close_sends_what_is_queued,
    close_ends_a_recv,
    abort_cancels,
    remove_hands_the_socket_back,
    delete_ends_it,
    a_shutdown_closes_one_that_has_nothing_to_send,
    the_idle_timeout_is_not_for_it,
    a_panic_in_its_callback_ends_it,
    its_place_is_a_streams_again,
    it_counts_for_the_limit_of_sockets,
);

fn close_sends_what_is_queued(lab: &Lab) {
    // An hour of linger: nothing is waited for.
    let port = Port::new(Probe::silent(), lab.options().linger(Duration::from_secs(3600))).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    for write in 0..40_u8 {
        port.send_to(handle, correspondent.address(), vec![write], write.into()).expect("a socket");
    }
    port.close(handle).expect("an open socket");
    let refused = port.send_to(handle, correspondent.address(), &b"late"[..], 99).expect_err("it closes");
    assert_eq!((refused.error.code(), refused.write), (ErrorCode::Closed, 99));
    for write in 0..40 {
        assert_eq!(correspondent.receive(), (vec![write], address));
    }
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason, Ok(()));
    let sent: Vec<_> = history.iter().filter_map(Event::sent).collect();
    assert_eq!(sent, (0..40).map(|write| (write, Ok(()))).collect::<Vec<_>>());
}

fn close_ends_a_recv(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(Duration::from_secs(3600))).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    port.close(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_end(handle), (Ok(()), vec![]));
    assert_eq!(port.recv(handle).map_err(|error| error.code()), Err(ErrorCode::Closed));
}

fn abort_cancels(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    port.abort(handle).expect("an open socket");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!((reason.map_err(|error| error.code()), history), (Err(ErrorCode::Cancelled), vec![]));
}

fn remove_hands_the_socket_back(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let number = socket.as_raw();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    port.remove(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_end(handle), (Ok(()), vec![]));
    let returned = port.handler().take_returned();
    assert_eq!(returned.iter().map(Socket::as_raw).collect::<Vec<_>>(), [number]);
}

fn delete_ends_it(lab: &Lab) {
    for _ in 0..10 {
        let port = Port::new(Probe::silent(), lab.options()).expect("a port");
        let kept = port.clone();
        let correspondent = lab.correspondent();
        let handles: Vec<_> = (0..4)
            .map(|_| {
                let handle = port.add_datagram(lab.datagram_socket(None).0, 0).expect("a datagram socket");
                port.recv(handle).expect("a datagram socket");
                port.send_to(handle, correspondent.address(), &b"perhaps"[..], 1).expect("a socket");
                handle
            })
            .collect();
        port.delete();
        for handle in handles {
            let (reason, history) = kept.handler().wait_for_end(handle);
            assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
            assert_eq!(history.iter().filter(|event| event.sent().is_some()).count(), 1);
        }
    }
}

fn a_shutdown_closes_one_that_has_nothing_to_send(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let kept = port.clone();
    let waiting = port.add_datagram(lab.datagram_socket(None).0, 0).expect("a datagram socket");
    port.recv(waiting).expect("a datagram socket");
    let quiet = port.add_datagram(lab.datagram_socket(None).0, 0).expect("a datagram socket");
    let ended = port.shutdown(Duration::from_secs(3600));
    assert_eq!((ended.finished, ended.aborted, ended.pending), (2, 0, 0));
    for handle in [waiting, quiet] {
        assert_eq!(kept.handler().wait_for_end(handle), (Ok(()), vec![]));
    }
}

/// That of a connection has passed when it has ended.
fn the_idle_timeout_is_not_for_it(lab: &Lab) {
    let options = lab.options().threads(1).idle_timeout(Duration::from_millis(40));
    let port = Port::new(Probe::reader(), options).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    for _ in 0..3 {
        let (connection, _client) = lab.pair();
        let connection = port.add_connected(connection, 0).expect("a connected socket");
        port.recv(connection).expect("a connected socket");
        let reason = port.handler().wait_for_farewell(connection);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    }
    lab.correspondent().send_to(b"still here", address);
    port.handler().wait_for_count("a datagram", 1, |event| event.mail().is_some_and(|mail| mail.is_ok()));
}

fn a_panic_in_its_callback_ends_it(lab: &Lab) {
    let probe = Probe::reacting(|_, _, event| {
        assert!(event.mail().is_none(), "a panic on purpose");
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    lab.correspondent().send_to(b"boom", address);
    let (reason, _) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Panic));
}

/// Sockets of both kinds, one after the other in the same slots.
fn its_place_is_a_streams_again(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options().threads(1).max_sockets(1)).expect("a port");
    let free = || {
        while port.statistics().sockets_now != 0 {
            std::thread::yield_now();
        }
    };
    for _ in 0..20 {
        let (socket, address) = lab.datagram_socket(None);
        let correspondent = lab.correspondent();
        let handle = port.add_datagram(socket, 0).expect("a datagram socket");
        port.recv(handle).expect("a datagram socket");
        port.sync_send_to(handle, correspondent.address(), &b"hello"[..], 0).expect("a socket");
        assert_eq!(correspondent.receive(), (b"hello".to_vec(), address));
        port.close(handle).expect("an open socket");
        free();
        let (connection, mut client) = lab.pair();
        let connection = port.add_connected(connection, 0).expect("a connected socket");
        port.sync_send(connection, &b""[..], 0).expect("a connected socket");
        port.send(connection, &b"hello"[..], 0).expect("a connected socket");
        assert_eq!(client.read_exact(5).expect("the send"), b"hello");
        port.shutdown_send(connection).expect("a stream");
        port.abort(connection).expect("an open socket");
        free();
    }
}

fn it_counts_for_the_limit_of_sockets(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_sockets(1)).expect("a port");
    let first = port.add_datagram(lab.datagram_socket(None).0, 0).expect("a datagram socket");
    let refused = port.add_datagram(lab.datagram_socket(None).0, 5).expect_err("one above the limit");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Limit, 5));
    port.close(first).expect("an open socket");
    while port.statistics().sockets_now != 0 {
        std::thread::yield_now();
    }
    port.add_datagram(lab.datagram_socket(None).0, 0).expect("room again");
}
