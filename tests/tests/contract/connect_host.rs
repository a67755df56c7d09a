//! A connect by host name: the addresses are raced, and what comes of it is told as of any connect.

use super::connect::{is_connected, issue_and_wait};
use socket_iocp::sim::Names;
use socket_iocp::{Context, Error, ErrorCode, MAX_TIME_LIMIT, Options, Port, Socket, SocketHandle};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

on_every_backend!(
    it_is_the_first_callback_and_tells_both_addresses,
    an_address_is_not_looked_up,
    what_is_issued_before_waits_for_it,
    the_second_address_is_tried_beside_a_silent_one,
    the_second_address_is_tried_when_the_first_refuses,
    addresses_that_all_refuse_are_told_by_the_farewell_alone,
    a_name_that_nobody_has_says_why,
    there_is_no_socket_before_it,
    a_time_limit_is_over_all,
    close_waits_with_something_to_send,
    it_may_be_issued_in_a_callback,
    a_driven_port_connects,
    many_at_once,
    a_wrong_host_is_refused,
    it_counts_for_the_limit_of_sockets,
);

// Real only: the simulated network has one family, and no resolver of a system's.
on_every_backend!(real:
    this_host_has_a_name,
    both_families_of_this_host_are_tried,
    a_reserved_name_is_nobodys,
);

/// The port that is asked for where the table of names says it.
const ANY: u16 = 9;
const LONG: Duration = Duration::from_secs(3600);
/// As RFC 8305 has it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

fn names(known: &[(&str, &[SocketAddr])]) -> Arc<Names> {
    let names = Names::new();
    known.iter().for_each(|(name, addresses)| names.add(name, addresses));
    names
}

fn port_with(lab: &Lab, probe: Probe, names: &Arc<Names>) -> Port<Probe> {
    Port::new(probe, lab.options().names(names.clone())).expect("a port")
}

fn code(result: Result<(), Error>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

fn it_is_the_first_callback_and_tells_both_addresses(lab: &Lab) {
    let far = lab.far();
    let port = port_with(lab, Probe::reader(), &names(&[("far", &[far.address()])]));
    let handle = port.connect_host("far", ANY, 7).expect("a name");
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
    assert_eq!(code(reason), Some(ErrorCode::Cancelled));
    assert!(is_connected(&history[0]) && history.iter().filter(|event| is_connected(event)).count() == 1);
    assert_eq!(port.statistics().connects, 1);
}

fn an_address_is_not_looked_up(lab: &Lab) {
    let far = lab.far();
    let names = names(&[]);
    names.add_hanging(&far.address().ip().to_string());
    let port = port_with(lab, Probe::silent(), &names);
    port.connect_host(&far.address().ip().to_string(), far.address().port(), 0).expect("an address");
    let _client = far.accept();
    port.handler().wait_for_count("the connect", 1, is_connected);
}

fn what_is_issued_before_waits_for_it(lab: &Lab) {
    let far = lab.far();
    let port = port_with(lab, Probe::silent(), &names(&[("far", &[far.address()])]));
    let handle = port.connect_host("far", ANY, 0).expect("a name");
    issue_and_wait(&port, handle, &far);
}

fn the_second_address_is_tried_beside_a_silent_one(lab: &Lab) {
    let (far, silent) = (lab.far(), lab.silent());
    let port = port_with(lab, Probe::silent(), &names(&[("far", &[silent.address(), far.address()])]));
    let began = Instant::now();
    port.connect_host("far", ANY, 0).expect("a name");
    let _client = far.accept();
    let connected = &port.handler().wait_for_count("the connect", 1, is_connected)[0];
    assert!(matches!(connected, Event::Connected { remote, .. } if *remote == Some(far.address())), "{connected:?}");
    assert!(began.elapsed() >= ATTEMPT_DELAY, "{:?}", began.elapsed());
}

fn the_second_address_is_tried_when_the_first_refuses(lab: &Lab) {
    let (far, refusing) = (lab.far(), lab.refusing_address());
    let port = port_with(lab, Probe::silent(), &names(&[("far", &[refusing, refusing, far.address()])]));
    port.connect_host("far", ANY, 0).expect("a name");
    let _client = far.accept();
    let connected = &port.handler().wait_for_count("the connect", 1, is_connected)[0];
    assert!(matches!(connected, Event::Connected { remote, .. } if *remote == Some(far.address())), "{connected:?}");
}

fn addresses_that_all_refuse_are_told_by_the_farewell_alone(lab: &Lab) {
    let refusing = lab.refusing_address();
    let port = port_with(lab, Probe::silent(), &names(&[("far", &[refusing, refusing])]));
    let handle = port.connect_host("far", ANY, 3).expect("a name");
    let (reason, history) = port.handler().wait_for_end(handle);
    let reason = reason.expect_err("nobody listens there");
    assert!(reason.code() == ErrorCode::Refused && reason.os_error().is_some(), "{reason}");
    assert_eq!((history, port.statistics().connects), (vec![], 0));
}

fn a_name_that_nobody_has_says_why(lab: &Lab) {
    let port = port_with(lab, Probe::silent(), &names(&[("nowhere", &[])]));
    for (name, has_code) in [("nobody", true), ("nowhere", false)] {
        let handle = port.connect_host(name, ANY, 0).expect("a name");
        let (reason, history) = port.handler().wait_for_end(handle);
        let reason = reason.expect_err("nobody has it");
        assert_eq!((reason.code(), reason.os_error().is_some()), (ErrorCode::Unresolved, has_code));
        assert_eq!(history, []);
    }
}

/// What comes before the connect callback finds no number, and a removal has nothing to hand back.
fn there_is_no_socket_before_it(lab: &Lab) {
    let far = lab.far();
    let known = names(&[("far", &[far.address()])]);
    known.add_hanging("slow");
    let numbers = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = numbers.clone();
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        let context = context?;
        let found = context.port().find(context.raw_socket());
        seen.lock().expect("no panic").push((context.has_socket(), found.is_some(), context.remote_addr().is_some()));
        assert!(matches!(event, Event::Connected { .. }) == (found == Some(context.handle())));
        Some(0)
    });
    let port = port_with(lab, probe, &known);
    let handle = port.connect_host("slow", ANY, 0).expect("a name");
    known.wait_until_asked("slow", 1);
    port.timer(handle, Duration::ZERO).expect("a socket that is being connected");
    port.handler().wait_for_count("the timer", 1, |event| matches!(event, Event::Timer { .. }));
    port.remove(handle).expect("a socket that is being connected");
    assert_eq!(code(port.handler().wait_for_farewell(handle)), None);
    assert_eq!(port.handler().take_returned().iter().map(Socket::as_raw).collect::<Vec<_>>(), []);
    let connected = port.connect_host("far", ANY, 0).expect("a name");
    let _client = far.accept();
    port.handler().wait_for_count("the connect", 1, is_connected);
    port.remove(connected).expect("a connected socket");
    assert_eq!(code(port.handler().wait_for_farewell(connected)), None);
    assert_eq!(port.handler().take_returned().len(), 1);
    known.release();
    port.delete();
    let seen = numbers.lock().expect("no panic").clone();
    assert_eq!(seen[..3], [(false, false, false), (false, false, false), (true, true, true)]);
}

