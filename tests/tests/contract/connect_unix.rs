//! Stream sockets of the Unix family are connected as others are: to a listener, to nobody, and to one whose queue is full.

use socket_iocp::{Context, Error, ErrorCode, Port, SocketHandle};
use socket_iocp_testkit::{BOUND, Event, Lab, Probe, on_every_backend};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, process};

// Real only: the simulated network has one family.
on_every_backend!(real:
    a_listener_is_connected_to,
    a_socket_with_a_name_keeps_it,
    nobody_there_is_told_by_the_farewell,
    a_full_queue_is_waited_for,
    a_full_queue_is_waited_for_with_a_socket_that_does_not_block,
    a_wait_for_a_full_queue_ends_with_its_socket,
);

/// A path of this test's own, whose file goes with it.
struct Place(PathBuf);

impl Place {
    fn new(lab: &Lab, test: &str) -> Place {
        let path = env::temp_dir().join(format!("socket-iocp-{}-{}-{test}", process::id(), lab.name()));
        // What an earlier process of this number may have left.
        let _ = fs::remove_file(&path);
        Place(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn address(&self) -> SockAddr {
        SockAddr::unix(&self.0).expect("a short path")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // There is none where nobody has listened.
        let _ = fs::remove_file(&self.0);
    }
}

fn unconnected() -> Socket {
    Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket")
}

fn connect(port: &Port<Probe>, socket: Socket, place: &Place) -> SocketHandle {
    port.connect(socket, &place.address(), 7).expect("a socket to be connected")
}

fn is_connected(event: &Event) -> bool {
    matches!(event, Event::Connected { .. })
}

/// A port that tells of both names in the connect callback, and then receives.
fn telling(lab: &Lab) -> (Port<Probe>, mpsc::Receiver<(SockAddr, SockAddr)>) {
    let (tell, told) = mpsc::channel();
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        let context = context?;
        if is_connected(event) {
            assert_eq!((context.local_addr(), context.remote_addr()), (None, None), "no internet addresses");
            let (local, remote) = context.sockaddrs().expect("a connect callback");
            tell.send((local.clone(), remote.clone())).expect("the test listens");
            context.recv().expect("a connected socket");
        }
        Some(0)
    });
    (Port::new(probe, lab.options()).expect("a port"), told)
}

fn a_listener_is_connected_to(lab: &Lab) {
    let place = Place::new(lab, "connected");
    let listener = UnixListener::bind(place.path()).expect("a path");
    let (port, told) = telling(lab);
    let handle = connect(&port, unconnected(), &place);
    port.send(handle, &b"hello"[..], 1).expect("a socket that is being connected");
    let (mut far, _) = listener.accept().expect("the connection");
    let (local, remote) = told.recv_timeout(BOUND).expect("the connect");
    assert_eq!(remote.as_pathname(), Some(place.path()));
    assert!(local.is_unix() && local.as_pathname().is_none(), "{local:?}");
    let mut hello = [0; 5];
    far.read_exact(&mut hello).expect("the send");
    far.write_all(&hello).expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 5), b"hello");
    port.abort(handle).expect("an open socket");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason, Err(ErrorCode::Cancelled.into()));
    assert!(is_connected(&history[0]), "{history:?}");
}

fn a_socket_with_a_name_keeps_it(lab: &Lab) {
    let (place, own) = (Place::new(lab, "named"), Place::new(lab, "name"));
    let listener = UnixListener::bind(place.path()).expect("a path");
    let (port, told) = telling(lab);
    let socket = unconnected();
    socket.bind(&own.address()).expect("another path");
    connect(&port, socket, &place);
    let (_far, name) = listener.accept().expect("the connection");
    assert_eq!(name.as_pathname(), Some(own.path()));
    let (local, remote) = told.recv_timeout(BOUND).expect("the connect");
    assert_eq!((local.as_pathname(), remote.as_pathname()), (Some(own.path()), Some(place.path())));
}

