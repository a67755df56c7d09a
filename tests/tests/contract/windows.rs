//! What there is on Windows only: a socket's tie to one completion port, and what comes of sockets that have one already.

use socket_iocp::{ErrorCode, Port, PortHandle, Socket};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend, platform, tcp_pair};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::windows::io::{AsRawHandle, AsRawSocket, FromRawHandle, FromRawSocket, OwnedHandle, RawSocket};
use std::ptr;
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, IPPROTO_TCP, SOCK_STREAM, SOCKET, WSABUF, WSACreateEvent, WSAGetOverlappedResult, WSARecv, WSASocketW,
};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{CreateIoCompletionPort, OVERLAPPED};

// Real only: the simulated network has no completion ports.
on_every_backend!(
    real: a_socket_with_a_port_is_refused_as_it_was,
    a_listener_with_a_port_is_refused_as_it_was,
    a_socket_without_overlapped_operations_is_refused,
    a_socket_that_skips_completions_is_served,
    a_removed_socket_is_added_again_or_refused,
    what_its_owner_does_on_a_removed_socket_harms_nobody,
);

/// A completion port of somebody else's, tied to a socket.
fn tie(socket: &impl AsRawSocket) -> OwnedHandle {
    // SAFETY: the call takes no memory.
    let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
    // SAFETY: as above; both handles are open.
    let tied = unsafe { CreateIoCompletionPort(socket.as_raw_socket() as HANDLE, port, 7, 0) };
    assert_eq!(tied, port);
    // SAFETY: the handle is new and nobody else's.
    unsafe { OwnedHandle::from_raw_handle(port) }
}

fn exchange(one: &mut TcpStream, other: &mut TcpStream) {
    one.write_all(b"ping").expect("a live connection");
    let mut bytes = [0; 4];
    other.read_exact(&mut bytes).expect("a live connection");
    assert_eq!(bytes, *b"ping");
}

fn serves(lab: &Lab, port: &PortHandle<Probe>, socket: impl Into<Socket>, mut client: TcpStream) {
    let socket = port.add_connected(socket, 1).unwrap_or_else(|refused| panic!("{}: {refused:?}", lab.name()));
    port.recv(socket).expect("a first recv");
    exchange_by_echo(&mut client);
}

fn a_socket_with_a_port_is_refused_as_it_was(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (near, mut far) = tcp_pair();
    let number = near.as_raw_socket();
    let _foreign = tie(&near);
    let refused = port.add_connected(near, 7).expect_err("a socket with a completion port");
    assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (ErrorCode::Unsupported, number, 7));
    assert_eq!((port.find(number), port.statistics().sockets_now), (None, 0));
    let mut near = TcpStream::from(platform::owned(refused.socket).expect("a real one"));
    exchange(&mut far, &mut near);
    exchange(&mut near, &mut far);
}

fn a_listener_with_a_port_is_refused_as_it_was(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    let listener = platform::owned(listener).expect("a real one");
    let number = listener.as_raw_socket();
    let _foreign = tie(&listener);
    let refused = port.add_listener(listener, 4, 7).expect_err("a listener with a completion port");
    assert_eq!((refused.error.code(), refused.socket.as_raw(), refused.state), (ErrorCode::Unsupported, number, 7));
    assert_eq!((port.find_listener(number), port.statistics().listeners_now), (None, 0));
    let listener = std::net::TcpListener::from(platform::owned(refused.socket).expect("a real one"));
    let mut far = TcpStream::connect(address).expect("a listener");
    let (mut near, _) = listener.accept().expect("the client");
    exchange(&mut far, &mut near);
}

fn a_socket_without_overlapped_operations_is_refused(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    // SAFETY: the call takes no memory.
    let socket = unsafe { WSASocketW(AF_INET.into(), SOCK_STREAM, IPPROTO_TCP, ptr::null(), 0, 0) };
    // SAFETY: the socket is new and nobody else's.
    let socket = unsafe { socket2::Socket::from_raw_socket(socket as _) };
    socket.connect(&address.into()).expect("a listener");
    let refused = port.add_connected(socket, 7).expect_err("a socket without WSA_FLAG_OVERLAPPED");
    assert_eq!((refused.error.code(), refused.state), (ErrorCode::Unsupported, 7));
    drop(listener);
}

fn a_socket_that_skips_completions_is_served(lab: &Lab) {
    const SKIP_ON_SUCCESS: u8 = 1;
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (near, far) = tcp_pair();
    // Its owner has set the mode, which cannot be taken off: a port that wants completions has to notice.
    // SAFETY: the call takes no memory.
    let set = unsafe { SetFileCompletionNotificationModes(near.as_raw_socket() as HANDLE, SKIP_ON_SUCCESS) };
    assert_ne!(set, 0, "SetFileCompletionNotificationModes");
    serves(lab, &port, near, far);
}

