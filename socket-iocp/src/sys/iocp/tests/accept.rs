//! Listeners: the pool of accepts, addresses, connections that are gone.

use super::*;
use std::net::SocketAddr;
use std::os::windows::io::FromRawSocket;

const LISTENER: ListenerKey = ListenerKey(7);

struct Listening {
    rig: Rig,
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    fn at(address: &str) -> Listening {
        let mut rig = Rig::new(options());
        let listener = TcpListener::bind(address).expect("a listener");
        let raw = listener.as_raw_socket();
        rig.backend.waker().associate_listener(raw).expect("a listener without a port");
        rig.backend.add_listener(LISTENER, raw).expect("a provider with AcceptEx");
        let address = listener.local_addr().expect("its address");
        Listening { rig, listener, address }
    }

    fn new() -> Listening {
        Listening::at("127.0.0.1:0")
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("a connection")
    }

    fn start(&mut self) {
        assert_pending(self.rig.backend.accept(LISTENER, self.listener.as_raw_socket()));
    }

    #[track_caller]
    fn accepted(&mut self) -> Result<(TcpStream, SocketAddr), Failure> {
        let Completion::Accept { listener: LISTENER, result } = self.rig.wait() else { panic!("no accept") };
        result.map(|accepted| {
            let remote = accepted.remote.expect("an address").as_socket().expect("of the internet");
            // SAFETY: the accept made the socket and nobody else has it.
            (unsafe { TcpStream::from_raw_socket(accepted.socket) }, remote)
        })
    }

    fn end(&mut self) {
        let raw = self.listener.as_raw_socket();
        assert_eq!(self.rig.backend.cancel_accepts(LISTENER, raw), CancelOutcome::Requested);
    }
}

#[test]
fn an_accepted_socket_is_one_like_any_other() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut listening = Listening::at(address);
        listening.start();
        let mut client = listening.connect();
        let (mut server, remote) = listening.accepted().expect("a connection");
        assert_eq!(remote, client.local_addr().expect("an address"));
        // Without SO_UPDATE_ACCEPT_CONTEXT these would fail.
        assert_eq!(server.peer_addr().expect("a peer"), remote);
        assert_eq!(server.local_addr().expect("an address"), listening.address);
        server.write_all(b"there").expect("a connection");
        server.shutdown(Shutdown::Write).expect("a connection");
        let mut read = String::new();
        client.read_to_string(&mut read).expect("a connection");
        assert_eq!(read, "there");
    }
}

#[test]
fn a_pool_of_accepts_takes_as_many_connections() {
    const POOL: usize = 100;
    let mut listening = Listening::new();
    for _ in 0..POOL {
        listening.start();
    }
    let clients: Vec<TcpStream> = (0..POOL).map(|_| listening.connect()).collect();
    let mut expected: Vec<SocketAddr> = clients.iter().map(|client| client.local_addr().expect("one")).collect();
    let mut taken: Vec<SocketAddr> = (0..POOL).map(|_| listening.accepted().expect("a connection").1).collect();
    expected.sort();
    taken.sort();
    assert_eq!(taken, expected);
    assert!(listening.rig.poll().is_empty());
    assert_eq!(listening.rig.backend.accepts.pending(), 0);
}

#[test]
fn a_cancel_ends_each_accept() {
    let mut listening = Listening::new();
    for _ in 0..3 {
        listening.start();
    }
    listening.end();
    for _ in 0..3 {
        assert_eq!(listening.accepted().expect_err("cancelled"), Failure::Cancelled);
    }
    listening.rig.backend.remove_listener(LISTENER, listening.listener.as_raw_socket());
    assert!(matches!(
        listening.rig.backend.accept(LISTENER, listening.listener.as_raw_socket()),
        Submitted::Done(Err(Failure::Cancelled))
    ));
}

#[test]
fn a_connection_that_is_gone_is_no_error_of_the_listener() {
    let mut listening = Listening::new();
    for _ in 0..50 {
        listening.start();
        reset(listening.connect());
        match listening.accepted() {
            Ok(_) => {}
            Err(failure) => {
                let sorted = crate::listener::sort_failure(failure);
                assert_eq!(sorted, crate::listener::AcceptFailure::Passing, "{failure:?}");
            }
        }
    }
    listening.start();
    let _client = listening.connect();
    listening.accepted().expect("the listener still serves");
}

#[test]
fn entries_are_used_again() {
    let mut listening = Listening::new();
    for _ in 0..200 {
        listening.start();
        let _client = listening.connect();
        listening.accepted().expect("a connection");
    }
    assert_eq!(listening.rig.backend.accepts.capacity(), 64);
}
