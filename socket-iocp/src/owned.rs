//! Sockets on their way in and out of a port, as owned values.

use crate::RawSocket;
#[cfg(unix)]
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd as Owned};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, FromRawSocket, IntoRawSocket, OwnedSocket as Owned};

/// An open socket that a port may take over: anything std owns as a stream socket, listener or UDP socket converts into it, and
/// what a port hands back converts into std's types again.
///
/// Dropping it closes it.
#[derive(Debug)]
pub struct Socket(Repr);

#[derive(Debug)]
enum Repr {
    Os(Owned),
    #[cfg(feature = "sim")]
    Sim(crate::sys::sim::SimSocket),
}

impl Socket {
    /// The socket's number. The socket stays owned by this value.
    pub fn as_raw(&self) -> RawSocket {
        match &self.0 {
            #[cfg(unix)]
            Repr::Os(socket) => socket.as_raw_fd(),
            #[cfg(windows)]
            Repr::Os(socket) => socket.as_raw_socket(),
            #[cfg(feature = "sim")]
            Repr::Sim(socket) => socket.as_raw(),
        }
    }

    /// Gives the number up to somebody who closes it.
    pub(crate) fn into_raw(self) -> RawSocket {
        match self.0 {
            #[cfg(unix)]
            Repr::Os(socket) => socket.into_raw_fd(),
            #[cfg(windows)]
            Repr::Os(socket) => socket.into_raw_socket(),
            #[cfg(feature = "sim")]
            Repr::Sim(socket) => socket.into_raw(),
        }
    }

    /// The operating system's socket; a simulated one comes back as it was.
    #[cfg(unix)]
    pub fn into_fd(self) -> Result<Owned, Socket> {
        self.into_owned()
    }

    /// The operating system's socket; a simulated one comes back as it was.
    #[cfg(windows)]
    pub fn into_socket(self) -> Result<Owned, Socket> {
        self.into_owned()
    }

    fn into_owned(self) -> Result<Owned, Socket> {
        match self.0 {
            Repr::Os(socket) => Ok(socket),
            #[cfg(feature = "sim")]
            Repr::Sim(_) => Err(self),
        }
    }

    pub(crate) fn is_sim(&self) -> bool {
        match self.0 {
            Repr::Os(_) => false,
            #[cfg(feature = "sim")]
            Repr::Sim(_) => true,
        }
    }
}

#[cfg(feature = "sim")]
impl From<crate::sys::sim::SimSocket> for Socket {
    fn from(socket: crate::sys::sim::SimSocket) -> Socket {
        Socket(Repr::Sim(socket))
    }
}

impl From<Owned> for Socket {
    fn from(socket: Owned) -> Socket {
        Socket(Repr::Os(socket))
    }
}

macro_rules! from_owners {
    ($($owner:ty),+) => {
        $(impl From<$owner> for Socket {
            fn from(socket: $owner) -> Socket {
                Socket(Repr::Os(socket.into()))
            }
        })+
    };
}

from_owners!(std::net::TcpStream, std::net::TcpListener, std::net::UdpSocket, socket2::Socket);
#[cfg(unix)]
from_owners!(std::os::unix::net::UnixStream, std::os::unix::net::UnixListener);

#[cfg(unix)]
impl FromRawFd for Socket {
    // SAFETY: the caller's, as the trait demands: `fd` is open and nobody else owns it.
    unsafe fn from_raw_fd(fd: RawSocket) -> Socket {
        // SAFETY: the trait's contract, passed on.
        Socket(Repr::Os(unsafe { Owned::from_raw_fd(fd) }))
    }
}

#[cfg(windows)]
impl FromRawSocket for Socket {
    // SAFETY: the caller's, as the trait demands: `socket` is open and nobody else owns it.
    unsafe fn from_raw_socket(socket: RawSocket) -> Socket {
        // SAFETY: the trait's contract, passed on.
        Socket(Repr::Os(unsafe { Owned::from_raw_socket(socket) }))
    }
}
