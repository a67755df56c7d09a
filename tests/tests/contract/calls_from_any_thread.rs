//! Every call may be made from any thread, any number at once, on the same sockets, while they serve and while the port is
//! deleted; and every operation accepted is reported exactly once.

use socket_iocp::{Error, ErrorCode, Port, PortHandle, RawSocket, SocketHandle};
use socket_iocp_testkit::{Client, Event, Gate, Lab, Probe, on_every_backend};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

on_every_backend!(every_operation_accepted_is_reported_once);

const THREADS: u64 = 8;
const SOCKETS: usize = 16;
/// Calls before the port is deleted under the callers.
const CALLS: u64 = 40_000;

/// A socket that the threads share.
struct Target {
    raw: RawSocket,
    handle: SocketHandle,
    /// Kept so that the connection lives; it may have more to send.
    client: Client,
}

/// What the threads share.
struct Hammer<'a> {
    lab: &'a Lab,
    port: PortHandle<Probe>,
    targets: Vec<Mutex<Target>>,
    next_write: AtomicU64,
    calls: Gate,
    stop: AtomicBool,
}

/// What one thread has got accepted.
#[derive(Default)]
struct Accepted {
    recvs: Vec<SocketHandle>,
    writes: Vec<u64>,
    /// Accepted by `add_connected`: each owes a farewell.
    sockets: Vec<SocketHandle>,
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// An error that these calls may have, whatever else is going on.
fn allowed(error: Error) -> ErrorCode {
    let code = error.code();
    assert!(matches!(code, ErrorCode::Busy | ErrorCode::Closed | ErrorCode::Eof | ErrorCode::Shutdown), "{error}");
    code
}

impl Hammer<'_> {
    fn add(&self, accepted: &mut Accepted) -> Option<Target> {
        let (socket, client) = self.lab.pair();
        let raw = socket.as_raw();
        match self.port.add_connected(socket, 0) {
            Ok(handle) => {
                accepted.sockets.push(handle);
                Some(Target { raw, handle, client })
            }
            Err(refused) => {
                assert_eq!(refused.error.code(), ErrorCode::Closed);
                None
            }
        }
    }

    fn call(&self, random: &mut Random, accepted: &mut Accepted) {
        let at = random.below(SOCKETS as u64) as usize;
        let lock = || self.targets[at].lock().unwrap_or_else(PoisonError::into_inner);
        let (raw, handle) = {
            let target = lock();
            (target.raw, target.handle)
        };
        let ended = match random.below(256) {
            0 => self.port.abort(handle).map_err(allowed).is_err(),
            1 => self.port.close(handle).map_err(allowed).is_err(),
            2 => self.port.remove(handle).map_err(allowed).is_err(),
            3 => self.port.shutdown_send(handle).map_err(allowed) == Err(ErrorCode::Closed),
            4..24 => {
                // The number may be another socket's by now; whatever is found is, or was, one of this port.
                if let Some(found) = self.port.find(raw) {
                    let _ = self.port.recv(found).map(|()| accepted.recvs.push(found)).map_err(allowed);
                }
                false
            }
            24 => self.port.statistics().sockets_now > u64::from(u32::MAX),
            25 => {
                let _ = lock().client.try_write(b"some input");
                false
            }
            26..90 => match self.port.recv(handle) {
                Ok(()) => {
                    accepted.recvs.push(handle);
                    false
                }
                Err(error) => allowed(error) == ErrorCode::Closed,
            },
            choice => {
                let write = self.next_write.fetch_add(1, Ordering::Relaxed);
                let sent = match choice {
                    90..150 => self.port.sync_send(handle, b"sync", write),
                    150 => self.port.send(handle, Vec::new(), write),
                    _ => self.port.send(handle, vec![7; 300], write),
                };
                match sent {
                    Ok(()) => {
                        accepted.writes.push(write);
                        false
                    }
                    Err(rejected) => {
                        assert_eq!(rejected.write, write, "what is rejected comes back");
                        allowed(rejected.error) == ErrorCode::Closed
                    }
                }
            }
        };
        // Not every time: after the deletion every call finds an ended one, and loopback has so many ports.
        if ended && random.below(16) == 0 {
            let mut target = lock();
            if target.handle == handle
                && let Some(fresh) = self.add(accepted)
            {
                *target = fresh;
            }
        }
    }

