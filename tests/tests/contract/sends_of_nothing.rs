//! A send of no bytes completes and sends nothing, in its turn among the others.

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};

on_every_backend!(alone, among_others, when_the_peer_does_not_read);

fn writes_of(log: &[Event]) -> Vec<u64> {
    log.iter().filter_map(Event::sent).map(|(write, result)| result.map(|()| write).expect("a live socket")).collect()
}

fn alone(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.send(socket, Vec::new(), 1).expect("a live socket");
    port.sync_send(socket, b"", 2).expect("a live socket");
    let sends = port.handler().wait_for_count("two sends", 2, |event| matches!(event, Event::Sent { bytes: 0, .. }));
    assert_eq!(writes_of(&sends), [1, 2]);
    port.close(socket).expect("a live socket");
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
}

fn among_others(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    for write in 0..300u64 {
        let bytes = if write.is_multiple_of(3) { vec![write as u8; 500] } else { Vec::new() };
        port.send(socket, bytes, write).expect("a live socket");
    }
    for write in (0..300u64).step_by(3) {
        assert_eq!(client.read_exact(500).expect("the bytes"), [write as u8; 500]);
    }
    let sends = port.handler().wait_for_count("the sends", 300, |event| matches!(event, Event::Sent { .. }));
    assert_eq!(writes_of(&sends), (0..300).collect::<Vec<u64>>());
}

fn when_the_peer_does_not_read(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    let (other, _other_client) = lab.pair();
    let other = port.add_connected(other, 2).expect("a connected socket");
    // More than the kernel takes: what comes after it waits for it, empty or not.
    const LARGE_BYTES: usize = 32 << 20;
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("a live socket");
    port.send(socket, Vec::new(), 2).expect("a live socket");
    // An empty send on another socket of this worker shows that the worker has seen those above.
    for write in 10..20 {
        port.send(other, Vec::new(), write).expect("a live socket");
        port.handler().wait_for_count("a send", 1, |event| event.sent().is_some_and(|(done, _)| done == write));
    }
    let early = port.handler().history(socket);
    assert_eq!(early, [], "complete before what was issued earlier");
    client.read_exact(LARGE_BYTES).expect("the bytes");
    port.handler().wait_for("both sends", |log| {
        (log.iter().filter(|event| event.handle() == Some(socket)).count() == 2).then_some(())
    });
    assert_eq!(writes_of(&port.handler().history(socket)), [1, 2]);
}