fn a_time_limit_is_over_all(lab: &Lab) {
    let silent = lab.silent();
    let port = port_with(lab, Probe::silent(), &names(&[("far", &[silent.address(), silent.address()])]));
    let limit = ATTEMPT_DELAY + Duration::from_millis(20);
    let began = Instant::now();
    let handle = port.connect_host_within("far", ANY, limit, 0).expect("a name");
    port.send(handle, &b"never"[..], 1).expect("a socket that is being connected");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(code(reason), Some(ErrorCode::TimedOut));
    let sent: Vec<_> = history.iter().filter_map(Event::sent).collect();
    assert_eq!((sent, history.len()), (vec![(1, Err(ErrorCode::Cancelled.into()))], 1));
    assert!(began.elapsed() >= limit);
    let refused = port.connect_host_within("far", ANY, MAX_TIME_LIMIT + limit, 7).expect_err("too long");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::InvalidArgument, 7));
}

fn close_waits_with_something_to_send(lab: &Lab) {
    let far = lab.far();
    let port = port_with(lab, Probe::silent(), &names(&[("far", &[far.address()])]));
    let handle = port.connect_host("far", ANY, 0).expect("a name");
    port.send(handle, &b"last words"[..], 1).expect("a socket that is being connected");
    port.close(handle).expect("the same");
    let mut client = far.accept();
    assert_eq!(client.read_to_end().expect("them, and FIN"), b"last words");
    client.shutdown_write();
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason, Ok(()));
    assert!(is_connected(&history[0]) && history[1].sent() == Some((1, Ok(()))), "{history:?}");
}

