//! Connections come and go, each with one exchange and a reset: the process stays where it was. ("Memory".)
//!
//! 100,000 connections for each backend in the gate and a million in the long form; on Windows, where loopback is slower, a tenth.
//! `SOCKET_IOCP_TEST_CONNECTIONS` changes the number.

use socket_iocp::{Context, Error, Farewell, Handler, Port, ReadBuffer, Sent};
use socket_iocp_testkit::{
    Counting, Gate, Lab, in_own_process, on_every_backend, open_descriptors, resident_kib, tries, wait_until,
};
use std::env;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

// Real only: what is counted is the process's memory and descriptors, and the simulated network has its own.
on_every_backend!(real: memory_stays_flat_and_no_descriptor_is_left);

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const BACKLOG: usize = 16;
/// Where the system wants a socket ready for each accept, the last one is made after the last farewell.
const IN_THE_MAKING: usize = if cfg!(windows) { 1 } else { 0 };
const CLIENTS: usize = 4;
/// A client begins a connection when all but so many have had their farewell: what the port holds for them is bounded.
const AT_ONCE: usize = 2 * CLIENTS;
/// The connections come in so many parts; what is held is looked at after each.
const PARTS: usize = 10;
/// The parts of the two plateaus, which follow a warm-up.
const PLATEAUS: [std::ops::Range<usize>; 2] = [2..6, 6..10];
/// What the system's part of it may differ by: the pages of threads' stacks, and those that the allocator keeps.
const SLACK_KIB: usize = if cfg!(windows) { 2048 } else { 256 };
/// What is in use by the program may differ by this much: more connections than ever before may have been there at once, each
/// with a read buffer that the port keeps, and a list may have grown to a new greatest length.
const SLACK_BYTES: isize = (AT_ONCE * READ_BUFFER_SIZE + 16 * 1024) as isize;
const READ_BUFFER_SIZE: usize = 4096;

fn connections() -> usize {
    let connections = env::var("SOCKET_IOCP_TEST_CONNECTIONS").ok();
    let usual = || tries(100_000, 1_000_000) as usize / if cfg!(windows) { 10 } else { 1 };
    connections.map_or_else(usual, |number| number.parse().expect("a number"))
}

/// Sends back what comes; keeps nothing, and counts farewells.
#[derive(Default)]
struct Echo {
    gone: Gate,
}

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

    fn error(&self, _context: &Context<'_, Self>, (): (), _farewell: Farewell) {
        self.gone.pass();
    }
}

/// Makes connections one after the other, from several threads.
fn churn(lab: &Lab, port: &Port<Echo>, address: SocketAddr, connections: usize) {
    let (gone, begun) = (&port.handler().gone, AtomicU64::new(port.handler().gone.count()));
    let some = || {
        for number in 0..connections / CLIENTS {
            let before = begun.fetch_add(1, Ordering::Relaxed);
            gone.wait_for("farewells", (before + 1).saturating_sub(AT_ONCE as u64));
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

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Holding {
    resident_kib: usize,
    in_use_bytes: isize,
}

/// What is held when every connection has gone. The last farewells have no event of their own here.
fn settled(port: &Port<Echo>) -> Holding {
    wait_until(|| port.statistics().sockets_now == 0, || format!("{:?}", port.statistics()));
    let in_use_bytes = ALLOCATOR.in_use_bytes();
    Holding { resident_kib: resident_kib(), in_use_bytes }
}

/// A port, its connections, and its end.
fn serve_some(lab: &Lab, connections: usize) {
    let port = Port::new(Echo::default(), lab.options_with(READ_BUFFER_SIZE).threads(2)).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, BACKLOG, ()).expect("a listener");
    churn(lab, &port, address, connections);
    port.delete();
}

fn memory_stays_flat_and_no_descriptor_is_left(lab: &Lab) {
    in_own_process("memory_stays_flat_and_no_descriptor_is_left", lab, |lab| {
        let a_part = connections() / PARTS / CLIENTS * CLIENTS;
        // What the system makes once for a process that has sockets and threads is not the port's.
        serve_some(lab, CLIENTS);
        let at_first = open_descriptors();
        let port = Port::new(Echo::default(), lab.options_with(READ_BUFFER_SIZE).threads(2)).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, BACKLOG, ()).expect("a listener");
        let (start, mut held, mut descriptors) = (Instant::now(), Vec::new(), Vec::new());
        for part in 1..=PARTS {
            churn(lab, &port, address, a_part);
            held.push(settled(&port));
            if PLATEAUS.iter().any(|plateau| plateau.end == part) {
                descriptors.push(open_descriptors());
            }
        }
        println!("{}: {} connections in {:?}; after each part", lab.name(), PARTS * a_part, start.elapsed());
        held.iter().for_each(|held| println!("{held:?}"));
        let [first, second] = PLATEAUS.map(|parts| most(&held[parts]));
        assert!(descriptors[1] <= descriptors[0] + IN_THE_MAKING, "{descriptors:?} descriptors");
        assert!(second.resident_kib <= first.resident_kib + SLACK_KIB, "{held:#?}");
        assert!(second.in_use_bytes <= first.in_use_bytes + SLACK_BYTES, "{held:#?}");
        let statistics = port.statistics();
        assert_eq!(statistics.accepts, (PARTS * a_part) as u64);
        assert_eq!((statistics.farewells, statistics.panics), (statistics.accepts, 0));
        port.delete();
        assert_eq!(open_descriptors(), at_first);
    });
}

/// The most of each that was held.
fn most(held: &[Holding]) -> Holding {
    Holding {
        resident_kib: held.iter().map(|held| held.resident_kib).max().expect("several"),
        in_use_bytes: held.iter().map(|held| held.in_use_bytes).max().expect("several"),
    }
}
