//! A send of several buffers is one send: one completion, its bytes in their order and nothing in between, also where the
//! system takes it in part; refused, it gives them back.

use socket_iocp::{ErrorCode, Handler, Port, PortHandle, SendBuffer, SocketHandle};
use socket_iocp_testkit::{BOUND, Client, Event, GivesBack, Lab, Probe, on_every_backend};
use std::sync::Arc;
use std::thread;

on_every_backend!(
    header_and_body_are_one_completion,
    threads_do_not_come_between,
    one_that_is_sent_in_parts_goes_on,
    as_many_buffers_as_there_may_be,
    buffers_of_nothing,
    what_is_refused_comes_back,
    the_limit_of_bytes_counts_all_buffers,
    a_cancelled_one_reports_what_went,
    the_buffers_come_back_and_go_again,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

fn added<H: Handler<Socket = S>, S>(lab: &Lab, port: &PortHandle<H>, state: S) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, state).map_err(|refused| refused.error).expect("a connected socket"), client)
}

/// The writes and bytes of the sends reported, all of them successes.
fn wait_for_sends(port: &PortHandle<Probe>, count: usize) -> Vec<(u64, usize)> {
    let sends = port.handler().wait_for_count("the sends", count, |event| matches!(event, Event::Sent { .. }));
    let one = |event: &Event| match event {
        Event::Sent { write, result: Ok(()), bytes, .. } => (*write, *bytes),
        other => panic!("{other:?}"),
    };
    sends.iter().map(one).collect()
}

fn header_and_body_are_one_completion(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    let body: Arc<[u8]> = Arc::from(&b"body"[..]);
    for write in 0..100 {
        let parts = [SendBuffer::from(format!("{write:03}: ")), body.clone().into()];
        port.send_vectored(socket, parts, write).expect("a live socket");
        port.send(socket, b"\n", 1_000 + write).expect("a live socket");
    }
    let expected: String = (0..100).map(|write| format!("{write:03}: body\n")).collect();
    assert_eq!(client.read_exact(expected.len()).expect("the bytes"), expected.as_bytes());
    let reports: Vec<(u64, usize)> = (0..100).flat_map(|write| [(write, 9), (1_000 + write, 1)]).collect();
    assert_eq!(wait_for_sends(&port, 200), reports);
    port.delete();
    assert_eq!(Arc::strong_count(&body), 1, "the library has let go of it");
}

fn threads_do_not_come_between(lab: &Lab) {
    const THREADS: u8 = 4;
    const SENDS: usize = 300;
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    // Each send is its thread's number, how many bytes follow, and these, in three buffers.
    let issuers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let port = PortHandle::clone(&port);
            thread::spawn(move || {
                for send in 0..SENDS {
                    let len = send % 200;
                    let parts = [vec![thread, len as u8], vec![thread; len / 2], vec![thread; len - len / 2]];
                    port.send_vectored(socket, parts.map(SendBuffer::from), send as u64).expect("a live socket");
                }
            })
        })
        .collect();
    for _ in 0..usize::from(THREADS) * SENDS {
        let head = client.read_exact(2).expect("a header");
        let body = client.read_exact(head[1].into()).expect("a body");
        assert!(head[0] < THREADS && body.iter().all(|byte| *byte == head[0]), "{head:?} {body:?}");
    }
    issuers.into_iter().for_each(|issuer| issuer.join().expect("every send is accepted"));
    wait_for_sends(&port, usize::from(THREADS) * SENDS);
}

/// The byte at this place of a stream.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// The pattern from a place on, as buffers of these lengths.
fn patterned(start: usize, lens: &[usize]) -> Vec<SendBuffer> {
    let mut at = start;
    let mut part = |len: &usize| {
        at += len;
        (at - len..at).map(pattern).collect::<Vec<u8>>().into()
    };
    lens.iter().map(&mut part).collect()
}

fn check_pattern(client: &mut Client, total: usize) {
    let mut at = 0;
    while at < total {
        let bytes = client.read_exact((total - at).min(100_003)).expect("the bytes");
        assert!((at..).zip(&bytes).all(|(at, byte)| pattern(at) == *byte), "wrong bytes from {at} on");
        at += bytes.len();
    }
}

fn one_that_is_sent_in_parts_goes_on(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    let lens = [1, 3 << 20, 0, 7, 64 << 10, 5 << 20, 2];
    let each: usize = lens.iter().sum();
    for write in 0..4 {
        port.send_vectored(socket, patterned(write * each, &lens), write as u64).expect("a live socket");
    }
    check_pattern(&mut client, 4 * each);
    assert_eq!(wait_for_sends(&port, 4), [0, 1, 2, 3].map(|write| (write, each)));
}

fn as_many_buffers_as_there_may_be(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    // The others wait in the queue, so that several share a call of the system, which takes no more buffers than one of them.
    port.send(socket, vec![7; LARGE_BYTES], 0).expect("a live socket");
    let (mut at, mut reports) = (0, vec![(0, LARGE_BYTES)]);
    for write in 1..=200 {
        let count = (write * 7) % SendBuffer::MAX_PARTS + 1;
        port.send_vectored(socket, patterned(at, &vec![3; count]), write as u64).expect("a live socket");
        at += 3 * count;
        reports.push((write as u64, 3 * count));
    }
    assert_eq!(client.read_exact(LARGE_BYTES).expect("the bytes")[0], 7);
    check_pattern(&mut client, at);
    assert_eq!(wait_for_sends(&port, 201), reports);
}

