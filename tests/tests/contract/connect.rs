//! A connect is an operation like the others: its callback comes once, first, or the farewell tells why not.

use socket_iocp::{Context, ErrorCode, Port, PortHandle, Socket, SocketHandle};
use socket_iocp_testkit::{Event, Far, Lab, Probe, on_every_backend};
use socket2::SockAddr;
use std::net::SocketAddr;
use std::time::Duration;

on_every_backend!(
    it_is_the_first_callback_and_tells_both_addresses,
    what_is_issued_before_waits_for_it,
    a_send_of_no_bytes_waits_for_it_too,
    a_refusal_is_the_farewells_alone,
    abort_cancels_it,
    remove_hands_the_socket_back,
    close_cancels_it,
    close_waits_with_something_to_send_up_to_the_linger_limit,
    delete_cancels_it,
    a_time_limit_ends_it,
    a_connect_in_time_has_no_limit_any_more,
    it_may_be_issued_in_a_callback,
    a_panic_in_its_callback_ends_the_socket,
    many_at_once,
    a_wrong_socket_is_refused,
    it_counts_for_the_limit_of_sockets,
);

fn connect(port: &Port<Probe>, lab: &Lab, address: SocketAddr, state: u64) -> SocketHandle {
    port.connect(lab.unconnected(), &address.into(), state).expect("a socket to be connected")
}

pub(super) fn is_connected(event: &Event) -> bool {
    matches!(event, Event::Connected { .. })
}

fn it_is_the_first_callback_and_tells_both_addresses(lab: &Lab) {
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let far = lab.far();
    let handle = connect(&port, lab, far.address(), 7);
    let mut client = far.accept();
    let connected = &port.handler().wait_for_count("the connect", 1, is_connected)[0];
    let Event::Connected { handle: told, state, local, remote } = connected else { panic!("{connected:?}") };
    assert_eq!((*told, *state, *remote), (handle, 7, Some(far.address())));
    assert_eq!(*local, client.peer_address());
    port.recv(handle).expect("a connected socket");
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(port.handler().wait_for_bytes(handle, 5), b"hello");
    port.send(handle, &b"answer"[..], 1).expect("a connected socket");
    assert_eq!(client.read_exact(6).expect("the answer"), b"answer");
    port.abort(handle).expect("an open socket");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    assert!(is_connected(&history[0]) && history.iter().filter(|event| is_connected(event)).count() == 1);
    assert_eq!(port.statistics().connects, 1);
}

fn what_is_issued_before_waits_for_it(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let far = lab.far();
    let handle = connect(&port, lab, far.address(), 0);
    issue_and_wait(&port, handle, &far);
}

/// Issues recv and sends on a socket that is being connected: they wait for the connection, and are reported behind it.
pub(super) fn issue_and_wait(port: &PortHandle<Probe>, handle: SocketHandle, far: &Far) {
    for write in 0..10 {
        port.send(handle, vec![write as u8; 1000], write).expect("a socket that is being connected");
    }
    port.sync_send(handle, &b"last"[..], 10).expect("the same");
    port.recv(handle).expect("the same");
    let again = port.recv(handle).expect_err("one recv at a time");
    assert_eq!(again.code(), ErrorCode::Busy);
    let mut client = far.accept();
    let read = client.read_exact(10_004).expect("everything");
    assert!((0..10_000).all(|place| read[place] == (place / 1000) as u8));
    assert_eq!(&read[10_000..], b"last");
    client.write_all(b"x").expect("a live connection");
    port.handler().wait_for_bytes(handle, 1);
    port.handler().wait_for_count("the sends", 11, |event| event.sent().is_some());
    let history = port.handler().history(handle);
    assert!(is_connected(&history[0]), "{history:?}");
    let sent: Vec<_> = history.iter().filter_map(Event::sent).collect();
    assert_eq!(sent, (0..11).map(|write| (write, Ok(()))).collect::<Vec<_>>());
}

fn a_send_of_no_bytes_waits_for_it_too(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (far, silent) = (lab.far(), lab.silent());
    let never = connect(&port, lab, silent.address(), 0);
    port.send(never, &b""[..], 1).expect("a socket that is being connected");
    let handle = connect(&port, lab, far.address(), 0);
    port.send(handle, &b""[..], 2).expect("the same");
    let _client = far.accept();
    port.handler().wait_for_count("the other's send", 1, |event| event.sent() == Some((2, Ok(()))));
    assert!(is_connected(&port.handler().history(handle)[0]));
    port.abort(never).expect("an open socket");
    let (_, history) = port.handler().wait_for_end(never);
    let sent: Vec<_> = history.iter().filter_map(Event::sent).collect();
    assert_eq!(sent, [(1, Err(ErrorCode::Cancelled.into()))]);
}

