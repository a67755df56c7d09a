//! Connects of both families of internet addresses, and one family through the other, with the addresses that the callbacks on
//! both sides are told.

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

// Real only: the simulated network has one family.
on_every_backend!(real:
    an_ipv6_listener_is_connected_to,
    a_dual_stack_listener_accepts_an_ipv4_socket,
    an_ipv6_socket_connects_to_an_ipv4_listener,
    nobody_listens_there,
);

/// Local and remote address.
type Pair = (SocketAddr, SocketAddr);

fn unconnected(domain: Domain) -> Socket {
    Socket::new(domain, Type::STREAM, None).expect("a socket")
}

/// What the connect callback was told.
fn connected(port: &Port<Probe>) -> Pair {
    port.handler().wait_for("the connect", |log| {
        log.iter().find_map(|event| match event {
            Event::Connected { local, remote, .. } => Some((local.expect("one"), remote.expect("one"))),
            _ => None,
        })
    })
}

fn mapped(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port))
}

fn an_ipv6_listener_is_connected_to(lab: &Lab) {
    let listener = TcpListener::bind("[::1]:0").expect("an IPv6 loopback");
    let address = listener.local_addr().expect("an address");
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    port.connect(unconnected(Domain::IPV6), &address.into(), 0).expect("a socket to be connected");
    let (_client, remote) = listener.accept().expect("the connection");
    assert_eq!(connected(&port), (remote, address));
}

/// Both ends are in the port.
fn a_dual_stack_listener_accepts_an_ipv4_socket(lab: &Lab) {
    let listener = unconnected(Domain::IPV6);
    listener.set_only_v6(false).expect("both families");
    listener.bind(&SockAddr::from(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))).expect("a port");
    listener.listen(4).expect("a listener");
    let number = listener.local_addr().expect("an address").as_socket().expect("of the internet").port();
    let port = Port::new(Probe::reader(), lab.options()).expect("a port");
    port.add_listener(listener, 4, 0).expect("a listener");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
    let handle = port.connect(unconnected(Domain::IPV4), &address.into(), 0).expect("a socket to be connected");
    port.send(handle, &b"hello"[..], 1).expect("a socket that is being connected");
    let (local, remote) = connected(&port);
    assert_eq!((local.ip(), remote), (IpAddr::from(Ipv4Addr::LOCALHOST), address));
    let accepted = port.handler().wait_for_accept(0);
    assert_eq!(port.handler().wait_for_bytes(accepted, 5), b"hello");
    let is_told = |event: &Event| match event {
        Event::Accepted { remote, .. } => *remote == Some(mapped(local.port())),
        _ => false,
    };
    port.handler().wait_for_count("the accept with a mapped address", 1, is_told);
}

fn an_ipv6_socket_connects_to_an_ipv4_listener(lab: &Lab) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = mapped(listener.local_addr().expect("an address").port());
    let socket = unconnected(Domain::IPV6);
    socket.set_only_v6(false).expect("both families");
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    port.connect(socket, &address.into(), 0).expect("a socket to be connected");
    let (_client, remote) = listener.accept().expect("the connection");
    assert_eq!(connected(&port), (mapped(remote.port()), address));
}

fn nobody_listens_there(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    // The system gives a number out again late.
    let address = TcpListener::bind("[::1]:0").and_then(|listener| listener.local_addr()).expect("an IPv6 loopback");
    let handle = port.connect(unconnected(Domain::IPV6), &address.into(), 0).expect("a socket to be connected");
    let (reason, history) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(socket_iocp::ErrorCode::Refused));
    assert_eq!(history, []);
}
