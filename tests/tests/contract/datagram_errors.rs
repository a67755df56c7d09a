//! An error on a datagram socket is that of its operation alone, and the socket goes on.

use socket_iocp::{ErrorCode, Port, SendBuffer};
use socket_iocp_testkit::{Event, Lab, Probe, TestFile, on_every_backend};
use std::time::Duration;

on_every_backend!(
    one_that_is_too_long_is_refused_alone,
    one_without_an_address_is_refused_alone,
    what_the_net_answers_is_told_to_a_recv,
    what_the_net_answers_is_told_to_a_send,
    a_socket_of_another_kind_is_not_added,
    a_datagram_socket_is_no_stream,
);

/// The results of the sends so far, when there are so many.
fn results(port: &Port<Probe>, count: usize) -> Vec<(u64, Result<(), ErrorCode>)> {
    let sent = port.handler().wait_for_count("sends", count, |event| event.sent().is_some());
    let results = sent.iter().filter_map(Event::sent);
    results.map(|(write, result)| (write, result.map_err(|error| error.code()))).collect()
}

fn one_that_is_too_long_is_refused_alone(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    let to = correspondent.address();
    port.send_to(handle, to, &b"before"[..], 1).expect("a socket");
    port.send_to(handle, to, vec![0; 70_000], 2).expect("a socket");
    port.sync_send_to(handle, to, vec![0; 5_000_000], 3).expect("a socket");
    port.send_to(handle, to, &b"after"[..], 4).expect("a socket");
    assert_eq!(correspondent.receive().0, b"before");
    assert_eq!(correspondent.receive().0, b"after");
    let too_long = Err(ErrorCode::MessageSize);
    assert_eq!(results(&port, 4), [(1, Ok(())), (2, too_long), (3, too_long), (4, Ok(()))]);
    let bytes: Vec<_> = port.handler().log().iter().filter_map(bytes_of).collect();
    assert_eq!(bytes, [6, 0, 0, 5]);
}

fn bytes_of(event: &Event) -> Option<usize> {
    match event {
        Event::Sent { bytes, .. } => Some(*bytes),
        _ => None,
    }
}

fn one_without_an_address_is_refused_alone(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.send(handle, &b"to whom?"[..], 1).expect("a socket");
    port.sync_send(handle, &b"to whom?"[..], 2).expect("a socket");
    port.send_to(handle, correspondent.address(), &b"to you"[..], 3).expect("a socket");
    assert_eq!(correspondent.receive().0, b"to you");
    let nowhere = Err(ErrorCode::NotConnected);
    assert_eq!(results(&port, 3), [(1, nowhere), (2, nowhere), (3, Ok(()))]);
}

fn what_the_net_answers_is_told_to_a_recv(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let gone = lab.correspondent().address();
    let (socket, _) = lab.datagram_socket(Some(gone));
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    for round in 0..3 {
        port.recv(handle).expect("the socket goes on");
        port.send(handle, &b"anybody there?"[..], round).expect("the socket goes on");
        let refused = |event: &Event| {
            event.mail().is_some_and(|mail| mail.is_err_and(|error| error.code() == ErrorCode::Refused))
        };
        port.handler().wait_for_count("the answer", round as usize + 1, refused);
    }
    assert_eq!(results(&port, 3), [(0, Ok(())), (1, Ok(())), (2, Ok(()))]);
    port.close(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_end(handle).0, Ok(()));
}

fn what_the_net_answers_is_told_to_a_send(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let gone = lab.correspondent().address();
    let (socket, _) = lab.datagram_socket(Some(gone));
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    // The answer to the first is there at once, on loopback.
    for (write, expected) in [(1, Ok(())), (2, Err(ErrorCode::Refused)), (3, Ok(())), (4, Err(ErrorCode::Refused))] {
        port.send(handle, &b"anybody there?"[..], write).expect("the socket goes on");
        assert_eq!(results(&port, write as usize).last(), Some(&(write, expected)));
    }
    port.close(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_end(handle).0, Ok(()));
}

fn a_socket_of_another_kind_is_not_added(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (connected, _client) = lab.pair();
    for socket in [connected, lab.listen().0, lab.unconnected()] {
        let number = socket.as_raw();
        let refused = port.add_datagram(socket, 9).expect_err("a stream socket");
        let told = (refused.error.code(), refused.state, refused.socket.as_raw());
        assert_eq!(told, (ErrorCode::NotDatagram, 9, number));
    }
    let kept = port.clone();
    port.delete();
    let refused = kept.add_datagram(lab.datagram_socket(None).0, 9).expect_err("a deleted port");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Closed, 9));
}

fn a_datagram_socket_is_no_stream(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let to = lab.correspondent().address();
    let socket = || lab.datagram_socket(Some(to)).0;
    let refusals = [
        port.add_connected(socket(), 0).map_err(|refused| refused.error.code()),
        port.connect(socket(), &to.into(), 0).map_err(|refused| refused.error.code()),
    ];
    assert_eq!(refusals, [Err(ErrorCode::NotStream); 2]);
    let listener = port.add_listener(socket(), 1, 0).map_err(|refused| refused.error.code());
    assert_eq!(listener, Err(ErrorCode::NotStream));
    let handle = port.add_datagram(socket(), 0).expect("a datagram socket");
    assert_eq!(port.shutdown_send(handle).map_err(|error| error.code()), Err(ErrorCode::NotStream));
    let content = TestFile::new(10);
    let file = port.send_file(handle, content.open(), .., 7).expect_err("a stream's");
    assert_eq!((file.error.code(), file.write), (ErrorCode::NotStream, 7));
    let Ok(range) = SendBuffer::from_file(file.buffer, 2..) else { panic!("a file") };
    let range = port.send_within(handle, range, 8, Duration::from_secs(1)).expect_err("a stream's");
    assert_eq!((range.error.code(), range.write, range.buffer.into_file().is_ok()), (ErrorCode::NotStream, 8, true));
    port.abort(handle).expect("an open socket");
    port.handler().wait_for_farewell(handle).expect_err("an abort");
    assert_eq!(port.shutdown_send(handle).map_err(|error| error.code()), Err(ErrorCode::Closed));
    let dead = port.send_to(handle, to, &b"no"[..], 1).map_err(|rejected| rejected.error.code());
    assert_eq!(dead, Err(ErrorCode::Closed));
}