fn a_refusal_is_the_farewells_alone(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let handle = connect(&port, lab, lab.refusing_address(), 3);
    // Whether these come before the refusal is not ours to say.
    let sent = port.send(handle, &b"in vain"[..], 5).is_ok();
    let _ = port.recv(handle);
    let (reason, history) = port.handler().wait_for_end(handle);
    let reason = reason.expect_err("nobody listens there");
    assert_eq!(reason.code(), ErrorCode::Refused);
    assert!(reason.os_error().is_some());
    let sends: Vec<_> = history.iter().filter_map(Event::sent).collect();
    assert_eq!((history.len(), sends.len()), (usize::from(sent), usize::from(sent)), "{history:?}");
    assert!(sends.iter().all(|(write, result)| *write == 5 && result.is_err()));
    assert_eq!(port.statistics().connects, 0);
}

fn abort_cancels_it(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let silent = lab.silent();
    let handle = connect(&port, lab, silent.address(), 0);
    port.recv(handle).expect("a socket that is being connected");
    port.send(handle, &b"never"[..], 1).expect("the same");
    port.abort(handle).expect("the same");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    let sent: Vec<_> = history.iter().filter_map(Event::sent).collect();
    assert_eq!(sent, [(1, Err(ErrorCode::Cancelled.into()))]);
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(port.recv(handle).map_err(|error| error.code()), Err(ErrorCode::Closed));
}

fn remove_hands_the_socket_back(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let silent = lab.silent();
    let socket = lab.unconnected();
    let number = socket.as_raw();
    let handle = port.connect(socket, &silent.address().into(), 0).expect("a socket to be connected");
    port.remove(handle).expect("a socket that is being connected");
    assert_eq!(port.handler().wait_for_end(handle), (Ok(()), vec![]));
    let returned = port.handler().take_returned();
    assert_eq!(returned.iter().map(Socket::as_raw).collect::<Vec<_>>(), [number]);
}

fn close_cancels_it(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().linger(Duration::from_secs(3600))).expect("a port");
    let silent = lab.silent();
    let handle = connect(&port, lab, silent.address(), 0);
    port.recv(handle).expect("a socket that is being connected");
    port.close(handle).expect("the same");
    assert_eq!(port.handler().wait_for_end(handle), (Ok(()), vec![]));
}

fn close_waits_with_something_to_send_up_to_the_linger_limit(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let far = lab.far();
    let handle = connect(&port, lab, far.address(), 0);
    port.send(handle, &b"last words"[..], 1).expect("a socket that is being connected");
    port.close(handle).expect("the same");
    let mut client = far.accept();
    assert_eq!(client.read_to_end().expect("them, and FIN"), b"last words");
    client.shutdown_write();
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason, Ok(()));
    assert!(is_connected(&history[0]) && history[1].sent() == Some((1, Ok(()))), "{history:?}");

    let port = Port::new(Probe::silent(), lab.options().linger(Duration::from_millis(20))).expect("a port");
    let silent = lab.silent();
    let handle = connect(&port, lab, silent.address(), 0);
    port.send(handle, &b"never"[..], 1).expect("a socket that is being connected");
    port.close(handle).expect("the same");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    assert_eq!(history.iter().filter_map(Event::sent).collect::<Vec<_>>(), [(1, Err(ErrorCode::Cancelled.into()))]);
}

fn delete_cancels_it(lab: &Lab) {
    let (silent, far) = (lab.silent(), lab.far());
    for _ in 0..20 {
        let port = Port::new(Probe::silent(), lab.options()).expect("a port");
        let kept = port.clone();
        let hopeless = connect(&port, lab, silent.address(), 0);
        let hopeful = connect(&port, lab, far.address(), 0);
        port.delete();
        for handle in [hopeless, hopeful] {
            let (reason, _) = kept.handler().wait_for_end(handle);
            assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
        }
        assert_eq!(kept.history_of_connects(hopeless), 0);
    }
}

fn a_time_limit_ends_it(lab: &Lab) {
    let silent = lab.silent();
    let limited = lab.options().idle_timeout(Duration::from_secs(600));
    for options in [lab.options(), limited] {
        let port = Port::new(Probe::silent(), options).expect("a port");
        let address = silent.address().into();
        let handle = port.connect_within(lab.unconnected(), &address, Duration::from_millis(20), 0).expect("a socket");
        port.send(handle, &b"never"[..], 1).expect("a socket that is being connected");
        let (reason, history) = port.handler().wait_for_end(handle);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
        let sent: Vec<_> = history.iter().filter_map(Event::sent).collect();
        assert_eq!((sent, history.len()), (vec![(1, Err(ErrorCode::Cancelled.into()))], 1));
    }
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let too_long = socket_iocp::MAX_TIME_LIMIT + Duration::from_millis(1);
    let refused = port.connect_within(lab.unconnected(), &silent.address().into(), too_long, 7).expect_err("too long");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::InvalidArgument, 7));
}