fn nobody_there_is_told_by_the_farewell(lab: &Lab) {
    let place = Place::new(lab, "nobody");
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    // Nothing has that name.
    let (reason, history) = port.handler().wait_for_end(connect(&port, unconnected(), &place));
    let error = reason.expect_err("nothing there");
    assert_eq!((error.code(), error.os_error(), history), (ErrorCode::Os, Some(libc::ENOENT), vec![]));
    // Who has listened there has gone.
    drop(UnixListener::bind(place.path()).expect("a path"));
    let (reason, history) = port.handler().wait_for_end(connect(&port, unconnected(), &place));
    let error = reason.expect_err("nobody there");
    assert_eq!((error.code(), error.os_error(), history), (ErrorCode::Refused, Some(libc::ECONNREFUSED), vec![]));
}

/// A listener whose queue is full, and those in it.
fn full(place: &Place) -> (UnixListener, Vec<Socket>) {
    let listener = unconnected();
    listener.bind(&place.address()).expect("a path");
    listener.listen(0).expect("a queue of one");
    let mut queue = Vec::new();
    loop {
        let next = unconnected();
        next.set_nonblocking(true).expect("a mode");
        match next.connect(&place.address()) {
            Ok(()) => queue.push(next),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (listener.into(), queue),
            Err(error) => panic!("a queue that is not full: {error}"),
        }
    }
}

/// Takes everybody out of the queue, and the last one after them.
fn last_of(listener: &UnixListener, queue: &[Socket]) -> impl Read + Write {
    queue.iter().for_each(|_| drop(listener.accept().expect("one of the queue")));
    listener.accept().expect("the last").0
}

fn a_full_queue_is_waited_for(lab: &Lab) {
    let place = Place::new(lab, "full");
    let (listener, queue) = full(&place);
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let handle = connect(&port, unconnected(), &place);
    port.send(handle, &b"at last"[..], 1).expect("a socket that is being connected");
    let mut read = [0; 7];
    last_of(&listener, &queue).read_exact(&mut read).expect("the send");
    assert_eq!(&read, b"at last");
    port.handler().wait_for_count("the send", 1, |event| event.sent() == Some((1, Ok(()))));
    assert!(is_connected(&port.handler().history(handle)[0]));
}

fn a_full_queue_is_waited_for_with_a_socket_that_does_not_block(lab: &Lab) {
    let place = Place::new(lab, "full-nonblocking");
    let (listener, queue) = full(&place);
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let socket = unconnected();
    socket.set_nonblocking(true).expect("a mode");
    let handle = connect(&port, socket, &place);
    // It rests between its tries.
    while port.statistics().buffer_shortages < 3 {
        std::thread::yield_now();
    }
    let _far = last_of(&listener, &queue);
    port.handler().wait_for_count("the connect", 1, is_connected);
    assert_eq!(port.handler().history(handle).len(), 1);
}

fn a_wait_for_a_full_queue_ends_with_its_socket(lab: &Lab) {
    fn ends(port: &Port<Probe>, handle: SocketHandle) -> Result<(), Error> {
        let (reason, history) = port.handler().wait_for_end(handle);
        assert_eq!(history, []);
        reason
    }
    let place = Place::new(lab, "full-ended");
    let (_listener, _queue) = full(&place);
    for nonblocking in [false, true] {
        let port = Port::new(Probe::silent(), lab.options()).expect("a port");
        let issue = || {
            let socket = unconnected();
            socket.set_nonblocking(nonblocking).expect("a mode");
            connect(&port, socket, &place)
        };
        let (aborted, closed, removed, deleted) = (issue(), issue(), issue(), issue());
        let limit = Duration::from_millis(30);
        let limited = port.connect_within(unconnected(), &place.address(), limit, 0).expect("a socket");
        assert_eq!(ends(&port, limited), Err(ErrorCode::TimedOut.into()));
        port.abort(aborted).expect("a socket that is being connected");
        assert_eq!(ends(&port, aborted), Err(ErrorCode::Cancelled.into()));
        port.close(closed).expect("a socket that is being connected");
        assert_eq!(ends(&port, closed), Ok(()));
        port.remove(removed).expect("a socket that is being connected");
        assert_eq!(ends(&port, removed), Ok(()));
        assert_eq!(port.handler().take_returned().len(), 1);
        let kept = port.clone();
        port.delete();
        assert_eq!(kept.handler().wait_for_farewell(deleted), Err(ErrorCode::Cancelled.into()));
    }
}