fn it_may_be_issued_in_a_callback(lab: &Lab) {
    let far = lab.far();
    let probe = Probe::reacting(|_, context, event| {
        let context = context?;
        match event {
            Event::Accepted { .. } => {
                let handle = context.port().connect_host("far", ANY, 1).expect("a name");
                context.port().send(handle, &b"from a callback"[..], 0).expect("a socket that is being connected");
            }
            Event::Connected { .. } => context.recv().expect("a connected socket"),
            _ => {}
        }
        Some(0)
    });
    let port = port_with(lab, probe, &names(&[("far", &[far.address()])]));
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

fn a_driven_port_connects(lab: &Lab) {
    let far = lab.far();
    let options = lab.options().threads(0).names(names(&[("far", &[far.address()])]));
    let port = Port::new(Probe::silent(), options).expect("a port");
    let handle = port.connect_host("far", ANY, 0).expect("a name");
    port.send(handle, &b"driven"[..], 1).expect("a socket that is being connected");
    while port.handler().history(handle).len() < 2 {
        port.run(None).expect("nobody else runs it");
    }
    assert_eq!(far.accept().read_exact(6).expect("the send"), b"driven");
}

fn many_at_once(lab: &Lab) {
    const EACH: usize = 40;
    let (far, refusing) = (lab.far(), lab.refusing_address());
    let known = names(&[("far", &[refusing, far.address()]), ("refusing", &[refusing])]);
    let port = port_with(lab, Probe::reader(), &known);
    let handles: Vec<SocketHandle> = (0..EACH)
        .map(|number| {
            let handle = port.connect_host("far", ANY, number as u64).expect("a name");
            port.send(handle, vec![number as u8], 0).expect("a socket that is being connected");
            port.connect_host("refusing", ANY, 1000).expect("a name")
        })
        .collect();
    let mut clients: Vec<_> = (0..EACH).map(|_| far.accept()).collect();
    let mut seen: Vec<u8> = clients.iter_mut().map(|client| client.read_exact(1).expect("a number")[0]).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..EACH as u8).collect::<Vec<_>>());
    for refused in &handles {
        assert_eq!(code(port.handler().wait_for_farewell(*refused)), Some(ErrorCode::Refused));
    }
    port.handler().wait_for_count("the connects", EACH, is_connected);
    assert_eq!(port.statistics().connects, EACH as u64);
}

fn a_wrong_host_is_refused(lab: &Lab) {
    let port = port_with(lab, Probe::silent(), &names(&[]));
    let long = "a".repeat(256);
    for (host, number) in [("", ANY), ("a\0b", ANY), (long.as_str(), ANY), ("far", 0)] {
        let refused = port.connect_host(host, number, 7).expect_err("a wrong one");
        assert_eq!((refused.error.code(), refused.state), (ErrorCode::InvalidArgument, 7), "{host:?}");
    }
    let kept = port.clone();
    port.delete();
    let refused = kept.connect_host("far", ANY, 8).expect_err("no port");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Closed, 8));
}

fn it_counts_for_the_limit_of_sockets(lab: &Lab) {
    let (silent, refusing) = (lab.silent(), lab.refusing_address());
    let known = names(&[("silent", &[silent.address()]), ("refusing", &[refusing])]);
    let port = Port::new(Probe::silent(), lab.options().max_sockets(2).names(known)).expect("a port");
    let held = port.connect_host_within("silent", ANY, LONG, 0).expect("one of two");
    let refused = port.connect_host("refusing", ANY, 0).expect("two of two");
    assert_eq!(code(port.handler().wait_for_farewell(refused)), Some(ErrorCode::Refused));
    // The farewell is a socket's last callback; its place is free a moment later.
    let again = loop {
        match port.connect_host("silent", ANY, 0) {
            Ok(handle) => break handle,
            Err(full) => assert_eq!(full.error.code(), ErrorCode::Limit),
        }
    };
    assert_eq!(port.connect_host("silent", ANY, 0).map_err(|full| full.error.code()), Err(ErrorCode::Limit));
    for handle in [held, again] {
        port.cancel_connect(handle).expect("it is outstanding");
        assert_eq!(code(port.handler().wait_for_farewell(handle)), Some(ErrorCode::Cancelled));
    }
}

// ---- the system's own resolver ----

fn this_host_has_a_name(lab: &Lab) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    port.connect_host("localhost", address.port(), 0).expect("a name");
    let connected = &port.handler().wait_for_count("the connect", 1, is_connected)[0];
    assert!(matches!(connected, Event::Connected { remote, .. } if *remote == Some(address)), "{connected:?}");
}

/// Whichever of them listens, be it the one that is not tried first.
fn both_families_of_this_host_are_tried(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    for (round, bound) in ["127.0.0.1:0", "[::1]:0"].into_iter().enumerate() {
        let listener = TcpListener::bind(bound).expect("a loopback of this family");
        let address = listener.local_addr().expect("an address");
        let host = if round == 0 { "127.0.0.1" } else { "::1" };
        for (tried, host) in ["localhost", host].into_iter().enumerate() {
            // Not every system has both families under that name.
            let handle = port.connect_host(host, address.port(), 0).expect("a name");
            let is_its = |event: &&Event| event.handle() == Some(handle);
            let told = port.handler().wait_for("its first callback", |log| log.iter().find(is_its).cloned());
            match told {
                Event::Connected { remote, .. } => assert_eq!(remote, Some(address)),
                other => assert!(tried == 0 && round == 1, "{host}: {other:?}"),
            }
        }
    }
}

/// RFC 6761 reserves what ends so.
fn a_reserved_name_is_nobodys(lab: &Lab) {
    let options: Options = lab.options();
    let port = Port::new(Probe::silent(), options).expect("a port");
    let handle = port.connect_host("nobody.invalid", 80, 0).expect("a name");
    let (reason, history) = port.handler().wait_for_end(handle);
    let reason = reason.expect_err("nobody has it");
    assert_eq!((reason.code(), history), (ErrorCode::Unresolved, vec![]));
    assert!(reason.os_error().is_some());
}
