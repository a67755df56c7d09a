//! A user's SO_LINGER on a socket does not block the worker that closes it. ("Ending" 3.)

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, platform};
use socket2::SockRef;
use std::time::Duration;

// Real only: it is about an option of real sockets.
on_every_backend!(real: a_close_with_data_on_its_way_blocks_nobody, a_failure_with_data_on_its_way_blocks_nobody);

/// Longer than any wait of a test.
const FOR_EVER: Duration = Duration::from_secs(600);
const LEN: usize = 256 * 1024;

/// A socket with SO_LINGER set, with room for `LEN` bytes in its send buffer, and a client that holds back.
fn lingering_pair(lab: &Lab) -> (socket_iocp::Socket, socket_iocp_testkit::Client) {
    let (socket, client) = lab.pair();
    let owned = platform::owned(socket).expect("a real one");
    let options = SockRef::from(&owned);
    options.set_linger(Some(FOR_EVER)).expect("SO_LINGER");
    options.set_send_buffer_size(2 * LEN).expect("SO_SNDBUF");
    SockRef::from(client.tcp().expect("a real one")).set_recv_buffer_size(4096).expect("SO_RCVBUF");
    (owned.into(), client)
}

fn a_close_with_data_on_its_way_blocks_nobody(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = lingering_pair(lab);
    let (other_socket, mut other) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    let other_handle = port.add_connected(other_socket, 0).expect("a connected socket");
    // The peer has finished, and reads nothing yet: the close is over when the kernel still has most of the data.
    client.shutdown_write();
    port.send(handle, vec![6; LEN], 0).expect("an open socket");
    port.handler().wait_for_count("the send", 1, |event| event.sent() == Some((0, Ok(()))));
    // The probe's next recv brings the FIN, and then it closes.
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
    port.recv(other_handle).expect("an open socket");
    other.write_all(b"hello").expect("a live connection");
    assert_eq!(other.read_exact(5).expect("the echo: the worker goes on"), b"hello");
    let read = client.read_to_end().expect("data and a clean end");
    assert_eq!(read.len(), LEN);
}

fn a_failure_with_data_on_its_way_blocks_nobody(lab: &Lab) {
    let port = Port::new(
        Probe::reacting(|_, context, event| {
            if matches!(event, Event::Received { .. }) {
                panic!("the recv callback panics, as the test wants");
            }
            let _ = context?.recv();
            None
        }),
        lab.options().threads(1),
    );
    let port = port.expect("a port");
    let (socket, mut client) = lingering_pair(lab);
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    port.send(handle, vec![6; LEN], 0).expect("an open socket");
    port.handler().wait_for_count("the send", 1, |event| event.sent() == Some((0, Ok(()))));
    client.write_all(b"x").expect("a live connection");
    port.handler().wait_for_farewell(handle).expect_err("a panic");
    // It returns when the worker has closed the socket.
    port.delete();
    client.read_to_reset().expect("a reset");
}
