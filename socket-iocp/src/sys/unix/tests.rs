//! Every kind of descriptor that a program can hand in by mistake, and every error number.

use super::*;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    (listener.accept().expect("a connection").0, client)
}

/// Ends a connection by reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("the option");
}

/// Above every limit on descriptors, hence never open.
const NEVER_OPEN: RawSocket = RawSocket::MAX;

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    result.expect_err("an error").code()
}

fn unconnected(domain: socket2::Domain) -> socket2::Socket {
    Socket::new(domain, Type::STREAM, None).expect("a socket")
}

#[test]
fn what_is_no_stream_socket_is_told_apart() {
    let file = File::open("/dev/null").expect("a file");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (datagram, _peer) = UnixDatagram::pair().expect("a pair");
    let kinds = [
        (-1, ErrorCode::BadSocket),
        (RawSocket::MIN, ErrorCode::BadSocket),
        (NEVER_OPEN, ErrorCode::BadSocket),
        (file.as_raw_fd(), ErrorCode::NotSocket),
        (udp.as_raw_fd(), ErrorCode::NotStream),
        (datagram.as_raw_fd(), ErrorCode::NotStream),
    ];
    for (socket, expected) in kinds {
        assert_eq!(code(check_connected(socket)), expected, "descriptor {socket} as connected");
        assert_eq!(code(check_listening(socket)), expected, "descriptor {socket} as listening");
    }
}

#[test]
fn the_os_error_stands_behind_the_portable_one() {
    for (socket, errno) in [(-1, libc::EBADF), (NEVER_OPEN, libc::EBADF)] {
        assert_eq!(check_connected(socket).expect_err("an error").os_error(), Some(errno));
    }
}

#[test]
fn a_listener_is_listening_and_nothing_else() {
    let name = std::env::temp_dir().join(format!("socket-iocp-unix-{}", std::process::id()));
    let tcp = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).expect("a listener");
    let unix = UnixListener::bind(&name).expect("a listener");
    std::fs::remove_file(&name).expect("the name of a listener");
    for socket in [tcp.as_raw_fd(), unix.as_raw_fd()] {
        assert_eq!(check_listening(socket), Ok(()));
        assert_eq!(code(check_connected(socket)), ErrorCode::Listening);
    }
}

#[test]
fn a_connected_socket_is_connected_and_nothing_else() {
    let (server, client) = tcp();
    let (left, right) = UnixStream::pair().expect("a pair");
    for socket in [server.as_raw_fd(), client.as_raw_fd(), left.as_raw_fd(), right.as_raw_fd()] {
        assert_eq!(check_connected(socket), Ok(()));
        assert_eq!(code(check_listening(socket)), ErrorCode::NotListening);
    }
}

#[test]
fn a_socket_of_no_connection_is_neither() {
    let bound = unconnected(socket2::Domain::IPV4);
    bound.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a bind");
    for socket in [unconnected(socket2::Domain::IPV4), unconnected(socket2::Domain::UNIX), bound] {
        assert_eq!(code(check_connected(socket.as_raw_fd())), ErrorCode::NotConnected);
        assert_eq!(code(check_listening(socket.as_raw_fd())), ErrorCode::NotListening);
    }
}

#[test]
fn a_connect_under_way_is_not_connected() {
    // A full backlog: the kernel answers no more connects.
    let listener = unconnected(socket2::Domain::IPV4);
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a bind");
    listener.listen(0).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let socket = unconnected(socket2::Domain::IPV4);
        socket.set_nonblocking(true).expect("the flag");
        let _ = socket.connect(&address);
        waiting.push(socket);
    }
    let last = waiting.last().expect("one of them");
    assert_eq!(code(check_connected(last.as_raw_fd())), ErrorCode::NotConnected);
}

#[test]
fn a_half_closed_socket_is_connected() {
    let (server, client) = tcp();
    client.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!((&server).read(&mut [0]).expect("a FIN"), 0);
    for socket in [&server, &client] {
        assert_eq!(check_connected(socket.as_raw_fd()), Ok(()));
    }
    server.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!((&client).read(&mut [0]).expect("a FIN"), 0);
    for socket in [&server, &client] {
        assert_eq!(check_connected(socket.as_raw_fd()), Ok(()), "a FIN both ways does not end a socket");
    }
}

#[test]
fn a_socketpair_whose_peer_has_gone_is_connected() {
    let (left, right) = UnixStream::pair().expect("a pair");
    drop(right);
    assert_eq!(check_connected(left.as_raw_fd()), Ok(()));
}

