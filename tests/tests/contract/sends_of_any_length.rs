//! Any length up to 4 GiB - 1 is sent whole: one completion when every byte is with the system.

use socket_iocp::Port;
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend, platform};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

on_every_backend!(one_vector_shared_by_many_sends, a_partly_sent_one_goes_on);
// Not on the simulated network, which would copy all of it byte for byte.
on_every_backend!(real: the_longest_that_a_dword_can_say);

/// Has a thread read so many bytes, and check each part.
fn reader(mut client: Client, count: usize, check: impl Fn(usize, &[u8]) + Send + 'static) -> JoinHandle<Client> {
    thread::spawn(move || {
        let mut part = vec![0; 1 << 20];
        let mut at = 0;
        while at < count {
            let len = client.read(&mut part).expect("a live connection");
            assert_ne!(len, 0, "the end after {at} bytes");
            check(at, &part[..len]);
            at += len;
        }
        assert_eq!(at, count, "more bytes than were sent");
        client
    })
}

fn one_vector_shared_by_many_sends(lab: &Lab) {
    const PERIOD: usize = 251;
    let (len, sends) = if lab.network().is_some() { (1 << 20, 4) } else { (40 << 20, 8) };
    let len = len / PERIOD * PERIOD;
    let bytes: Arc<Vec<u8>> = Arc::new((0..len).map(|at| (at % PERIOD) as u8).collect());
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let pattern: Vec<u8> = (0..(1 << 20) + PERIOD).map(|at| (at % PERIOD) as u8).collect();
    let reader = reader(client, len * sends, move |at, part| {
        let start = at % PERIOD;
        assert!(part == &pattern[start..start + part.len()], "wrong bytes from {at} on");
    });
    for write in 0..sends {
        port.send(socket, bytes.clone(), write as u64).expect("a live socket");
    }
    reader.join().expect("the right bytes");
    let done = port.handler().wait_for_count("the sends", sends, |event| matches!(event, Event::Sent { .. }));
    for (write, event) in done.iter().enumerate() {
        let Event::Sent { write: number, result, bytes, .. } = event else { unreachable!("only sends were asked for") };
        assert_eq!((*number, *result, *bytes), (write as u64, Ok(()), len));
    }
    port.delete();
    assert_eq!(Arc::strong_count(&bytes), 1, "the library has let go of it");
}

fn a_partly_sent_one_goes_on(lab: &Lab) {
    const LEN: usize = 24 << 20;
    let port = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    let (socket, client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let (other, _other_client) = lab.pair();
    let other = port.add_connected(other, 2).expect("a connected socket");
    port.send(socket, vec![7; LEN], 1).expect("a live socket");
    // Nobody reads: another socket of the worker shows that it has had its turns, and the send is not complete in part.
    for write in 10..30 {
        port.send(other, Vec::new(), write).expect("a live socket");
        port.handler().wait_for_count("a send", 1, |event| event.sent().is_some_and(|(done, _)| done == write));
    }
    assert_eq!(port.handler().history(socket), []);
    let reader =
        reader(client, LEN, |at, part| assert!(part.iter().all(|byte| *byte == 7), "wrong bytes from {at} on"));
    reader.join().expect("the right bytes");
    let done = port.handler().wait_for_count("the send", 1, |event| matches!(event, Event::Sent { write: 1, .. }));
    assert!(matches!(done[0], Event::Sent { result: Ok(()), bytes: LEN, .. }), "{done:?}");
}

#[cfg(target_pointer_width = "64")]
fn the_longest_that_a_dword_can_say(lab: &Lab) {
    const LEN: usize = u32::MAX as usize;
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let reader = reader(client, LEN + 3, |_, _| {});
    port.send(socket, platform::zeros(LEN), 1).expect("a live socket");
    port.send(socket, b"end", 2).expect("a live socket");
    reader.join().expect("every byte");
    let done = port.handler().wait_for_count("both sends", 2, |event| matches!(event, Event::Sent { .. }));
    assert!(matches!(done[0], Event::Sent { write: 1, result: Ok(()), bytes: LEN, .. }), "{done:?}");
    assert!(matches!(done[1], Event::Sent { write: 2, result: Ok(()), bytes: 3, .. }), "{done:?}");
}
