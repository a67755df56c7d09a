//! No descriptor left: a listener backs off, counts it, does not spin, and goes on by itself; calls that need one answer so and
//! leave nothing behind; what is served goes on. ("Accepting".)

use limit::{above_limit, first_free, set_limit};
use socket_iocp::{ErrorCode, Port, PortHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, in_own_process, on_every_backend, open_descriptors, platform};
use socket_iocp_testkit::{threads, wait_for_threads};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

on_every_backend!(the_delay_alone_is_enough, the_delay_grows, what_is_served_goes_on);
// Real only: the simulated network has a shortage or has none, it does not count; and it makes no descriptors of a port's own.
on_every_backend!(
    real: a_freed_descriptor_is_used_at_once_and_all_are_served,
    a_port_that_finds_none_is_an_error_of_the_call,
    calls_that_need_one_say_so_and_the_others_go_on,
);

/// The limit of issue 2.
const LIMIT: usize = 64;
const CLIENTS: usize = 40;

/// The process's limit of descriptors.
#[cfg(unix)]
mod limit {
    use super::LIMIT;
    use socket_iocp_testkit::platform;
    use std::os::fd::{AsRawFd, FromRawFd};

    /// Sets the process's limit of descriptors: no number from `limit` on is given out.
    pub(super) fn set_limit(limit: usize) {
        let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes one `rlimit`.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut now) }, 0);
        now.rlim_cur = limit as libc::rlim_t;
        // SAFETY: the call reads one `rlimit`.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &now) }, 0);
    }

    /// The same socket under a number above the limit.
    pub(super) fn above_limit(low: socket2::Socket) -> socket2::Socket {
        // SAFETY: the call makes another descriptor of an open one.
        let high = unsafe { libc::fcntl(low.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LIMIT as libc::c_int) };
        assert!(high >= LIMIT as libc::c_int, "a number above the limit");
        // SAFETY: it is new and nobody else's.
        unsafe { socket2::Socket::from_raw_fd(high) }
    }

    /// The first number that is free, every lower one being in use.
    pub(super) fn first_free() -> usize {
        platform::number_of(&platform::null_device()) as usize
    }
}

/// Windows has no such limit: only the simulated network gets here.
#[cfg(windows)]
mod limit {
    pub(super) fn set_limit(_: usize) {}

    pub(super) fn above_limit(socket: socket2::Socket) -> socket2::Socket {
        socket
    }

    pub(super) fn first_free() -> usize {
        unreachable!("not on Windows, see left_out.rs")
    }
}

/// Clients whose descriptors are made before the shortage and lie above the limit, so that they take nothing of it.
fn unconnected(lab: &Lab, count: usize) -> Vec<socket2::Socket> {
    let count = if lab.network().is_some() { 0 } else { count };
    let make = |_| {
        let low = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        above_limit(low)
    };
    (0..count).map(make).collect()
}

fn connect(lab: &Lab, sockets: Vec<socket2::Socket>, count: usize, address: SocketAddr) -> Vec<Client> {
    if lab.network().is_some() {
        return (0..count).map(|_| lab.connect(address)).collect();
    }
    let connected = sockets.into_iter().map(|socket| {
        socket.connect(&address.into()).expect("a listener");
        Client::from(TcpStream::from(socket))
    });
    connected.collect()
}

/// Waits until a counter of the port has grown so far. There is no event to wait for: what is counted is that nothing
/// happens.
fn wait_for_backoffs(port: &PortHandle<Probe>, count: u64) {
    let end = Instant::now() + Duration::from_secs(30);
    while port.statistics().accept_backoffs < count {
        assert!(Instant::now() < end, "{:?}", port.statistics());
        thread::yield_now();
    }
}

/// No descriptor is left from now on.
fn exhaust(lab: &Lab) {
    match lab.network() {
        Some(network) => network.exhaust_descriptors(true),
        None => set_limit(first_free()),
    }
}

/// Room for everybody.
fn relieve(lab: &Lab) {
    match lab.network() {
        Some(network) => network.exhaust_descriptors(false),
        None => set_limit(1024),
    }
}

fn the_delay_alone_is_enough(lab: &Lab) {
    in_own_process("the_delay_alone_is_enough", lab, |lab| {
        set_limit(1024);
        let sockets = unconnected(lab, CLIENTS);
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 8, 0).expect("a listener");
        exhaust(lab);
        let mut clients = connect(lab, sockets, CLIENTS, address);
        wait_for_backoffs(&port, 3);
        // Nobody tells the port that there is room again.
        relieve(lab);
        for client in &mut clients {
            client.write_all(b"hello").expect("a live connection");
            assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
        }
        assert_eq!(port.handler().count(|event| matches!(event, Event::Accepted { .. })), CLIENTS);
        assert_eq!(port.handler().count(|event| matches!(event, Event::ListenerFarewell { .. })), 0);
    });
}

fn the_delay_grows(lab: &Lab) {
    in_own_process("the_delay_grows", lab, |lab| {
        set_limit(1024);
        let sockets = unconnected(lab, CLIENTS);
        // One worker: each backs off by itself.
        let port = Port::new(Probe::echo(), lab.options().threads(1)).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 8, 0).expect("a listener");
        exhaust(lab);
        let _clients = connect(lab, sockets, CLIENTS, address);
        // An accept that was under way before may still succeed, and then the pauses start anew.
        wait_for_backoffs(&port, 3);
        let (start, before) = (Instant::now(), port.statistics());
        wait_for_backoffs(&port, 10);
        let (elapsed, after) = (start.elapsed(), port.statistics());
        // Seven pauses, each twice as long as the one before, the first of them of a millisecond at least.
        assert!(elapsed >= Duration::from_millis(100), "seven pauses took {elapsed:?}");
        assert!(after.accept_errors - before.accept_errors <= 8 * 8, "{after:?}");
        assert!(after.waits - before.waits <= 200, "{after:?}");
    });
}