/// That of one socket has passed when that of another has, which was issued later.
fn a_connect_in_time_has_no_limit_any_more(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().threads(1)).expect("a port");
    let (far, silent) = (lab.far(), lab.silent());
    let within = |address: SocketAddr, time_ms| {
        let time = Duration::from_millis(time_ms);
        port.connect_within(lab.unconnected(), &address.into(), time, 0).expect("a socket to be connected")
    };
    let connected = within(far.address(), 2000);
    let mut client = far.accept();
    port.handler().wait_for_count("the connect", 1, is_connected);
    let late = within(silent.address(), 2100);
    let reason = port.handler().wait_for_farewell(late);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
    port.send(connected, &b"still here"[..], 1).expect("a connected socket");
    assert_eq!(client.read_exact(10).expect("the send"), b"still here");
}

/// What a test counts.
trait Connects {
    fn history_of_connects(&self, socket: SocketHandle) -> usize;
}

impl Connects for socket_iocp::PortHandle<Probe> {
    fn history_of_connects(&self, socket: SocketHandle) -> usize {
        self.handler().history(socket).iter().filter(|event| is_connected(event)).count()
    }
}

/// A port that connects to another place for each connection that it accepts.
fn it_may_be_issued_in_a_callback(lab: &Lab) {
    let far = lab.far();
    let address = SockAddr::from(far.address());
    let sockets = std::sync::Mutex::new(vec![lab.unconnected(), lab.unconnected()]);
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        let context = context?;
        match event {
            Event::Accepted { .. } => {
                let socket = sockets.lock().expect("no panic").pop().expect("one for each");
                let handle = context.port().connect(socket, &address, 1).expect("a socket to be connected");
                context.port().send(handle, &b"from a callback"[..], 0).expect("a socket that is being connected");
            }
            Event::Connected { .. } => context.recv().expect("a connected socket"),
            _ => {}
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (listener, here) = lab.listen();
    port.add_listener(listener, 4, 0).expect("a listener");
    let _clients = [lab.connect(here), lab.connect(here)];
    for _ in 0..2 {
        let mut client = far.accept();
        assert_eq!(client.read_exact(15).expect("the send"), b"from a callback");
        client.write_all(b"y").expect("a live connection");
    }
    let bytes = |event: &Event| matches!(event, Event::Received { state: 1, result: Ok(bytes), .. } if bytes == b"y");
    port.handler().wait_for_count("two answers", 2, bytes);
}

fn a_panic_in_its_callback_ends_the_socket(lab: &Lab) {
    let probe = Probe::reacting(|_, _, event| {
        assert!(!is_connected(event), "a panic on purpose");
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let far = lab.far();
    let handle = connect(&port, lab, far.address(), 0);
    let (reason, _) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Panic));
}

fn many_at_once(lab: &Lab) {
    const EACH: usize = 40;
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    let (far, refusing) = (lab.far(), lab.refusing_address());
    let handles: Vec<_> = (0..EACH)
        .map(|number| {
            let handle = connect(&port, lab, far.address(), number as u64);
            port.send(handle, vec![number as u8], 0).expect("a socket that is being connected");
            (handle, connect(&port, lab, refusing, 1000))
        })
        .collect();
    let mut clients: Vec<_> = (0..EACH).map(|_| far.accept()).collect();
    let mut seen: Vec<u8> = clients.iter_mut().map(|client| client.read_exact(1).expect("a number")[0]).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..EACH as u8).collect::<Vec<_>>());
    for (_, refused) in &handles {
        let reason = port.handler().wait_for_farewell(*refused);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Refused));
    }
    port.handler().wait_for_count("the connects", EACH, is_connected);
    assert_eq!(port.statistics().connects, EACH as u64);
}

fn a_wrong_socket_is_refused(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let far = lab.far();
    let address = SockAddr::from(far.address());
    let six = SockAddr::from("[::1]:9".parse::<SocketAddr>().expect("an address"));
    let (connected, _client) = lab.pair();
    for (socket, address, code) in [
        (connected, &address, ErrorCode::AlreadyConnected),
        (lab.listen().0, &address, ErrorCode::Listening),
        (lab.unconnected(), &six, ErrorCode::InvalidArgument),
    ] {
        let number = socket.as_raw();
        let refused = port.connect(socket, address, 9).expect_err("not to be connected there");
        assert_eq!((refused.error.code(), refused.state, refused.socket.as_raw()), (code, 9, number));
    }
    let kept = port.clone();
    port.delete();
    let refused = kept.connect(lab.unconnected(), &address, 9).expect_err("a deleted port");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Closed, 9));
}

fn it_counts_for_the_limit_of_sockets(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_sockets(1)).expect("a port");
    let silent = lab.silent();
    let first = connect(&port, lab, silent.address(), 0);
    let refused = port.connect(lab.unconnected(), &silent.address().into(), 5).expect_err("one above the limit");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Limit, 5));
    port.abort(first).expect("a socket that is being connected");
    port.handler().wait_for_farewell(first).expect_err("an abort");
    while port.statistics().sockets_now != 0 {
        std::thread::yield_now();
    }
    let far = lab.far();
    let second = port.connect(lab.unconnected(), &far.address().into(), 0).expect("room again");
    port.handler().wait_for_count("the connect", 1, is_connected);
    assert_eq!(port.handler().history(second).len(), 1);
}
