//! Sockets on their way in and out of a port, as owned values.

use crate::RawSocket;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

/// An open socket that a port may take over: anything std owns as a stream socket or listener converts into it, and
/// what a port hands back converts into std's types again.
///
/// Dropping it closes it.
#[derive(Debug)]
pub struct Socket(Repr);

#[derive(Debug)]
enum Repr {
    Os(OwnedFd),
    #[cfg(feature = "sim")]
    Sim(crate::sys::sim::SimSocket),
}

impl Socket {
    /// The descriptor's number. The socket stays owned by this value.
    pub fn as_raw(&self) -> RawSocket {
        match &self.0 {
            Repr::Os(fd) => fd.as_raw_fd(),
            #[cfg(feature = "sim")]
            Repr::Sim(socket) => socket.as_raw(),
        }
    }

    /// Gives the number up to somebody who closes it.
    pub(crate) fn into_raw(self) -> RawSocket {
        match self.0 {
            Repr::Os(fd) => fd.into_raw_fd(),
            #[cfg(feature = "sim")]
            Repr::Sim(socket) => socket.into_raw(),
        }
    }

    /// The operating system's socket; a simulated one comes back as it was.
    pub fn into_fd(self) -> Result<OwnedFd, Socket> {
        match self.0 {
            Repr::Os(fd) => Ok(fd),
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

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Socket {
        Socket(Repr::Os(fd))
    }
}

macro_rules! from_std {
    ($($owned:ty),+) => {
        $(impl From<$owned> for Socket {
            fn from(socket: $owned) -> Socket {
                Socket(Repr::Os(socket.into()))
            }
        })+
    };
}

from_std!(
    std::net::TcpStream,
    std::net::TcpListener,
    std::os::unix::net::UnixStream,
    std::os::unix::net::UnixListener,
    socket2::Socket
);

impl FromRawFd for Socket {
    // SAFETY: the caller's, as the trait demands: `fd` is open and nobody else owns it.
    unsafe fn from_raw_fd(fd: RawSocket) -> Socket {
        // SAFETY: the trait's contract, passed on.
        Socket(Repr::Os(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}
