//! Listeners: accepts, shortages, addresses, the end of a listener.

use super::super::super::{Accepted, ListenerKey};
use super::*;
use crate::ErrorCode;
use crate::sys::{errno, place_of};

const LISTENER: ListenerKey = ListenerKey(0);

/// A listener in a backend, as a worker has one: under a number of its own.
struct Listening {
    rig: Rig,
    listener: SimSocket,
    own: RawSocket,
    pending: usize,
}

impl Listening {
    fn new(seed: u64, behaviour: Behaviour) -> Listening {
        let mut rig = Rig::new(seed, behaviour);
        let listener = rig.network.listen();
        let own = rig.network.duplicate_listener(listener.as_raw(), true).expect("a number");
        rig.backend.add_listener(LISTENER, own).expect("nothing is refused");
        Listening { rig, listener, own, pending: 0 }
    }

    fn connect(&self) -> Peer {
        self.rig.network.connect(self.listener.local_addr().expect("an address")).expect("somebody listens")
    }

    /// Starts an accept; its result, if there is one at once.
    fn accept(&mut self) -> Option<Result<Accepted, Failure>> {
        match self.rig.backend.accept(LISTENER, self.own) {
            Submitted::Done(result) => Some(result),
            Submitted::Pending => {
                self.pending += 1;
                None
            }
        }
    }

    fn wait(&mut self) -> Vec<Result<Accepted, Failure>> {
        let completions = self.rig.wait();
        self.pending -= completions.len();
        let result = |completion| match completion {
            Completion::Accept { listener: LISTENER, result } => result,
            other => panic!("{other:?}"),
        };
        completions.into_iter().map(result).collect()
    }

    /// Ends the listener; true if a connection was accepted after the cancel.
    fn end(&mut self) -> bool {
        let mut accepted = false;
        if self.rig.backend.cancel_accepts(LISTENER, self.own) == CancelOutcome::Done {
            self.pending = 0;
        }
        while self.pending > 0 {
            for result in self.wait() {
                match result {
                    Ok(late) => {
                        accepted = true;
                        self.rig.close(late.socket);
                    }
                    Err(failure) => assert_eq!(failure, Failure::Cancelled),
                }
            }
        }
        self.rig.backend.remove_listener(LISTENER, self.own);
        self.rig.close(self.own);
        accepted
    }

    /// Ends the listener and checks that nothing is left.
    fn finish(mut self) {
        self.end();
        drop(self.listener);
        assert_eq!((self.rig.network.open_sockets(), self.rig.network.live_sockets()), (0, 0));
    }
}

#[test]
fn accepted_connections_carry_bytes_and_addresses() {
    let mut named = 0;
    for seed in 0..50 {
        let mut listening = Listening::new(seed, Behaviour { duplicate_wake_probability: 0.0, ..Behaviour::mild() });
        let mut results: Vec<_> = (0..3).filter_map(|_| listening.accept()).collect();
        let peers: Vec<Peer> = (0..3).map(|_| listening.connect()).collect();
        while results.len() < 3 {
            results.extend(listening.wait());
        }
        for result in results {
            let Accepted { socket, remote } = result.expect("no errors");
            let address = listening.rig.net().remote_address(socket).as_socket().expect("connected");
            named += usize::from(remote.is_some());
            assert!(remote.is_none_or(|remote| remote.as_socket() == Some(address)));
            let peer = peers.iter().find(|peer| peer.local_addr() == address).expect("one of the three");
            assert_eq!(listening.rig.net().local_address(socket).as_socket(), Some(peer.peer_addr()));
            peer.write_all(address.to_string().as_bytes()).expect("room");
            listening.rig.net().check_connected(socket).expect("connected");
            let received = listening.rig.recv_to_end(key(0), socket).expect("no errors");
            assert!(!received.is_empty() && address.to_string().as_bytes().starts_with(&received));
            listening.rig.close(socket);
        }
        drop(peers);
        listening.finish();
    }
    assert!((1..150).contains(&named), "{named} of 150 accepts brought the address");
}

#[test]
fn exhaustion_keeps_the_queue() {
    for seed in 0..50 {
        let mut listening = Listening::new(seed, Behaviour { duplicate_wake_probability: 0.0, ..Behaviour::mild() });
        let peer = listening.connect();
        listening.rig.network.exhaust_descriptors(true);
        let result = listening.accept().unwrap_or_else(|| listening.wait().pop().expect("one accept, one end"));
        assert_eq!(result.expect_err("no number to be had"), Failure::Os(errno::EMFILE));
        let refused = listening.rig.network.duplicate_listener(listening.listener.as_raw(), true);
        assert_eq!(refused.expect_err("no number to be had").os_error(), Some(errno::EMFILE));
        listening.rig.network.exhaust_descriptors(false);
        let result = listening.accept().unwrap_or_else(|| listening.wait().pop().expect("one accept, one end"));
        let accepted = result.expect("the queue is as it was");
        let address = listening.rig.net().remote_address(accepted.socket).as_socket();
        assert_eq!(address, Some(peer.local_addr()));
        listening.rig.close(accepted.socket);
        drop(peer);
        listening.finish();
    }
}