fn a_freed_descriptor_is_used_at_once_and_all_are_served(lab: &Lab) {
    in_own_process("a_freed_descriptor_is_used_at_once_and_all_are_served", lab, |lab| {
        set_limit(1024);
        let sockets = unconnected(lab, 2 * LIMIT);
        set_limit(LIMIT);
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 8, 0).expect("a listener");
        let before = open_descriptors();
        let clients = connect(lab, sockets, 2 * LIMIT, address);
        wait_for_backoffs(&port, 1);
        // Each client that has been served makes room for one that waits; their own descriptors make none, being high.
        for (number, mut client) in clients.into_iter().enumerate() {
            client.write_all(b"hello").expect("a live connection");
            assert_eq!(client.read_exact(5).expect("the echo"), b"hello", "client {number}");
            client.shutdown_write();
            assert_eq!(client.read_to_end().expect("a clean end"), b"");
        }
        port.handler().wait_for_count("farewells", 2 * LIMIT, |event| matches!(event, Event::Farewell { .. }));
        port.delete();
        assert!(open_descriptors() < before, "descriptors are left over");
    });
}

fn echo(client: &mut Client, byte: u8) {
    client.write_all(&[byte; 100]).expect("a live connection");
    assert_eq!(client.read_exact(100).expect("the echo"), [byte; 100]);
}

fn what_is_served_goes_on(lab: &Lab) {
    in_own_process("what_is_served_goes_on", lab, |lab| {
        set_limit(1024);
        let mut sockets = unconnected(lab, CLIENTS + 8);
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let (listener, address) = lab.listen();
        port.add_listener(listener, 8, 0).expect("a listener");
        let mut served = connect(lab, sockets.split_off(sockets.len().min(CLIENTS)), 8, address);
        served.iter_mut().for_each(|client| echo(client, 0));
        exhaust(lab);
        let mut waiting = connect(lab, sockets, CLIENTS, address);
        // As long as the listener backs off three times, and again.
        for round in 1..=2 {
            wait_for_backoffs(&port, 3 * u64::from(round));
            served.iter_mut().for_each(|client| echo(client, round));
        }
        relieve(lab);
        waiting.iter_mut().for_each(|client| echo(client, 3));
        served.iter_mut().for_each(|client| echo(client, 4));
        assert_eq!(port.handler().count(|event| matches!(event, Event::Farewell { .. })), 0);
    });
}

fn a_port_that_finds_none_is_an_error_of_the_call(lab: &Lab) {
    in_own_process("a_port_that_finds_none_is_an_error_of_the_call", lab, |lab| {
        set_limit(1024);
        // What the process makes once.
        Port::new(Probe::silent(), lab.options()).expect("a port").delete();
        let (descriptors, threads_before) = (open_descriptors(), threads());
        // With ever more of them, whatever a port needs is what is missing.
        for left in 0.. {
            set_limit(first_free() + left);
            let made = Port::new(Probe::silent(), lab.options());
            set_limit(1024);
            match made {
                Ok(port) => {
                    assert!(left > 2, "{left} descriptors were enough for two workers");
                    return port.delete();
                }
                Err(error) => assert_eq!(error.code(), ErrorCode::NoDescriptors, "{left} left"),
            }
            assert_eq!(open_descriptors(), descriptors, "some are left over, with {left} left");
            wait_for_threads(threads_before, &format!("{left} descriptors left"));
        }
    });
}

fn calls_that_need_one_say_so_and_the_others_go_on(lab: &Lab) {
    in_own_process("calls_that_need_one_say_so_and_the_others_go_on", lab, |lab| {
        set_limit(1024);
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let ((listener, address), (other, other_address)) = (lab.listen(), lab.listen());
        let listener = port.add_listener(listener, 8, 0).expect("a listener");
        let mut client = lab.connect(address);
        echo(&mut client, 1);
        let ((near, mut far), (removed, mut kept)) = (lab.pair(), lab.pair());
        exhaust(lab);
        // The library accepts on a descriptor of its own.
        let refused = port.add_listener(other, 8, 0).expect_err("it needs a descriptor");
        assert_eq!(refused.error.code(), ErrorCode::NoDescriptors);
        // What needs none goes on.
        port.set_accept_backlog(listener, 4).expect("a listener");
        let near = port.add_connected(near, 1).expect("a connected socket");
        port.recv(near).expect("a first recv");
        echo(&mut far, 2);
        let removed = port.add_connected(removed, 1).expect("a connected socket");
        port.remove(removed).expect("a live socket");
        assert_eq!(port.handler().wait_for_farewell(removed), Ok(()));
        let mut back: TcpStream = platform::owned(port.handler().take_returned().remove(0)).expect("a real one").into();
        back.write_all(b"mine").expect("a live connection");
        assert_eq!(kept.read_exact(4).expect("the bytes"), b"mine");
        echo(&mut client, 3);
        port.remove_listener(listener).expect("a listener");
        relieve(lab);
        // What was refused came back as it was.
        port.add_listener(refused.socket, 8, 0).expect("a listener");
        echo(&mut lab.connect(other_address), 4);
        port.close(near).expect("a live socket");
        assert_eq!(far.read_to_end().expect("a clean end"), b"");
    });
}