#[test]
fn a_reset_socket_is_connected_and_keeps_its_error() {
    let (server, client) = tcp();
    reset(client);
    // Over loopback the reset is there when the close returns; a socket waits for it all the same.
    let mut query = libc::pollfd { fd: server.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one `pollfd`, borrowed for the call.
    assert_eq!(unsafe { libc::poll(&mut query, 1, 20_000) }, 1);
    assert_eq!(check_connected(server.as_raw_fd()), Ok(()));
    let error = (&server).read(&mut [0]).expect_err("the reset");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
}

#[test]
fn addresses_are_those_of_the_ends() {
    let (server, client) = tcp();
    let (server_address, client_address) =
        (server.local_addr().expect("an address"), client.local_addr().expect("an address"));
    assert_eq!(local_address(client.as_raw_fd()).as_socket(), Some(client_address));
    assert_eq!(remote_address(client.as_raw_fd()).as_socket(), Some(server_address));
    assert_eq!(remote_address(server.as_raw_fd()).as_socket(), Some(client_address));
}

#[test]
fn an_address_that_is_not_to_be_had_is_unnamed() {
    for socket in [-1, NEVER_OPEN] {
        for address in [local_address(socket), remote_address(socket)] {
            assert_eq!(i32::from(address.family()), libc::AF_UNSPEC);
            assert_eq!(address.as_socket(), None);
        }
    }
    let (left, _right) = UnixStream::pair().expect("a pair");
    assert!(remote_address(left.as_raw_fd()).is_unnamed());
}

#[test]
fn an_identity_is_the_socket_and_not_the_number() {
    let (left, right) = UnixStream::pair().expect("a pair");
    let duplicate = left.try_clone().expect("a duplicate");
    let identity_of = |socket: &UnixStream| identity(socket.as_raw_fd()).expect("an identity");
    assert_eq!(identity_of(&left), identity_of(&duplicate));
    assert_ne!(identity_of(&left), identity_of(&right));
    assert_eq!(code(identity(-1)), ErrorCode::BadSocket);
    assert_eq!(code(identity(NEVER_OPEN)), ErrorCode::BadSocket);
}

#[test]
fn a_stranger_is_not_closed() {
    let (left, mut right) = UnixStream::pair().expect("a pair");
    let stranger = identity(right.as_raw_fd()).expect("an identity");
    assert!(!close(left.as_raw_fd(), CloseHow::Background, Some(stranger)));
    assert!(!close(left.as_raw_fd(), CloseHow::Reset, Some(stranger)));
    assert!(!close(NEVER_OPEN, CloseHow::Background, Some(stranger)));
    (&left).write_all(b"open").expect("a write");
    let mut received = [0; 4];
    right.read_exact(&mut received).expect("the bytes");
    assert_eq!(&received, b"open");
}

/// Gives the descriptor up and closes it as the engine does.
fn close_as(stream: TcpStream, how: CloseHow) {
    let socket = OwnedFd::from(stream).into_raw_fd();
    let expected = identity(socket).expect("an identity");
    assert!(close(socket, how, Some(expected)));
}

#[test]
fn a_close_in_the_background_is_a_fin() {
    let (server, mut client) = tcp();
    close_as(server, CloseHow::Background);
    assert_eq!(client.read(&mut [0]).expect("a FIN"), 0);
}

#[test]
fn a_close_by_reset_is_a_reset() {
    let (server, mut client) = tcp();
    close_as(server, CloseHow::Reset);
    assert_eq!(client.read(&mut [0]).expect_err("a reset").raw_os_error(), Some(libc::ECONNRESET));
}

#[test]
fn a_close_of_what_the_peer_has_reset_minds_no_linger_either() {
    let (mut server, client) = tcp();
    let socket = SockRef::from(&server);
    socket.set_linger(Some(Duration::from_secs(3600))).expect("the option");
    socket.set_nonblocking(true).expect("the flag");
    let block = vec![0; 1 << 20];
    while socket.send(&block).is_ok() {}
    socket.set_nonblocking(false).expect("the flag");
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("the option");
    drop(client);
    let error = server.read(&mut [0]).expect_err("a reset");
    assert!(says_over(error.raw_os_error().expect("the system's")), "{error}");
    // It would wait for an hour.
    close_as(server, CloseHow::Over);
}

#[test]
fn a_close_in_the_background_minds_no_linger_of_the_programs() {
    let (server, client) = tcp();
    let socket = SockRef::from(&server);
    socket.set_linger(Some(Duration::from_secs(60))).expect("the option");
    socket.set_nonblocking(true).expect("the flag");
    // More than the kernel's buffers take: the close would wait for the reader.
    let block = vec![0; 1 << 20];
    while socket.send(&block).is_ok() {}
    socket.set_nonblocking(false).expect("the flag");
    let (closed, when_closed) = mpsc::channel();
    let closer = thread::spawn(move || {
        close_as(server, CloseHow::Background);
        closed.send(()).expect("a receiver");
    });
    when_closed.recv_timeout(Duration::from_secs(20)).expect("a close that does not wait");
    closer.join().expect("no panic");
    drop(client);
}

#[test]
fn a_half_close_is_a_fin_and_sends_no_more() {
    let (server, mut client) = tcp();
    shutdown_send(server.as_raw_fd());
    assert_eq!(client.read(&mut [0]).expect("a FIN"), 0);
    // Neither a peer that has gone nor a number that is none is an error here.
    reset(client);
    for socket in [server.as_raw_fd(), NEVER_OPEN, -1] {
        shutdown_send(socket);
    }
}

#[test]
fn a_duplicate_is_close_on_exec_and_tells_what_it_changed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let is_nonblocking = || SockRef::from(&listener).nonblocking().expect("the flag");

    let plain = duplicate_listener(listener.as_raw_fd(), false).expect("a duplicate");
    assert!(!plain.made_nonblocking && !is_nonblocking());
    // SAFETY: the call takes no memory.
    assert_eq!(unsafe { libc::fcntl(plain.socket, libc::F_GETFD) } & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    assert_eq!(check_listening(plain.socket), Ok(()));

    let first = duplicate_listener(listener.as_raw_fd(), true).expect("a duplicate");
    assert!(first.made_nonblocking && is_nonblocking());
    let second = duplicate_listener(listener.as_raw_fd(), true).expect("a duplicate");
    assert!(!second.made_nonblocking, "it was so before");
    restore_blocking(first.socket);
    assert!(!is_nonblocking());

    for duplicate in [plain, first, second] {
        close_listener(duplicate.socket);
    }
    assert_eq!(check_listening(listener.as_raw_fd()), Ok(()));
    assert_eq!(code(duplicate_listener(-1, true)), ErrorCode::BadSocket);
    assert_eq!(code(duplicate_listener(NEVER_OPEN, true)), ErrorCode::BadSocket);
}

#[test]
fn closing_a_duplicate_leaves_the_listeners_options_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let linger = Some(Duration::from_secs(9));
    SockRef::from(&listener).set_linger(linger).expect("the option");
    let duplicate = duplicate_listener(listener.as_raw_fd(), false).expect("a duplicate");
    close_listener(duplicate.socket);
    assert_eq!(SockRef::from(&listener).linger().expect("the option"), linger);
}

