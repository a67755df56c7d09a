//! Listeners: connections that wait, events, want of descriptors.

use super::*;
use std::net::SocketAddr;
use std::os::fd::FromRawFd;

const LISTENER: ListenerKey = ListenerKey(7);

struct Listening {
    rig: Rig,
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    fn new() -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("the flag");
        let address = listener.local_addr().expect("its address");
        let mut rig = Rig::new(64);
        rig.backend.add_listener(LISTENER, listener.as_raw_fd()).expect("a registration");
        Listening { rig, listener, address }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("a connection")
    }

    fn accept(&mut self) -> Submitted<Accepted> {
        self.rig.backend.accept(LISTENER, self.listener.as_raw_fd())
    }

    /// An accept that is done at once, as a stream.
    #[track_caller]
    fn accepted(&mut self) -> (TcpStream, SocketAddr) {
        let accepted = done(self.accept()).expect("a connection");
        let remote = accepted.remote.expect("an address").as_socket().expect("of the internet");
        // SAFETY: the accept made the descriptor and nobody else has it.
        (unsafe { TcpStream::from_raw_fd(accepted.socket) }, remote)
    }

    fn wait_ready(&mut self) {
        self.rig.wait(LONG);
        let completion = self.rig.next();
        assert!(matches!(completion, Some(Completion::AcceptReady { listener: LISTENER })), "{completion:?}");
        assert!(self.rig.next().is_none());
    }
}

#[test]
fn a_waiting_connection_is_accepted_at_once() {
    let mut listening = Listening::new();
    let client = listening.connect();
    let (accepted, remote) = listening.accepted();
    assert_eq!(remote, client.local_addr().expect("an address"));
    // SAFETY: the call takes no memory.
    let flags = unsafe { libc::fcntl(accepted.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

#[test]
fn after_pending_each_connection_brings_an_event() {
    let mut listening = Listening::new();
    for _ in 0..5 {
        assert_pending(listening.accept());
        let _client = listening.connect();
        listening.wait_ready();
        listening.accepted();
    }
}

#[test]
fn one_event_may_stand_for_many_connections() {
    let mut listening = Listening::new();
    assert_pending(listening.accept());
    let clients: Vec<TcpStream> = (0..3).map(|_| listening.connect()).collect();
    listening.wait_ready();
    for client in &clients {
        assert_eq!(listening.accepted().1, client.local_addr().expect("an address"));
    }
    assert_pending(listening.accept());
    let _client = listening.connect();
    listening.wait_ready();
    listening.accepted();
}

#[test]
fn a_connection_that_came_between_event_and_accept_is_not_lost() {
    let mut listening = Listening::new();
    assert_pending(listening.accept());
    let _first = listening.connect();
    listening.rig.wait(LONG);
    // The event is taken from the kernel and not yet given out: the belief is still that there is nothing.
    assert_pending(listening.accept());
    let _second = listening.connect();
    assert!(matches!(listening.rig.next(), Some(Completion::AcceptReady { .. })));
    listening.accepted();
    listening.accepted();
    assert_pending(listening.accept());
}

#[test]
fn a_removed_listener_brings_no_event() {
    let mut listening = Listening::new();
    assert_pending(listening.accept());
    let number = listening.listener.as_raw_fd();
    let _first = listening.connect();
    // Taken from the kernel before the removal, given out never.
    listening.rig.wait(LONG);
    assert_eq!(listening.rig.backend.cancel_accepts(LISTENER, number), CancelOutcome::Done);
    listening.rig.backend.remove_listener(LISTENER, number);
    let _second = listening.connect();
    assert!(listening.rig.next().is_none());
    listening.rig.wait(Duration::ZERO);
    assert!(listening.rig.backend.found.is_empty(), "the kernel still tells of it");
}

#[test]
fn a_connection_reset_before_its_accept_does_no_harm() {
    let mut listening = Listening::new();
    reset(listening.connect());
    let _client = listening.connect();
    let (_reset, _) = listening.accepted();
    let (_accepted, _) = listening.accepted();
    assert_pending(listening.accept());
}

#[test]
fn what_is_no_listener_is_refused() {
    let mut rig = Rig::new(64);
    let error = rig.backend.add_listener(LISTENER, i32::MAX).expect_err("a number never open");
    assert_eq!((error.code(), error.os_error()), (ErrorCode::BadSocket, Some(libc::EBADF)));
    let (stream, _peer) = tcp();
    rig.backend.add_listener(LISTENER, stream.as_raw_fd()).expect("a registration");
    let result = done(rig.backend.accept(LISTENER, stream.as_raw_fd()));
    assert_eq!(result.map(|_| ()), Err(Failure::Os(libc::EINVAL)));
}

#[test]
fn a_want_of_descriptors_is_told_and_passes() {
    in_child(module_path!(), "a_want_of_descriptors_is_told_and_passes", || {
        let mut listening = Listening::new();
        assert_pending(listening.accept());
        let _client = listening.connect();
        listening.wait_ready();
        set_limit(libc::RLIMIT_NOFILE, 64);
        let mut hoard = Vec::new();
        while let Ok(duplicate) = listening.listener.try_clone() {
            hoard.push(duplicate);
        }
        for _ in 0..3 {
            assert_eq!(done(listening.accept()).map(|_| ()), Err(Failure::Os(libc::EMFILE)));
        }
        hoard.pop();
        listening.accepted();
        hoard.pop();
        assert_pending(listening.accept());
    });
}
