//! A socket with a recv outstanding and nothing to read costs at most 320 bytes of the process's memory (384 on
//! Windows), and no read buffer.

use socket_iocp::{Context, Error, Farewell, Handler, Port, ReadBuffer, Sent};
use socket_iocp_testkit::{Counting, Gate, Lab, in_own_process, on_every_backend, platform, resident_kib};
use std::io::{Read, Write};
use std::sync::Arc;

// Not on the simulated network: its sockets are memory of the process.
on_every_backend!(real: ten_thousand_idle_sockets);

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// On Windows the slot alone has 384 bytes: an OVERLAPPED for each direction and a wider socket number (docs/windows.md).
const LIMIT_BYTES: isize = if cfg!(windows) { 384 } else { 320 };
/// Descriptors left for everything else.
const SPARE_DESCRIPTORS: usize = 300;

/// A handler with no state of its own: what is measured is the library's.
struct Idle {
    recvs: Arc<Gate>,
}

impl Handler for Idle {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        unreachable!("nobody listens")
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut (), received: Result<ReadBuffer, Error>) {
        if received.is_ok_and(|bytes| !bytes.is_empty()) {
            context.recv().expect("a live socket");
            self.recvs.pass();
        }
    }

    fn send(&self, _: &Context<'_, Self>, _: &mut (), _: Sent<()>) {}

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

fn ten_thousand_idle_sockets(lab: &Lab) {
    in_own_process("ten_thousand_idle_sockets", lab, measure);
}

fn measure(lab: &Lab) {
    // Both ends of a pair are in the port; 10,000 sockets, or as many as the limit of descriptors allows.
    let pairs = (platform::raise_descriptor_limit() - SPARE_DESCRIPTORS).min(10_000) / 2;
    let count = 2 * pairs;
    let recvs = Arc::new(Gate::new());
    let port = Port::new(Idle { recvs: recvs.clone() }, lab.options().threads(1)).expect("a port");
    // Their vectors are the test's own memory.
    let mut ends = platform::pairs(pairs);
    // A third end shows when the worker has taken all recvs issued before, and that the port serves.
    let (mut probe, probed) = platform::pairs(1).remove(0);
    let probed = port.add_connected(probed, ()).expect("a connected socket");
    port.recv(probed).expect("a first recv");
    probe.write_all(b"x").expect("a live connection");
    recvs.wait_for("the empty port to serve", 1);
    let mut handles = Vec::with_capacity(count);

    let (empty_bytes, empty_kib) = (ALLOCATOR.in_use_bytes(), resident_kib());
    for (one, other) in ends.drain(..) {
        for end in [one, other] {
            let handle = port.add_connected(end, ()).expect("a connected socket");
            port.recv(handle).expect("a first recv");
            handles.push(handle);
        }
    }
    probe.write_all(b"x").expect("a live connection");
    recvs.wait_for("the recvs to be taken", 2);
    let used_bytes = ALLOCATOR.in_use_bytes() - empty_bytes;
    let used_kib = resident_kib().saturating_sub(empty_kib) as isize;
    let each = used_bytes / count as isize;
    println!(
        "{each} bytes of heap and {} of resident memory for each of {count} sockets",
        used_kib * 1024 / count as isize
    );
    assert!(used_bytes <= LIMIT_BYTES * count as isize, "{each} bytes of heap for each of {count} idle sockets");
    // Memory that is not the heap's (mappings shared with the kernel) shows in what is resident. Under Wine so does what
    // Windows' kernel would keep.
    assert!(
        platform::is_wine() || used_kib * 1024 <= LIMIT_BYTES * count as isize,
        "{used_kib} KiB resident for {count} idle sockets"
    );

    // They are all served: what is sent on one comes in at its other end.
    for handle in &handles {
        port.send(*handle, b"y", ()).expect("a live socket");
    }
    recvs.wait_for("a recv on every socket", 2 + count as u64);
    let mut byte = [0];
    port.send(probed, b"z", ()).expect("a live socket");
    probe.read_exact(&mut byte).expect("a live connection");
    assert_eq!(byte, *b"z");
    port.delete();
}