#[test]
fn every_error_number_has_its_code() {
    use ErrorCode as Code;
    let table: &[(ErrorCode, &[i32])] = &[
        (Code::BadSocket, &[libc::EBADF]),
        (Code::NotSocket, &[libc::ENOTSOCK]),
        (Code::NotConnected, &[libc::ENOTCONN, libc::EDESTADDRREQ]),
        (Code::Reset, &[libc::ECONNRESET, libc::ENETRESET]),
        (Code::ConnectionAborted, &[libc::ECONNABORTED, libc::EPROTO]),
        (Code::BrokenPipe, &[libc::EPIPE]),
        (Code::Shutdown, &[libc::ESHUTDOWN]),
        (Code::Refused, &[libc::ECONNREFUSED]),
        (Code::TimedOut, &[libc::ETIMEDOUT]),
        (Code::Cancelled, &[libc::ECANCELED]),
        (Code::Unreachable, &[libc::ENETDOWN, libc::ENETUNREACH, libc::EHOSTDOWN, libc::EHOSTUNREACH]),
        (Code::NoDescriptors, &[libc::EMFILE, libc::ENFILE]),
        (Code::NoMemory, &[libc::ENOMEM, libc::ENOBUFS, libc::ENOSPC]),
        (Code::Busy, &[libc::EALREADY, libc::EINPROGRESS]),
        (Code::InvalidArgument, &[libc::EINVAL, libc::EFAULT, libc::EDOM, libc::EISCONN]),
        (Code::MessageSize, &[libc::EMSGSIZE]),
        (Code::Unsupported, &[libc::EOPNOTSUPP, libc::ENOTSUP, libc::ENOPROTOOPT, libc::ENOSYS]),
        (Code::Unsupported, &[libc::EPROTONOSUPPORT, libc::ESOCKTNOSUPPORT]),
        (Code::Unsupported, &[libc::EPFNOSUPPORT, libc::EAFNOSUPPORT]),
        (Code::Os, &[libc::EPERM, libc::EACCES, libc::EADDRINUSE, libc::EADDRNOTAVAIL]),
        (Code::Os, &[libc::EINTR, libc::EAGAIN, libc::EWOULDBLOCK, libc::EIO, libc::ENOENT, 0, -1, i32::MAX]),
    ];
    for (code, numbers) in table {
        for errno in *numbers {
            assert_eq!(portable_code(*errno), *code, "errno {errno}");
        }
    }
    let torn = if cfg!(target_vendor = "apple") { Code::BrokenPipe } else { Code::Unsupported };
    assert_eq!(portable_code(libc::EPROTOTYPE), torn);
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
    assert_eq!((portable_code(libc::ENONET), portable_code(libc::ETIME)), (Code::Unreachable, Code::TimedOut));
}
