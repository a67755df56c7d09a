//! Connections come and go, each with one exchange and a reset: the process stays where it was. ("Memory".)
//!
//! 100,000 connections for each backend, 10,000 on Windows, where loopback is slower; `SOCKET_IOCP_TEST_CONNECTIONS` changes the
//! number.

use socket_iocp::{Context, Error, Farewell, Handler, Port, ReadBuffer, Sent};
use socket_iocp_testkit::{Lab, in_own_process, on_every_backend, open_descriptors, resident_kib};
use std::env;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

// Real only: what is counted is the process's memory and descriptors, and the simulated network has its own.
on_every_backend!(real: memory_stays_flat_and_no_descriptor_is_left);

const CONNECTIONS: usize = if cfg!(windows) { 10_000 } else { 100_000 };
const CLIENTS: usize = 4;
/// What the allocator and the threads' stacks may differ by between two plateaus, whatever their length.
const SLACK_KIB: usize = 512;

/// Sends back what comes; keeps nothing.
struct Echo;

impl Handler for Echo {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, (): &()) -> Option<()> {
        context.recv().ok()
    }

    fn recv(&self, context: &Context<'_, Self>, (): &mut (), received: Result<ReadBuffer, Error>) {
        if let Ok(buffer) = received {
            // The reset may have been first.
            let _ = context.sync_send(buffer, ());
        }
    }

    fn send(&self, context: &Context<'_, Self>, (): &mut (), _sent: Sent<()>) {
        // The reset may have been first.
        let _ = context.recv();
    }

    fn error(&self, _context: &Context<'_, Self>, (): (), _farewell: Farewell) {}
}

/// Makes connections one after the other, from several threads.
fn churn(lab: &Lab, address: SocketAddr, connections: usize) {
    let some = || {
        for number in 0..connections / CLIENTS {
            let mut client = lab.connect(address);
            let sent = [number as u8; 64];
            client.write_all(&sent).expect("a live connection");
            assert_eq!(client.read_exact(64).expect("the echo"), sent);
            // No TIME_WAIT: the ports of one address are enough.
            client.reset();
        }
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(some);
        }
    });
}

/// Resident memory and descriptors when every connection has gone. The last farewells have no event of their own here.
fn settled(port: &Port<Echo>) -> (usize, usize) {
    let end = Instant::now() + Duration::from_secs(30);
    while port.statistics().sockets_now != 0 {
        assert!(Instant::now() < end, "{:?}", port.statistics());
        thread::yield_now();
    }
    (resident_kib(), open_descriptors())
}

/// A port, its connections, and its end.
fn serve_some(lab: &Lab, connections: usize) {
    let port = Port::new(Echo, lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 16, ()).expect("a listener");
    churn(lab, address, connections);
    port.delete();
}

fn memory_stays_flat_and_no_descriptor_is_left(lab: &Lab) {
    in_own_process("memory_stays_flat_and_no_descriptor_is_left", lab, |lab| {
        let connections = env::var("SOCKET_IOCP_TEST_CONNECTIONS").ok();
        let connections: usize = connections.map_or(CONNECTIONS, |number| number.parse().expect("a number"));
        // What the system makes once for a process that has sockets and threads is not the port's.
        serve_some(lab, CLIENTS);
        let at_first = open_descriptors();
        let port = Port::new(Echo, lab.options()).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 16, ()).expect("a listener");
        let warm_up = connections / 5;
        churn(lab, address, warm_up);
        let (warm_kib, warm_descriptors) = settled(&port);
        churn(lab, address, connections - warm_up);
        let (end_kib, end_descriptors) = settled(&port);
        assert_eq!(end_descriptors, warm_descriptors);
        assert!(end_kib <= warm_kib + SLACK_KIB, "{warm_kib} KiB after {warm_up}, {end_kib} after {connections}");
        let statistics = port.statistics();
        assert_eq!(statistics.accepts, (connections / 5 / CLIENTS + connections * 4 / 5 / CLIENTS) as u64 * 4);
        assert_eq!((statistics.farewells, statistics.panics), (statistics.accepts, 0));
        port.delete();
        assert_eq!(open_descriptors(), at_first);
    });
}