/// A socket that was in the port, whose recv is over.
fn removed(port: &PortHandle<Probe>, socket: TcpStream) -> TcpStream {
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    port.remove(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
    let socket = port.handler().take_returned().pop().expect("the socket");
    TcpStream::from(platform::owned(socket).expect("a real one"))
}

fn a_removed_socket_is_added_again_or_refused(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (near, mut far) = tcp_pair();
    let mut near = removed(&port, near);
    exchange(&mut near, &mut far);
    let number = near.as_raw_socket();
    match port.add_connected(near, 2) {
        Ok(handle) => {
            port.recv(handle).expect("a first recv");
            exchange_by_echo(&mut far);
        }
        // Where the system cannot untie it.
        Err(refused) => {
            assert!(platform::is_wine(), "{refused:?}");
            assert_eq!(refused.error.code(), ErrorCode::Unsupported);
            assert_eq!((refused.socket.as_raw(), refused.state), (number, 2));
            let mut near = TcpStream::from(platform::owned(refused.socket).expect("a real one"));
            exchange(&mut far, &mut near);
        }
    }
}

fn exchange_by_echo(far: &mut TcpStream) {
    far.write_all(b"hello").expect("a live connection");
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).expect("the echo");
    assert_eq!(bytes, *b"hello");
}

/// An overlapped recv of the test's own: begun, and waited for.
struct OwnRecv {
    overlapped: Box<OVERLAPPED>,
    bytes: Box<[u8; 16]>,
    socket: RawSocket,
    _event: OwnedHandle,
}

impl OwnRecv {
    fn begin(socket: &TcpStream) -> OwnRecv {
        // SAFETY: the call takes no memory; the handle is new and nobody else's.
        let event = unsafe { OwnedHandle::from_raw_handle(WSACreateEvent() as HANDLE) };
        let mut overlapped = Box::new(OVERLAPPED { hEvent: event.as_raw_handle(), ..OVERLAPPED::default() });
        let mut bytes = Box::new([0; 16]);
        let buffer = WSABUF { len: bytes.len() as u32, buf: bytes.as_mut_ptr() };
        let (number, mut flags) = (socket.as_raw_socket(), 0);
        // SAFETY: both boxes stay until `end` has seen the completion.
        unsafe {
            let place = &raw mut *overlapped;
            WSARecv(number as SOCKET, &buffer, 1, ptr::null_mut(), &mut flags, place, None);
        }
        OwnRecv { overlapped, bytes, socket: number, _event: event }
    }

    /// Waits for its completion; what it has received.
    fn end(self) -> Vec<u8> {
        let (mut count, mut flags) = (0, 0);
        // SAFETY: the operation is under way on this socket, with this OVERLAPPED.
        let done = unsafe {
            WSAGetOverlappedResult(self.socket as SOCKET, &raw const *self.overlapped, &mut count, 1, &mut flags)
        };
        assert_ne!(done, 0, "{}", std::io::Error::last_os_error());
        self.bytes[..count as usize].to_vec()
    }
}

fn what_its_owner_does_on_a_removed_socket_harms_nobody(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options().threads(1)).expect("a port");
    let (near, mut far) = tcp_pair();
    let near = removed(&port, near);
    // Where the socket is still tied to the port, this completes there, under a key that is no socket's any more ...
    for _ in 0..10 {
        let own = OwnRecv::begin(&near);
        far.write_all(b"for the owner").expect("a live connection");
        assert_eq!(own.end(), b"for the owner");
    }
    // ... and then under one whose slot others have.
    let mut clients = Vec::new();
    for number in 0..10u8 {
        let own = OwnRecv::begin(&near);
        let (socket, mut client) = lab.pair();
        let handle = port.add_connected(socket, 2).expect("a connected socket");
        port.recv(handle).expect("a first recv");
        far.write_all(b"for the owner").expect("a live connection");
        assert_eq!(own.end(), b"for the owner");
        client.write_all(&[number]).expect("a live connection");
        assert_eq!(client.read_exact(1).expect("the echo"), [number]);
        clients.push(client);
    }
    let received = port.handler().count(|event| matches!(event, Event::Received { .. }));
    assert_eq!((received, port.statistics().sockets_now, port.statistics().panics), (10, 10, 0));
    port.delete();
    drop(near);
}
