//! Connecting: begun by a call that does not wait, and asked for when the socket is writable.

use crate::RawSocket;
use crate::sys::Failure;
use crate::sys::unix::borrow;
use socket2::{Domain, SockAddr, SockRef};
use std::io;

/// How far a connect is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    Connected,
    /// An event will tell of its end, on a socket that is registered for writing.
    Connecting,
}

/// Begins. connect(2) heeds O_NONBLOCK only, which is put back as it was: the kernel goes on all the same, and the open file
/// may be the program's too.
pub(super) fn begin(socket: RawSocket, address: &SockAddr) -> Result<Progress, Failure> {
    let borrowed = borrow(socket).map_err(|_| Failure::Os(libc::EBADF))?;
    let socket = SockRef::from(&borrowed);
    let was_nonblocking = socket.nonblocking().map_err(failure)?;
    if !was_nonblocking {
        socket.set_nonblocking(true).map_err(failure)?;
    }
    let begun = socket.connect(address);
    if !was_nonblocking {
        socket.set_nonblocking(false).map_err(failure)?;
    }
    match begun {
        Ok(()) => Ok(Progress::Connected),
        Err(error) => match error.raw_os_error() {
            // After an interruption the kernel goes on.
            Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR) => Ok(Progress::Connecting),
            // Begun before, by a call after which there was no memory to wait for its end.
            Some(libc::EISCONN) => Ok(Progress::Connected),
            // A Unix listener's queue is full, and no event will tell that it is not any more.
            Some(libc::EAGAIN) if address.domain() == Domain::UNIX => Err(Failure::Shortage),
            _ => Err(failure(error)),
        },
    }
}

/// What has become of it: an error, a peer, or neither so far.
pub(super) fn look(socket: RawSocket) -> Result<Progress, Failure> {
    let borrowed = borrow(socket).map_err(|_| Failure::Os(libc::EBADF))?;
    let socket = SockRef::from(&borrowed);
    if let Some(error) = socket.take_error().map_err(failure)? {
        return Err(failure(error));
    }
    match socket.peer_addr() {
        Ok(_) => Ok(Progress::Connected),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(Progress::Connecting),
        Err(error) => Err(failure(error)),
    }
}

fn failure(error: io::Error) -> Failure {
    Failure::Os(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Socket, Type};
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn one_that_is_begun_again_is_connected() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = SockAddr::from(listener.local_addr().expect("a bound address"));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        begin(socket.as_raw_fd(), &address).expect("a listener");
        listener.accept().expect("the connection");
        for _ in 0..2 {
            assert_eq!(begin(socket.as_raw_fd(), &address), Ok(Progress::Connected));
        }
        assert_eq!(look(socket.as_raw_fd()), Ok(Progress::Connected));
        assert!(!socket.nonblocking().expect("a socket"), "the mode that it came with");
    }
}
