//! Every kind of handle that a program can hand in by mistake, and what the codes of errors mean.

use super::*;
use socket2::Type;
use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::{AsRawHandle, AsRawSocket};
use windows_sys::Win32::Foundation as windows;

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    (listener.accept().expect("a connection").0, client)
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    result.expect_err("an error").code()
}

#[test]
fn what_is_no_stream_socket_is_told_apart() {
    let file = File::open(std::env::current_exe().expect("this program")).expect("a file");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (server, _client) = tcp();
    let kinds = [
        (INVALID_SOCKET, ErrorCode::BadSocket),
        (0x0fff_fff0, ErrorCode::BadSocket),
        (server.as_raw_socket() + 1, ErrorCode::BadSocket),
        (file.as_raw_handle() as RawSocket, ErrorCode::NotSocket),
        (udp.as_raw_socket(), ErrorCode::NotStream),
    ];
    for (socket, expected) in kinds {
        assert_eq!(code(check_connected(socket)), expected, "socket {socket} as connected");
        assert_eq!(code(check_listening(socket)), expected, "socket {socket} as listening");
    }
}

#[test]
fn stream_sockets_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (server, _client) = tcp();
    let unconnected = Socket::new(socket2::Domain::IPV4, Type::STREAM, None).expect("a socket");
    assert_eq!(check_listening(listener.as_raw_socket()), Ok(()));
    assert_eq!(check_connected(server.as_raw_socket()), Ok(()));
    assert_eq!(code(check_connected(listener.as_raw_socket())), ErrorCode::Listening);
    assert_eq!(code(check_listening(server.as_raw_socket())), ErrorCode::NotListening);
    assert_eq!(code(check_connected(unconnected.as_raw_socket())), ErrorCode::NotConnected);
}

#[test]
fn places_and_numbers_are_one_to_one() {
    assert_eq!(place_of(INVALID_SOCKET), None);
    for number in [4, 8, 0x1234] {
        assert!(place_of(number).is_some() && place_of(number + 1).is_none() && place_of(number + 2).is_none());
    }
    assert_eq!(place_of(8), place_of(4).map(|place| place + 1));
}

#[test]
fn the_local_address_is_the_identity() {
    let (first, _first_client) = tcp();
    let (second, second_client) = tcp();
    let of = |socket: &TcpStream| identity(socket.as_raw_socket()).expect("an address");
    let before = of(&second);
    assert_ne!(of(&first), before);
    SockRef::from(&second_client).set_linger(Some(Duration::ZERO)).expect("the option");
    drop(second_client);
    let mut byte = [0];
    let _ = (&second).read(&mut byte);
    assert_eq!(of(&second), before, "it stays when the connection is gone");
}

#[test]
fn a_stranger_is_not_closed() {
    let (server, client) = tcp();
    let stranger = identity(client.as_raw_socket()).expect("an address");
    let raw = server.into_raw_socket();
    assert!(!close(raw, CloseHow::Background, Some(stranger)));
    let own = identity(raw).expect("it is still open");
    assert!(close(raw, CloseHow::Background, Some(own)));
    assert_eq!((&client).read(&mut [0]).expect("a FIN"), 0);
}

#[test]
fn both_codes_of_an_event_mean_the_same() {
    let pairs = [
        (windows::ERROR_NETNAME_DELETED, WinSock::WSAECONNRESET, ErrorCode::Reset),
        (windows::ERROR_CONNECTION_ABORTED, WinSock::WSAECONNABORTED, ErrorCode::ConnectionAborted),
        (windows::ERROR_SEM_TIMEOUT, WinSock::WSAETIMEDOUT, ErrorCode::TimedOut),
        (windows::ERROR_CONNECTION_REFUSED, WinSock::WSAECONNREFUSED, ErrorCode::Refused),
        (windows::ERROR_HOST_UNREACHABLE, WinSock::WSAEHOSTUNREACH, ErrorCode::Unreachable),
        (windows::ERROR_NETWORK_UNREACHABLE, WinSock::WSAENETUNREACH, ErrorCode::Unreachable),
        (windows::ERROR_NO_SYSTEM_RESOURCES, WinSock::WSAENOBUFS, ErrorCode::NoMemory),
        (windows::ERROR_TOO_MANY_OPEN_FILES, WinSock::WSAEMFILE, ErrorCode::NoDescriptors),
        (windows::ERROR_OPERATION_ABORTED, WinSock::WSA_E_CANCELLED, ErrorCode::Cancelled),
        (windows::ERROR_HANDLES_CLOSED, WinSock::WSAECANCELLED, ErrorCode::Cancelled),
    ];
    for (ours, winsocks, expected) in pairs {
        for code in [ours as i32, winsocks] {
            assert_eq!(portable_code(code), expected, "{code}");
            assert_eq!(Error::from_os(code).os_error(), Some(code));
        }
    }
}

#[test]
fn an_unknown_error_of_an_accept_only_pauses() {
    use crate::listener::AcceptFailure::*;
    let sorted = |code: i32| sort_accept_error(code);
    for gone in [WinSock::WSAECONNRESET, windows::ERROR_NETNAME_DELETED as i32, windows::ERROR_SEM_TIMEOUT as i32] {
        assert_eq!(sorted(gone), Passing);
    }
    for short in [WinSock::WSAENOBUFS, WinSock::WSAEMFILE, 0, 31, 12_345, -5] {
        assert_eq!(sorted(short), Shortage);
    }
    assert!(matches!(sorted(WinSock::WSAENOTSOCK), Fatal(_)));
}
