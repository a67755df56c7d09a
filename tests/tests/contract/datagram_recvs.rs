//! One recv of a datagram socket brings one datagram, whatever its length, and tells where it came from.

use socket_iocp::{ErrorCode, Port, SocketHandle};
use socket_iocp_testkit::{Event, Lab, Mail, Probe, on_every_backend};
use std::time::Duration;

on_every_backend!(
    one_recv_is_one_datagram,
    one_of_no_bytes_is_no_end,
    one_that_is_longer_than_the_buffer_is_truncated,
    a_second_recv_is_busy,
    a_recv_is_cancelled_and_the_socket_goes_on,
    a_recv_times_out_and_the_socket_goes_on,
    a_timer_is_as_on_any_socket,
    what_a_connected_one_receives_comes_from_there,
);

fn mails(port: &Port<Probe>, count: usize) -> Vec<Mail> {
    let all = port.handler().wait_for_count("datagrams", count, |event| event.mail().is_some_and(|mail| mail.is_ok()));
    all.iter().filter_map(Event::mail).filter_map(Result::ok).collect()
}

/// The code that the first recv which brings nothing ends with.
fn failure(port: &Port<Probe>, socket: SocketHandle) -> ErrorCode {
    port.handler().wait_for("a recv that brings nothing", |log| {
        let own = log.iter().filter(|event| event.handle() == Some(socket));
        own.filter_map(Event::mail).find_map(Result::err).map(|error| error.code())
    })
}

fn one_recv_is_one_datagram(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let (first, second) = (lab.correspondent(), lab.correspondent());
    let handle = port.add_datagram(socket, 7).expect("a datagram socket");
    first.send_to(b"one", address);
    first.send_to(b"and two", address);
    port.recv(handle).expect("a datagram socket");
    assert_eq!(mails(&port, 1)[0].bytes, b"one");
    port.recv(handle).expect("a datagram socket");
    mails(&port, 2);
    port.recv(handle).expect("a datagram socket");
    second.send_to(&[3; 4096], address);
    let expected = [(&b"one"[..], first.address()), (b"and two", first.address()), (&[3; 4096], second.address())];
    let expected =
        expected.map(|(bytes, sender)| Mail { bytes: bytes.to_vec(), sender, truncated: false, segment_size: 0 });
    assert_eq!(mails(&port, 3), expected);
    let states = port.handler().count(|event| matches!(event, Event::Datagram { state: 7, .. }));
    let statistics = port.statistics();
    assert_eq!((states, statistics.recvs, statistics.received_bytes), (3, 3, 4106));
}

fn one_of_no_bytes_is_no_end(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    for bytes in [&b""[..], b"", b"x", b""] {
        correspondent.send_to(bytes, address);
    }
    let received: Vec<_> = mails(&port, 4).into_iter().map(|mail| mail.bytes).collect();
    assert_eq!(received, [&b""[..], b"", b"x", b""]);
}

fn one_that_is_longer_than_the_buffer_is_truncated(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options_with(16)).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    // Those that are there when the recv is issued, and those that it waits for.
    correspondent.send_to(&[1; 40], address);
    correspondent.send_to(&[2; 16], address);
    port.recv(handle).expect("a datagram socket");
    mails(&port, 2);
    for (value, len) in [(3, 17), (4, 15), (5, 60_000), (6, 0)] {
        correspondent.send_to(&vec![value; len], address);
    }
    let received: Vec<_> = mails(&port, 6).into_iter().map(|mail| (mail.bytes, mail.truncated)).collect();
    let expected = [(1, 16, true), (2, 16, false), (3, 16, true), (4, 15, false), (5, 16, true), (6, 0, false)];
    assert_eq!(received, expected.map(|(value, len, truncated)| (vec![value; len], truncated)));
}

fn a_second_recv_is_busy(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    assert_eq!(port.recv(handle).map_err(|error| error.code()), Err(ErrorCode::Busy));
}

fn a_recv_is_cancelled_and_the_socket_goes_on(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    assert_eq!(port.cancel_recv(handle).map_err(|error| error.code()), Err(ErrorCode::NotOutstanding));
    port.recv(handle).expect("a datagram socket");
    port.cancel_recv(handle).expect("a recv is outstanding");
    assert_eq!(failure(&port, handle), ErrorCode::Cancelled);
    port.recv(handle).expect("a datagram socket");
    lab.correspondent().send_to(b"still here", address);
    assert_eq!(mails(&port, 1)[0].bytes, b"still here");
}

fn a_recv_times_out_and_the_socket_goes_on(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv_within(handle, Duration::from_millis(20)).expect("a datagram socket");
    assert_eq!(failure(&port, handle), ErrorCode::TimedOut);
    port.recv_within(handle, Duration::from_secs(600)).expect("a datagram socket");
    lab.correspondent().send_to(b"in time", address);
    assert_eq!(mails(&port, 1)[0].bytes, b"in time");
}

fn a_timer_is_as_on_any_socket(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 5).expect("a datagram socket");
    port.timer(handle, Duration::from_millis(5)).expect("no other timer");
    port.handler()
        .wait_for_count("the timer", 1, |event| matches!(event, Event::Timer { state: 5, result: Ok(()), .. }));
}

fn what_a_connected_one_receives_comes_from_there(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (friend, stranger) = (lab.correspondent(), lab.correspondent());
    let (socket, address) = lab.datagram_socket(Some(friend.address()));
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    stranger.send_to(b"from a stranger", address);
    friend.send_to(b"from a friend", address);
    let first = mails(&port, 1).remove(0);
    assert_eq!((first.bytes.as_slice(), first.sender), (&b"from a friend"[..], friend.address()));
}
