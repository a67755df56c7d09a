//! A hundred thousand connections made, used and dropped leave the process where it was: no memory, no descriptor.

use socket_iocp::Port;
use socket_iocp::{Context, Error, Farewell, Handler, ReadBuffer, Sent};
use socket_iocp_testkit::{Gate, Lab, in_own_process, on_every_backend, open_descriptors, resident_kib};
use std::sync::Arc;

// Not on the simulated network: its memory is of the process, and its sockets are no descriptors.
on_every_backend!(real: a_hundred_thousand_connections);

const WARM_UP: u64 = 2_000;
const CONNECTIONS: u64 = 100_000;
/// What the allocator may add. A leak of six bytes a connection shows.
const SLACK_KIB: usize = 512;

/// Echoes, and counts the farewells.
struct Echo {
    farewells: Arc<Gate>,
}

impl Handler for Echo {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<()> {
        context.recv().expect("a new socket");
        Some(())
    }

    // Errors of the calls here are the peer's reset.

    fn recv(&self, context: &Context<'_, Self>, _: &mut (), received: Result<ReadBuffer, Error>) {
        if let Ok(bytes) = received {
            let _ = context.send(bytes, ());
            let _ = context.recv();
        }
    }

    fn send(&self, _: &Context<'_, Self>, _: &mut (), _: Sent<()>) {}

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {
        self.farewells.pass();
    }
}

fn a_hundred_thousand_connections(lab: &Lab) {
    in_own_process("a_hundred_thousand_connections", lab, churn);
}

fn churn(lab: &Lab) {
    let farewells = Arc::new(Gate::new());
    let port = Port::new(Echo { farewells: farewells.clone() }, lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 16, ()).expect("a listener");
    let connect_and_reset = |count: u64| {
        for _ in 0..count {
            let mut client = lab.connect(address);
            client.write_all(b"x").expect("a live connection");
            assert_eq!(client.read(&mut [0]).expect("the echo"), 1);
            client.reset();
        }
    };
    connect_and_reset(WARM_UP);
    farewells.wait_for("farewells", WARM_UP);
    let (descriptors, resident) = (open_descriptors(), resident_kib());

    connect_and_reset(CONNECTIONS);
    farewells.wait_for("farewells", WARM_UP + CONNECTIONS);
    let statistics = port.statistics();
    assert_eq!(statistics.farewells, WARM_UP + CONNECTIONS);
    assert_eq!(statistics.sockets_now, 0);
    assert_eq!(open_descriptors(), descriptors);
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown <= SLACK_KIB, "{grown} KiB more than before");
}