#[test]
fn an_accept_that_waits_through_an_exhaustion_is_untouched() {
    let mut listening = Listening::new(1, Behaviour::calm());
    assert!(listening.accept().is_none());
    listening.rig.network.exhaust_descriptors(true);
    assert!(listening.rig.poll().is_empty(), "nobody has connected");
    listening.rig.network.exhaust_descriptors(false);
    let peer = listening.connect();
    let accepted = listening.wait().pop().expect("one accept").expect("no errors");
    listening.rig.close(accepted.socket);
    drop(peer);
    listening.finish();
}

#[test]
fn errors_by_chance_leave_the_connection_in_the_queue() {
    let mut listening = Listening::new(1, Behaviour { accept_error_probability: 1.0, ..Behaviour::calm() });
    let peer = listening.connect();
    let failure = listening.accept().expect("calm").expect_err("always");
    assert!(matches!(failure, Failure::Os(_)));
    listening.rig.network.set_behaviour(Behaviour::calm());
    let accepted = listening.accept().expect("calm").expect("no errors");
    listening.rig.close(accepted.socket);
    drop(peer);
    listening.finish();
}

#[test]
fn the_end_of_a_listener_resets_what_waits() {
    let mut listening = Listening::new(1, Behaviour::calm());
    let (network, address) = (listening.rig.network.clone(), listening.listener.local_addr().expect("an address"));
    let peer = listening.connect();
    listening.end();
    drop(listening);
    assert_eq!(peer.read(&mut [0; 1]).expect_err("a reset").raw_os_error(), Some(errno::ECONNRESET));
    assert_eq!(network.connect(address).expect_err("nobody listens").kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_cancel_of_accepts_may_lose_to_a_connection() {
    let mut accepted = 0;
    for seed in 0..100 {
        let mut listening = Listening::new(seed, Behaviour { immediate_probability: 0.0, ..Behaviour::mild() });
        for _ in 0..3 {
            assert!(listening.accept().is_none());
        }
        let peer = listening.connect();
        accepted += usize::from(listening.end());
        drop(peer);
        drop(listening.listener);
        assert_eq!(listening.rig.network.live_sockets(), 0);
    }
    assert!((1..100).contains(&accepted), "{accepted}");
}

#[test]
fn checks_tell_listeners_from_connections() {
    let rig = Rig::new(1, Behaviour::calm());
    let listener = rig.network.listen();
    let (socket, _peer) = rig.network.pair();
    let net = rig.net();
    assert_eq!(net.check_connected(listener.as_raw()).expect_err("listens").code(), ErrorCode::Listening);
    assert_eq!(net.check_listening(socket.as_raw()).expect_err("connected").code(), ErrorCode::NotListening);
    net.check_listening(listener.as_raw()).expect("it listens");
    net.check_connected(socket.as_raw()).expect("it is connected");
    let number = socket.as_raw();
    drop(socket);
    assert_eq!(net.check_connected(number).expect_err("closed").code(), ErrorCode::BadSocket);
    assert_eq!(net.identity(number).expect_err("closed").code(), ErrorCode::BadSocket);
}

#[test]
fn numbers_are_reused_lowest_first_with_another_identity() {
    let rig = Rig::new(1, Behaviour::calm());
    let (first, first_peer) = rig.network.pair();
    let (second, _second_peer) = rig.network.pair();
    assert!(first.as_raw() >= 1 << 24, "a real descriptor could have this number");
    assert_eq!(place_of(second.as_raw()), place_of(first.as_raw()).map(|place| place + 1));
    let identity = rig.net().identity(first.as_raw()).expect("open");
    let number = first.into_raw();
    rig.network.close_behind(number);
    drop(first_peer);
    let (stranger, _stranger_peer) = rig.network.pair();
    assert_eq!(stranger.as_raw(), number);
    assert_ne!(rig.net().identity(number).expect("open"), identity);
    assert!(!rig.net().close(number, CloseHow::Background, Some(identity)), "it is a stranger's");
    rig.net().check_connected(number).expect("it was not closed");
}

#[test]
fn two_networks_share_no_number() {
    let (one, other) = (Network::new(1), Network::new(1));
    let (first, _first_peer) = one.pair();
    let (second, _second_peer) = other.pair();
    assert_ne!(first.as_raw(), second.as_raw());
}

#[test]
fn injected_faults_refuse_a_listener() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let listener = rig.network.listen();
    rig.network.fail_next(Operation::DuplicateListener, errno::ENFILE);
    rig.network.fail_next(Operation::AddListener, errno::ENOMEM);
    let refused = rig.network.duplicate_listener(listener.as_raw(), true).expect_err("the fault");
    assert_eq!(refused.os_error(), Some(errno::ENFILE));
    let refused = rig.backend.add_listener(LISTENER, listener.as_raw()).expect_err("the fault");
    assert_eq!(refused.os_error(), Some(errno::ENOMEM));
    rig.backend.add_listener(LISTENER, listener.as_raw()).expect("one fault, one failure");
    rig.backend.remove_listener(LISTENER, listener.as_raw());
}
