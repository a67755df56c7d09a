//! Several datagrams in one send, which the system cuts apart, and in one recv, which it has put together.

use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};

on_every_backend!(one_send_is_several_datagrams, what_cannot_be_cut_is_refused, one_recv_is_several_datagrams);

fn one_send_is_several_datagrams(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    let to = correspondent.address();
    let bytes: Vec<u8> = (0..250).collect();
    let issued = port.send_segments_to(handle, to, 100, bytes.clone(), 1);
    if cfg!(not(target_os = "linux")) {
        let refused = issued.expect_err("not to be had here");
        assert_eq!((refused.error.code(), refused.buffer.len()), (ErrorCode::Unsupported, 250));
        return;
    }
    issued.expect("a socket");
    // One that needs no cut, one that comes out even, and none at all.
    port.send_segments_to(handle, to, 100, &b"short"[..], 2).expect("a socket");
    port.send_segments_to(handle, to, 2, &b"even"[..], 3).expect("a socket");
    port.send_segments_to(handle, to, 2, &b""[..], 4).expect("a socket");
    port.send_to(handle, to, &b"whole"[..], 5).expect("a socket");
    for segment in bytes.chunks(100).chain([&b"short"[..], b"ev", b"en", b"", b"whole"]) {
        assert_eq!(correspondent.receive(), (segment.to_vec(), address));
    }
    let sent = port.handler().wait_for_count("the sends", 5, |event| event.sent().is_some());
    let sent: Vec<_> = sent.iter().filter_map(Event::sent).collect();
    assert_eq!(sent, [(1, Ok(())), (2, Ok(())), (3, Ok(())), (4, Ok(())), (5, Ok(()))]);
    assert_eq!(port.statistics().sent_bytes, 264);
}

fn what_cannot_be_cut_is_refused(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let handle = port.add_datagram(lab.datagram_socket(None).0, 0).expect("a datagram socket");
    let to = lab.correspondent().address();
    let refused = port.send_segments_to(handle, to, 0, &b"bytes"[..], 7).expect_err("segments of nothing");
    assert_eq!((refused.error.code(), refused.write), (ErrorCode::InvalidArgument, 7));
    let (stream, _client) = lab.pair();
    let stream = port.add_connected(stream, 0).expect("a connected socket");
    let refused = port.send_segments_to(stream, to, 10, &b"bytes"[..], 7).expect_err("a stream");
    assert_eq!(refused.error.code(), ErrorCode::NotDatagram);
    if cfg!(target_os = "linux") {
        // The limit of some kernels is 64, that of others 128.
        port.send_segments_to(handle, to, 1, vec![0; 500], 8).expect("a socket");
        let sent = port.handler().wait_for_count("the send", 1, |event| event.sent().is_some());
        let (write, result) = sent[0].sent().expect("asked for");
        assert_eq!((write, result.map_err(|error| error.code())), (8, Err(ErrorCode::InvalidArgument)));
    }
}

/// On Linux, where the program has asked for it.
fn one_recv_is_several_datagrams(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options_with(1 << 16)).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let together = coalesce(lab, &socket);
    let (other, sender) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    let other = port.add_datagram(other, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    if port.send_segments_to(other, address, 100, vec![7; 950], 0).is_err() {
        return;
    }
    port.send_to(other, address, vec![8; 100], 1).expect("a socket");
    let expected: Vec<_> = if together {
        vec![(950, 100), (100, 0)]
    } else {
        [100; 9].into_iter().chain([50, 100]).map(|len| (len, 0)).collect()
    };
    let is_mail = |event: &Event| event.mail().is_some_and(|mail| mail.is_ok());
    let received = port.handler().wait_for_count("datagrams", expected.len(), is_mail);
    let received = received.iter().filter_map(Event::mail).filter_map(Result::ok);
    let told: Vec<_> = received
        .map(|mail| {
            assert_eq!((mail.sender, mail.truncated), (sender, false));
            (mail.bytes.len(), mail.segment_size)
        })
        .collect();
    assert_eq!(told, expected);
}

/// Asks the system to put datagrams together; whether it will.
#[cfg(target_os = "linux")]
fn coalesce(lab: &Lab, socket: &socket_iocp::Socket) -> bool {
    lab.network().is_none() && socket_iocp_testkit::platform::coalesce_datagrams(socket.as_raw())
}

#[cfg(not(target_os = "linux"))]
fn coalesce(_: &Lab, _: &socket_iocp::Socket) -> bool {
    false
}