    fn run(&self, seed: u64) -> Accepted {
        let (mut random, mut accepted) = (Random(seed), Accepted::default());
        while !self.stop.load(Ordering::Relaxed) {
            self.call(&mut random, &mut accepted);
            self.calls.pass();
        }
        accepted
    }
}

fn every_operation_accepted_is_reported_once(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(Duration::from_millis(20))).expect("a port");
    let handle = PortHandle::clone(&port);
    let mut hammer = Hammer {
        lab,
        port: handle.clone(),
        targets: Vec::new(),
        next_write: AtomicU64::new(0),
        calls: Gate::new(),
        stop: AtomicBool::new(false),
    };
    let mut first = Accepted::default();
    for _ in 0..SOCKETS {
        let target = hammer.add(&mut first).expect("a live port");
        assert_eq!(port.find(target.raw), Some(target.handle));
        hammer.targets.push(Mutex::new(target));
    }
    let mut accepted = vec![first];
    thread::scope(|scope| {
        let hammer = &hammer;
        let threads: Vec<_> = (1..=THREADS).map(|seed| scope.spawn(move || hammer.run(seed))).collect();
        hammer.calls.wait_for("calls", CALLS);
        // The others go on, through the deletion and after it.
        port.delete();
        hammer.calls.wait_for("calls after the deletion", hammer.calls.count() + 1_000);
        hammer.stop.store(true, Ordering::Relaxed);
        accepted.extend(threads.into_iter().map(|thread| thread.join().expect("no failed check")));
    });
    check(&handle.handler().log(), &accepted);
}

fn check(log: &[Event], accepted: &[Accepted]) {
    let (mut writes, mut farewells, mut recvs) = (HashSet::new(), HashSet::new(), HashMap::new());
    for event in log {
        match event {
            Event::Sent { write, handle, .. } => {
                assert!(writes.insert(*write), "write {write} was reported twice");
                assert!(!farewells.contains(handle), "a send reported after the farewell of {handle:?}");
            }
            Event::Received { handle, result, .. } => {
                assert!(result.is_ok(), "{result:?}");
                assert!(!farewells.contains(handle), "a recv reported after the farewell of {handle:?}");
                *recvs.entry(*handle).or_insert(0) += 1;
            }
            Event::Farewell { handle, .. } => assert!(farewells.insert(*handle), "two farewells of {handle:?}"),
            Event::Accepted { .. } | Event::Connected { .. } | Event::ListenerFarewell { .. } => {
                panic!("nobody listens or connects: {event:?}")
            }
            Event::Datagram { .. } => panic!("there are streams only: {event:?}"),
            Event::Watermark { .. } => panic!("the port has no marks: {event:?}"),
            Event::Timer { .. } => panic!("no timer was issued: {event:?}"),
        }
    }
    let issued: HashSet<u64> = accepted.iter().flat_map(|one| one.writes.iter().copied()).collect();
    assert_eq!(writes, issued, "sends accepted and sends reported");
    let added: HashSet<SocketHandle> = accepted.iter().flat_map(|one| one.sockets.iter().copied()).collect();
    assert_eq!(farewells, added, "sockets added and farewells");
    let mut outstanding: HashMap<SocketHandle, i64> = HashMap::new();
    for handle in accepted.iter().flat_map(|one| &one.recvs) {
        *outstanding.entry(*handle).or_default() += 1;
    }
    for (handle, count) in recvs {
        *outstanding.entry(handle).or_default() -= count;
    }
    // The last recv of a socket may be the one that its farewell reported.
    let wrong: Vec<_> = outstanding.iter().filter(|(_, left)| !(0..=1).contains(*left)).collect();
    assert!(wrong.is_empty(), "recvs not reported, or reported twice: {wrong:?}");
}
