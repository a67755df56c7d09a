//! Through a network that holds bytes back, passes them one by one and cuts connections off, nothing is lost and everything is
//! reported exactly once. A failure names its seed: `SOCKET_IOCP_TEST_SEED` runs that one alone.

use fastrand::Rng;
use socket_iocp::{ErrorCode, Port};
use socket_iocp_testkit::proxy::{Direction, Outcome, Passage, Proxy};
use socket_iocp_testkit::{Account, FINGERPRINT_OF_NOTHING, Lab, Ledger, Talk};
use socket_iocp_testkit::{fingerprint, on_every_backend, seeds, talk};
use socket2::SockRef;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

// Real only: the simulated network has its own delays, partial sends and cuts, see the torture.
on_every_backend!(real: an_echo_through_it_is_exact_up_to_the_cut);

/// Connections of one seed, all at once.
const CONNECTIONS: usize = if cfg!(windows) { 12 } else { 24 };
/// Bytes that one of them says, at most. Wine takes a millisecond for each byte that passes by itself.
const LONGEST: usize = if cfg!(windows) { 8 * 1024 } else { 64 * 1024 };
/// Seeds in the gate, and in the long form.
const SEEDS: [u64; 2] = if cfg!(windows) { [3, 30] } else { [40, 2000] };
/// A send buffer that holds few sends.
const SMALL_BUFFER: usize = 4 * 1024;

/// How many connections came to which end, and what happened to those bytes on their way.
#[derive(Default, Debug)]
struct Tally {
    whole: u64,
    reset_to_server: u64,
    reset_to_client: u64,
    fin: u64,
    fin_then_reset: u64,
    never_accepted: u64,
    singles: u64,
    holds: u64,
    bytes: u64,
    operations: u64,
    sent_in_part: u64,
}

fn an_echo_through_it_is_exact_up_to_the_cut(lab: &Lab) {
    let mut tally = Tally::default();
    let seeds = seeds(SEEDS[0], SEEDS[1]);
    for seed in &seeds {
        let accounts = run(lab, *seed);
        accounts.add_to(&mut tally);
    }
    println!("{}: {} seeds: {tally:?}", lab.name(), seeds.len());
    // That the schedule has everything in it. A few seeds may not.
    let classes = [tally.whole, tally.reset_to_server, tally.reset_to_client, tally.fin, tally.singles, tally.holds];
    assert!(seeds.len() < 40 || classes.iter().all(|count| *count > 0), "{tally:?}");
}

/// What a seed came to, from all three sides.
struct Run {
    seed: u64,
    talks: HashMap<SocketAddr, Talk>,
    passages: Vec<Passage>,
    accounts: HashMap<SocketAddr, Account>,
}

fn run(lab: &Lab, seed: u64) -> Run {
    let port = Port::new(Ledger::with_room_for(CONNECTIONS), lab.options()).expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("a bound address");
    if seed.is_multiple_of(2) {
        // The accepted sockets have it too: sends go in parts, and wait.
        SockRef::from(&listener).set_send_buffer_size(SMALL_BUFFER).expect("a size");
    }
    port.add_listener(listener, 8, ()).expect("a listener");
    let proxy = Proxy::new(address, seed, LONGEST as u64);
    let talks = talk_all(proxy.address(), seed);
    let passages = proxy.finish();
    // It is served after all the others, which have been accepted by then, or left out by the system.
    let last = talk(TcpStream::connect(address).expect("a listener"), 10, Rng::with_seed(seed));
    assert_eq!((last.said, last.end.is_ok()), (last.heard, true), "seed {seed}");
    let accounts = Ledger::settle(port);
    let by_peer = |account: Account| (account.remote.expect("an internet address"), account);
    Run { seed, talks, passages, accounts: accounts.into_iter().map(by_peer).collect() }
}

/// All clients of a seed, at once.
fn talk_all(address: SocketAddr, seed: u64) -> HashMap<SocketAddr, Talk> {
    let mut random = Rng::with_seed(seed);
    thread::scope(|scope| {
        let begin = |_| {
            let mut random = random.fork();
            let len = random.usize(1..=LONGEST);
            let stream = TcpStream::connect(address).expect("the proxy");
            let own = stream.local_addr().expect("an address");
            (own, scope.spawn(move || talk(stream, len, random)))
        };
        let all: Vec<_> = (0..CONNECTIONS).map(begin).collect();
        all.into_iter().map(|(own, talk)| (own, talk.join().expect("a client"))).collect()
    })
}

