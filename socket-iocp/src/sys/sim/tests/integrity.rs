//! Bytes come whole and in order, and a seed replays its run.

use super::*;
use std::collections::BTreeMap;

/// Two simulated sockets of one connection, both worked by the same backend: each sends `outgoing` and collects.
struct End {
    key: Key,
    socket: RawSocket,
    outgoing: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    finished: bool,
    recv_pending: bool,
    send_pending: bool,
}

struct Exchange {
    rig: Rig,
    ends: BTreeMap<u32, End>,
    trace: Vec<String>,
}

impl Exchange {
    fn new(seed: u64, behaviour: Behaviour, bytes: usize) -> Exchange {
        let rig = Rig::new(seed, behaviour);
        let mut ends = BTreeMap::new();
        for index in [0, 2] {
            let (socket, peer) = rig.network.pair();
            for (offset, socket) in [(0, socket), (1, peer.into_socket())] {
                let index = index + offset;
                let end = End {
                    key: key(index),
                    socket: socket.into_raw(),
                    outgoing: pattern(seed + u64::from(index), bytes + index as usize),
                    sent: 0,
                    received: Vec::new(),
                    finished: false,
                    recv_pending: false,
                    send_pending: false,
                };
                ends.insert(index, end);
            }
        }
        Exchange { rig, ends, trace: Vec::new() }
    }

    fn run(&mut self) {
        let mut turns = 0;
        while self.ends.values().any(|end| !end.finished) {
            for index in 0..4 {
                self.issue(index);
            }
            for completion in self.rig.poll() {
                self.take(completion);
            }
            turns += 1;
            assert!(turns < 1_000_000, "the exchange does not end");
        }
    }

    fn issue(&mut self, index: u32) {
        let end = self.ends.get_mut(&index).expect("one of four");
        if !end.recv_pending && !end.finished {
            end.recv_pending = true;
            if let Submitted::Done(result) = self.rig.recv(end.key, end.socket) {
                self.received(index, result);
            }
        }
        let end = self.ends.get_mut(&index).expect("one of four");
        if !end.send_pending && end.sent < end.outgoing.len() {
            end.send_pending = true;
            // In two slices, the cut moving with the bytes sent.
            let rest = &end.outgoing[end.sent..];
            let (front, back) = rest.split_at(1 + end.sent % rest.len());
            let slices = [front, back].into_iter().filter(|slice| !slice.is_empty());
            if let Submitted::Done(result) =
                self.rig.backend.send(&mut self.rig.io, memory(), end.key, end.socket, slices)
            {
                self.sent(index, result);
            }
        }
    }

    fn take(&mut self, completion: Completion) {
        match completion {
            Completion::Recv { key, result } => self.received(key.index, result),
            Completion::Send { key, result } => self.sent(key.index, result),
            Completion::Ready { key, readable, writable } => {
                self.trace.push(format!("ready {} {readable} {writable}", key.index));
                let end = self.ends.get_mut(&key.index).expect("one of four");
                end.recv_pending &= !readable;
                end.send_pending &= !writable;
            }
            Completion::Woken => self.trace.push("woken".into()),
            other => panic!("{other:?}"),
        }
    }

    fn received(&mut self, index: u32, result: Result<ReadBuffer, Failure>) {
        self.trace.push(format!("recv {index} {:?}", result.as_ref().map(|buffer| buffer.len())));
        let end = self.ends.get_mut(&index).expect("one of four");
        end.recv_pending = false;
        match result {
            Ok(buffer) => {
                end.received.extend_from_slice(&buffer);
                end.finished = buffer.is_empty();
            }
            Err(Failure::Again | Failure::NoBuffer | Failure::Shortage) => {}
            Err(failure) => panic!("{failure:?}"),
        }
    }

    fn sent(&mut self, index: u32, result: Result<usize, Failure>) {
        self.trace.push(format!("send {index} {result:?}"));
        let end = self.ends.get_mut(&index).expect("one of four");
        end.send_pending = false;
        match result {
            Ok(bytes) => {
                assert!(bytes > 0, "a send moved nothing");
                end.sent += bytes;
            }
            Err(Failure::Again | Failure::Shortage) => return,
            Err(failure) => panic!("{failure:?}"),
        }
        if end.sent == end.outgoing.len() {
            self.rig.net().shutdown_send(end.socket);
        }
    }

    fn check(self) -> Vec<String> {
        for (index, end) in &self.ends {
            let other = &self.ends[&(index ^ 1)];
            assert!(end.received == other.outgoing, "end {index} got {} bytes wrong", end.received.len());
        }
        for end in self.ends.values() {
            self.rig.close(end.socket);
        }
        assert_eq!((self.rig.network.open_sockets(), self.rig.network.live_sockets()), (0, 0));
        self.trace
    }
}

fn harsh() -> Behaviour {
    Behaviour { no_buffer_probability: 0.1, shortage_probability: 0.1, window_bytes: 700, ..Behaviour::harsh() }
}

fn trace(seed: u64) -> Vec<String> {
    let mut exchange = Exchange::new(seed, harsh(), 3000);
    exchange.run();
    exchange.check()
}

#[test]
fn streams_survive_a_thousand_seeds() {
    for seed in 0..1000 {
        let behaviour = if seed % 2 == 0 { harsh() } else { Behaviour::mild() };
        let mut exchange = Exchange::new(seed, behaviour, 3000);
        exchange.run();
        exchange.check();
    }
}

#[test]
fn a_seed_replays_its_run() {
    assert_eq!(trace(7), trace(7));
}

#[test]
fn another_seed_runs_otherwise() {
    assert_ne!(trace(7), trace(8));
}

#[test]
fn every_way_to_end_is_met() {
    let all: Vec<String> = (0..10).flat_map(trace).collect();
    let errors = ["Err(Again)", "Err(NoBuffer)", "recv 1 Err(Shortage)", "send 1 Err(Shortage)"];
    let successes = ["woken", "true true", "send 0 Ok(1)", "recv 0 Ok(1)", "recv 1 Ok(0)"];
    for part in errors.into_iter().chain(successes) {
        assert!(all.iter().any(|line| line.contains(part)), "{part} never came");
    }
}

#[test]
fn what_is_due_at_once_comes_in_any_order() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut rig = Rig::new(seed, Behaviour::calm());
        let pairs: Vec<_> = (0..3).map(|_| rig.pair()).collect();
        for (index, (socket, _)) in pairs.iter().enumerate() {
            assert!(matches!(rig.recv(key(index as u32), *socket), Submitted::Pending));
        }
        for (_, peer) in &pairs {
            peer.write_all(b"x").expect("room");
        }
        let order: Vec<u32> = rig
            .wait()
            .into_iter()
            .map(|completion| match completion {
                Completion::Recv { key, result: Ok(_) } => key.index,
                other => panic!("{other:?}"),
            })
            .collect();
        orders.insert(order);
        for (socket, _) in pairs {
            rig.close(socket);
        }
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
}
