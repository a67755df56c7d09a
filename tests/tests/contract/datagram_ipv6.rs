//! Datagrams of both families of internet addresses, and of one through the other.

use socket_iocp::{Port, SocketHandle};
use socket_iocp_testkit::{Event, Lab, Mail, Probe, on_every_backend};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

// Real only: the simulated network has one family.
on_every_backend!(real: there_and_back_over_ipv6, an_ipv4_sender_on_a_socket_of_both_families);

/// A socket in a port that waits for a datagram.
fn waiting(port: &Port<Probe>, socket: impl Into<socket_iocp::Socket>) -> SocketHandle {
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    handle
}

/// What it has brought.
fn mail(port: &Port<Probe>) -> Mail {
    let brought = |log: &[Event]| log.iter().find_map(Event::mail);
    port.handler().wait_for("a datagram", brought).expect("no error")
}

fn there_and_back_over_ipv6(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let far = UdpSocket::bind("[::1]:0").expect("an IPv6 loopback");
    let socket = UdpSocket::bind("[::1]:0").expect("an IPv6 loopback");
    let (here, there) = (socket.local_addr().expect("an address"), far.local_addr().expect("an address"));
    let handle = waiting(&port, socket);
    far.send_to(b"there", here).expect("a datagram");
    assert_eq!((mail(&port).bytes.as_slice(), mail(&port).sender), (&b"there"[..], there));
    port.send_to(handle, there, &b"and"[..], 1).expect("a socket");
    port.sync_send_to(handle, there, &b"back"[..], 2).expect("a socket");
    let mut bytes = [0; 10];
    assert_eq!(far.recv_from(&mut bytes).expect("a datagram"), (3, here));
    assert_eq!(far.recv_from(&mut bytes).expect("a datagram"), (4, here));
}

fn an_ipv4_sender_on_a_socket_of_both_families(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a socket");
    socket.set_only_v6(false).expect("both families");
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).expect("a free port");
    let number = socket.local_addr().expect("an address").as_socket().expect("of the internet").port();
    let handle = waiting(&port, socket);
    let far = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
    far.send_to(b"hello", (Ipv4Addr::LOCALHOST, number)).expect("a datagram");
    let Mail { bytes, sender, .. } = mail(&port);
    let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), far.local_addr().expect("one").port()));
    assert_eq!((bytes.as_slice(), sender), (&b"hello"[..], mapped));
    // Where it came from is where the answer goes.
    port.send_to(handle, sender, &b"answer"[..], 1).expect("a socket");
    let mut bytes = [0; 10];
    let (len, from) = far.recv_from(&mut bytes).expect("a datagram");
    assert_eq!((&bytes[..len], from), (&b"answer"[..], SocketAddr::from((Ipv4Addr::LOCALHOST, number))));
}