impl Run {
    fn add_to(&self, tally: &mut Tally) {
        assert_eq!((self.passages.len(), self.talks.len()), (CONNECTIONS, CONNECTIONS), "seed {}", self.seed);
        for passage in &self.passages {
            let talk = &self.talks[&passage.client];
            let account = self.accounts.get(&passage.seen_by_server);
            let what = format!("seed {}: {passage:?}, {account:?}, heard {}", self.seed, talk.heard.len());
            check_client(passage, talk, &what);
            match account {
                Some(account) => check_server(passage, talk, account, &what),
                // Cut off before it was accepted, or before its address was asked for.
                None => assert!(matches!(passage.outcome, Outcome::Reset(_)) && passage.from_server == 0, "{what}"),
            }
            tally.note(passage, account);
        }
    }
}

/// What the client heard is what the proxy passed on, but for what a reset destroyed; and it is a prefix of what it said.
fn check_client(passage: &Passage, talk: &Talk, what: &str) {
    assert!(talk.said.starts_with(&talk.heard), "not what was said: {what}");
    assert!(talk.heard.len() as u64 <= passage.to_client, "{what}");
    match passage.outcome {
        Outcome::Whole => assert_eq!(talk.heard.len(), talk.said.len(), "{what}"),
        Outcome::Fin => assert_eq!(talk.heard.len() as u64, passage.to_server, "{what}"),
        Outcome::Reset(_) | Outcome::FinThenReset => {
            let is_reset = |result: &io::Result<()>| {
                result.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
            };
            let (spoken, end) = (&talk.spoken, &talk.end);
            // The FIN may have come just before.
            return assert!(is_reset(spoken) || is_reset(end) || passage.fin_to_client, "{spoken:?}, {end:?}: {what}");
        }
        Outcome::Broken(_) => panic!("an end that the proxy did not cut: {what}"),
    }
    assert!(talk.end.is_ok(), "{:?}: {what}", talk.end);
}

/// The server's account is in order, and agrees with what the proxy saw.
fn check_server(passage: &Passage, talk: &Talk, account: &Account, what: &str) {
    assert!(account.is_in_order(), "{what}");
    assert!(account.received <= passage.to_server, "more than was sent: {what}");
    let prefix = &talk.said[..account.received as usize];
    assert_eq!(account.fingerprint, fingerprint(FINGERPRINT_OF_NOTHING, prefix), "not what was said: {what}");
    // What left the server's system was reported as sent; one send may have gone in part when it failed.
    assert!(passage.from_server <= account.received, "{what}");
    match passage.outcome {
        Outcome::Whole | Outcome::Fin => {
            assert_eq!(account.reason, Ok(()), "{what}");
            assert_eq!((account.received, account.echoed), (passage.to_server, passage.from_server), "{what}");
        }
        Outcome::Reset(_) | Outcome::FinThenReset => {
            let code = account.reason.map_err(|error| error.code());
            // After a FIN all may have been sent, and the socket closed, when the reset came.
            let as_it_should = match code {
                Err(ErrorCode::Reset) => true,
                Ok(()) => passage.fin_to_server,
                // It was accepted when the port went.
                Err(code) => code == ErrorCode::Cancelled && account.recvs_reported == 0,
            };
            assert!(as_it_should, "{what}");
        }
        Outcome::Broken(_) => unreachable!("the client's check has found it"),
    }
}

impl Tally {
    fn note(&mut self, passage: &Passage, account: Option<&Account>) {
        *match passage.outcome {
            Outcome::Whole => &mut self.whole,
            Outcome::Reset(Direction::ToServer) => &mut self.reset_to_server,
            Outcome::Reset(Direction::ToClient) => &mut self.reset_to_client,
            Outcome::Fin => &mut self.fin,
            Outcome::FinThenReset => &mut self.fin_then_reset,
            Outcome::Broken(_) => unreachable!("checked before"),
        } += 1;
        self.never_accepted += u64::from(account.is_none());
        self.singles += passage.singles;
        self.holds += passage.holds;
        self.bytes += passage.to_server + passage.to_client;
        self.sent_in_part += account.map_or(0, |account| u64::from(account.partly_sent > 0));
        self.operations += account.map_or(0, |account| account.recvs_issued + account.sends_issued);
    }
}
