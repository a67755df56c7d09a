//! One recv gives one callback with 1 to `read_buffer_size` bytes; what comes before a recv is issued is not lost.

use socket_iocp::{Error, ErrorCode, Port};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};

on_every_backend!(
    one_recv_one_callback_of_at_most_a_buffer,
    input_before_the_first_recv_is_not_lost,
    input_between_two_recvs_is_not_lost,
    input_before_the_socket_was_added_is_not_lost,
    a_second_recv_is_busy,
    a_recv_in_its_own_callback_is_not_busy,
);

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn one_recv_one_callback_of_at_most_a_buffer(lab: &Lab) {
    for size in [1, 2, 1000, 4096, 65_537] {
        let port = Port::new(Probe::silent(), lab.options_with(size).threads(1)).expect("a port");
        assert_eq!(port.read_buffer_size(), size);
        let (socket, mut client) = lab.pair();
        let socket = port.add_connected(socket, 1).expect("a connected socket");
        let sent = numbered((3 * size).min(60_000));
        client.write_all(&sent).expect("room in the kernel");
        let mut brought = Vec::new();
        let mut callbacks = 0;
        while brought.len() < sent.len() {
            port.recv(socket).expect("none is outstanding");
            callbacks += 1;
            let received =
                port.handler().wait_for_count("a recv", callbacks, |event| matches!(event, Event::Received { .. }));
            assert_eq!(received.len(), callbacks, "more callbacks than recvs");
            let Event::Received { result: Ok(bytes), .. } = &received[callbacks - 1] else { panic!("{received:?}") };
            assert!((1..=size).contains(&bytes.len()), "{} bytes in a buffer of {size}", bytes.len());
            brought.extend_from_slice(bytes);
        }
        assert!(brought == sent, "the bytes are not those sent, at a buffer size of {size}");
    }
}

fn input_before_the_first_recv_is_not_lost(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let sent = numbered(20_000);
    client.write_all(&sent).expect("room in the kernel");
    assert_eq!(port.handler().log(), [], "a callback with no recv issued");
    port.recv(socket).expect("a first recv");
    assert!(port.handler().wait_for_bytes(socket, sent.len()) == sent);
}

fn input_between_two_recvs_is_not_lost(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let mut sent = Vec::new();
    for round in 0..200u8 {
        // Some before the recv, some after: the worker is asleep, or busy, or about to sleep.
        client.write_all(&[round]).expect("a live connection");
        port.recv(socket).expect("none is outstanding");
        sent.push(round);
        port.handler()
            .wait_for_count("a recv", usize::from(round) + 1, |event| matches!(event, Event::Received { .. }));
    }
    assert_eq!(port.handler().wait_for_bytes(socket, sent.len()), sent);
}

fn input_before_the_socket_was_added_is_not_lost(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    client.write_all(b"early").expect("a live connection");
    client.shutdown_write();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    assert_eq!(port.handler().wait_for_bytes(socket, 5), b"early");
    port.handler().wait_for("the FIN", |log| {
        log.iter()
            .any(|event| matches!(event, Event::Received { result: Ok(bytes), .. } if bytes.is_empty()))
            .then_some(())
    });
}

fn a_second_recv_is_busy(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    for _ in 0..3 {
        assert_eq!(port.recv(socket), Err(Error::new(ErrorCode::Busy)));
    }
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(socket, 1), b"x");
    // It has been reported, once: the next is granted and brings the next byte.
    port.recv(socket).expect("none is outstanding");
    assert_eq!(port.recv(socket), Err(Error::new(ErrorCode::Busy)));
    client.write_all(b"y").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(socket, 2), b"xy");
    let received = port.handler().log();
    assert_eq!(received.len(), 2, "{received:?}");
}

fn a_recv_in_its_own_callback_is_not_busy(lab: &Lab) {
    let (sender, answers) = std::sync::mpsc::channel();
    let probe = Probe::reacting(move |_, context, event| {
        if let (Some(context), Event::Received { .. }) = (context, event) {
            sender.send([context.recv(), context.recv()]).expect("the test waits");
        }
        None
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    port.handler().wait_for_bytes(socket, 1);
    let answer = answers.recv_timeout(socket_iocp_testkit::BOUND).expect("a callback");
    assert_eq!(answer, [Ok(()), Err(Error::new(ErrorCode::Busy))]);
}