fn buffers_of_nothing(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    port.send_vectored(socket, Vec::new(), 1).expect("no buffers");
    port.send_vectored(socket, [SendBuffer::default(), b"".into()], 2).expect("no bytes");
    port.send(socket, b"a", 3).expect("a live socket");
    port.send_vectored(socket, [b"".into(), SendBuffer::from(b"b"), b"".into()], 4).expect("a live socket");
    port.send_vectored(socket, [SendBuffer::default()], 5).expect("no bytes");
    assert_eq!(client.read_exact(2).expect("the bytes"), b"ab");
    assert_eq!(wait_for_sends(&port, 5), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 0)]);
}

fn what_is_refused_comes_back(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_queued_sends(1)).expect("a port");
    let (socket, _client) = added(lab, &port, 1);
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    let vectors = [vec![1, 2, 3], vec![4]];
    let places = vectors.each_ref().map(|vector| vector.as_ptr());
    let mut parts = vectors.map(SendBuffer::from);
    let mut refuse = |code| {
        let given = std::mem::take(&mut parts);
        let rejected = port.send_vectored(socket, given, 42).expect_err("a refusal");
        assert_eq!((rejected.error.code(), rejected.write), (code, 42));
        parts = rejected.buffer;
    };
    refuse(ErrorCode::QueueFull);
    port.shutdown_send(socket).expect("a live socket");
    refuse(ErrorCode::Shutdown);
    port.abort(socket).expect("a live socket");
    port.handler().wait_for_farewell(socket).expect_err("an abort");
    refuse(ErrorCode::Closed);
    let back = parts.map(|part| part.into_vec().expect("a vector"));
    assert_eq!((&back, back.each_ref().map(|vector| vector.as_ptr())), (&[vec![1, 2, 3], vec![4]], places));

    // Too many is too many, whatever they hold.
    let (socket, mut client) = added(lab, &port, 1);
    let mut many: Vec<SendBuffer> = (0..=SendBuffer::MAX_PARTS).map(|_| b"x".into()).collect();
    let rejected = port.send_vectored(socket, &mut many, 43).expect_err("one too many");
    assert_eq!(rejected.error.code(), ErrorCode::InvalidArgument);
    assert!(many.iter().all(|part| part.as_slice() == Some(b"x")));
    port.send_vectored(socket, &mut many[1..], 44).expect("as many as there may be");
    assert_eq!(client.read_exact(SendBuffer::MAX_PARTS).expect("the bytes"), [b'x'; SendBuffer::MAX_PARTS]);
    assert_eq!((many[0].len(), many[1].len()), (1, 0), "what was accepted is taken");
}

fn the_limit_of_bytes_counts_all_buffers(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_queued_bytes(10)).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    let parts = |last: &'static [u8]| [SendBuffer::from(b"12345"), SendBuffer::from(last)];
    let rejected = port.send_vectored(socket, parts(b"678901"), 1).expect_err("above the limit");
    assert_eq!(rejected.error.code(), ErrorCode::QueueFull);
    for write in 2..10 {
        port.send_vectored(socket, parts(b"67890"), write).expect("just the limit");
        assert_eq!(client.read_exact(10).expect("the bytes"), b"1234567890");
        wait_for_sends(&port, write as usize - 1);
    }
}

fn a_cancelled_one_reports_what_went(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    let lens = [LARGE_BYTES / 2, 1, LARGE_BYTES / 2];
    for write in 0..3 {
        port.send_vectored(socket, patterned(0, &lens), write).expect("a live socket");
    }
    check_pattern(&mut client, 1 << 20);
    port.abort(socket).expect("a live socket");
    let (_, before) = port.handler().wait_for_end(socket);
    let bytes: Vec<usize> = before
        .iter()
        .map(|event| match event {
            Event::Sent { result: Err(error), bytes, .. } if error.code() == ErrorCode::Cancelled => *bytes,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(matches!(bytes[..], [first, 0, 0] if first > 0 && first <= LARGE_BYTES), "{bytes:?}");
}

fn the_buffers_come_back_and_go_again(lab: &Lab) {
    let (handler, given_back) = GivesBack::new();
    let port = Port::new(handler, lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, ());
    port.send_vectored(socket, [SendBuffer::from(vec![b'a'; 3]), b"bc".into()], ()).expect("a live socket");
    let buffer = given_back.recv_timeout(BOUND).expect("a report").0;
    assert_eq!(
        (buffer.as_slice(), buffer.len(), buffer.slices().collect::<Vec<_>>()),
        (None, 5, vec![&b"aaa"[..], b"bc"])
    );
    // As one buffer it can be sent again, by either sort of send, but not as one of several.
    let nested = port.send_vectored(socket, [b"x".into(), buffer], ()).expect_err("a buffer of buffers");
    assert_eq!(nested.error.code(), ErrorCode::InvalidArgument);
    let [_, buffer] = nested.buffer;
    port.send(socket, buffer, ()).expect("a live socket");
    port.sync_send(socket, given_back.recv_timeout(BOUND).expect("a report").0, ()).expect("none is outstanding");
    let mut buffer = given_back.recv_timeout(BOUND).expect("a report").0;
    assert_eq!(client.read_exact(15).expect("the bytes"), b"aaabc".repeat(3));
    let parts: Vec<SendBuffer> = buffer.take_parts().collect();
    assert_eq!(parts.iter().map(SendBuffer::as_slice).collect::<Vec<_>>(), [Some(&b"aaa"[..]), Some(b"bc")]);
    assert!(buffer.is_empty() && buffer.slices().all(<[u8]>::is_empty), "{buffer:?}");
    drop(port);
    assert_eq!(parts.into_iter().next().and_then(|part| part.into_vec().ok()), Some(vec![b'a'; 3]));
}
