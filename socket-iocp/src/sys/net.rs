//! The calls on a socket outside the data path: what it is, what it is called, its half-close and its end. They never
//! block, and any thread may make them.

use super::platform;
use crate::{Error, RawSocket, Socket};
use socket2::{SockAddr, SockAddrStorage};
use std::time::Duration;

/// Whose sockets they are: the operating system's, or the simulated network's.
#[derive(Clone, Debug)]
pub(crate) enum Net {
    Os,
    #[cfg(feature = "sim")]
    Sim(std::sync::Arc<super::sim::Network>),
}

/// Tells a socket from another that has its number later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity(pub(crate) u32);

/// How a socket is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CloseHow {
    /// In the background, whatever `SO_LINGER` the program had set: the call must not block.
    Background,
    /// By reset.
    Reset,
    /// The peer has reset it: there is nothing left that the call could wait for, whatever `SO_LINGER` says.
    Over,
}

/// A listener's second descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DuplicateListener {
    pub(crate) socket: RawSocket,
    /// The listener was blocking before: [`Net::restore_blocking`] is due when it is handed back.
    pub(crate) made_nonblocking: bool,
}

macro_rules! each {
    ($net:expr, $function:ident($($argument:expr),*)) => {
        match $net {
            Net::Os => platform::$function($($argument),*),
            #[cfg(feature = "sim")]
            Net::Sim(network) => network.$function($($argument),*),
        }
    };
}

impl Net {
    /// The clock of the workers that serve these sockets.
    pub(crate) fn now(&self) -> Duration {
        match self {
            Net::Os => super::clock(),
            #[cfg(feature = "sim")]
            Net::Sim(network) => network.now(),
        }
    }

    /// Checks that this is a connected stream socket. Errors as documented at `PortHandle::add_connected`.
    pub(crate) fn check_connected(&self, socket: RawSocket) -> Result<(), Error> {
        each!(self, check_connected(socket))
    }

    /// Checks that this is a listening stream socket. Errors as documented at `PortHandle::add_listener`.
    pub(crate) fn check_listening(&self, socket: RawSocket) -> Result<(), Error> {
        each!(self, check_listening(socket))
    }

    /// Checks that this is a stream socket that can be connected to this address, and gives it an address of its own where
    /// the system wants one first. Errors as documented at `PortHandle::connect`.
    pub(crate) fn check_connectable(&self, socket: RawSocket, address: &SockAddr) -> Result<(), Error> {
        each!(self, check_connectable(socket, address))
    }

    /// Checks that this is a datagram socket of the internet's, and gives it an address of its own where the system wants one first.
    /// Errors as documented at `PortHandle::add_datagram`.
    pub(crate) fn check_datagram(&self, socket: RawSocket) -> Result<(), Error> {
        each!(self, check_datagram(socket))
    }

    /// Makes a socket that a connect has ended on a connection's like any other.
    pub(crate) fn connected(&self, socket: RawSocket) {
        match self {
            Net::Os => platform::connected(socket),
            #[cfg(feature = "sim")]
            Net::Sim(_) => {}
        }
    }

    /// Which socket has this number now; an error if none.
    pub(crate) fn identity(&self, socket: RawSocket) -> Result<Identity, Error> {
        each!(self, identity(socket))
    }

    /// Whether a number is still the socket's that had this identity.
    pub(crate) fn is_still(&self, socket: RawSocket, expected: Identity) -> bool {
        match self {
            Net::Os => platform::is_still(socket, expected),
            #[cfg(feature = "sim")]
            Net::Sim(network) => network.identity(socket) == Ok(expected),
        }
    }

    /// Whether an internet connection of which neither end was closed in order is over, as far as the system tells.
    pub(crate) fn was_reset(&self, socket: RawSocket) -> bool {
        match self {
            Net::Os => platform::was_reset(socket),
            #[cfg(feature = "sim")]
            Net::Sim(_) => false,
        }
    }

    /// The local address; an unnamed one if the system refuses.
    pub(crate) fn local_address(&self, socket: RawSocket) -> SockAddr {
        each!(self, local_address(socket))
    }

    /// The peer's address; an unnamed one if the system refuses.
    pub(crate) fn remote_address(&self, socket: RawSocket) -> SockAddr {
        each!(self, remote_address(socket))
    }

    /// A second descriptor of a listening socket, close-on-exec; with `nonblocking`, accepts on it do not wait. This
    /// shows on the first as well, since the flag is the open file's: hence what [`DuplicateListener`] tells.
    pub(crate) fn duplicate_listener(&self, socket: RawSocket, nonblocking: bool) -> Result<DuplicateListener, Error> {
        match self {
            Net::Os => platform::duplicate_listener(socket, nonblocking),
            #[cfg(feature = "sim")]
            Net::Sim(network) => network
                .duplicate_listener(socket, nonblocking)
                .map(|socket| DuplicateListener { socket, made_nonblocking: false }),
        }
    }

    /// Makes a listener blocking again that [`duplicate_listener`](Net::duplicate_listener) made nonblocking, by
    /// whichever of its descriptors.
    pub(crate) fn restore_blocking(&self, socket: RawSocket) {
        each!(self, restore_blocking(socket));
    }

    /// Gives a listener the blocking mode back that it had before [`duplicate_listener`](Net::duplicate_listener).
    pub(crate) fn restore_listener(&self, own: DuplicateListener) {
        if own.made_nonblocking {
            self.restore_blocking(own.socket);
        }
    }

    /// Closes one descriptor of a listener. Unlike [`close`](Net::close) it changes no socket option, which would show
    /// on the program's own descriptor of the same listener and on what it accepts from then on.
    pub(crate) fn close_listener(&self, socket: RawSocket) {
        match self {
            Net::Os => platform::close_listener(socket),
            #[cfg(feature = "sim")]
            Net::Sim(network) => {
                network.close(socket, CloseHow::Background, None);
            }
        }
    }

    /// Sends FIN. A peer that has gone already is no error here: the next operation says it.
    pub(crate) fn shutdown_send(&self, socket: RawSocket) {
        each!(self, shutdown_send(socket))
    }

    /// An owned value of a number that the port owned and gives up.
    pub(crate) fn adopt(&self, socket: RawSocket) -> Socket {
        match self {
            Net::Os => platform::adopt(socket),
            #[cfg(feature = "sim")]
            Net::Sim(network) => super::sim::SimSocket::from_raw(network.clone(), socket).into(),
        }
    }

    /// Closes; `expected` guards a number that became a stranger's: then nothing is closed and the answer is false.
    pub(crate) fn close(&self, socket: RawSocket, how: CloseHow, expected: Option<Identity>) -> bool {
        each!(self, close(socket, how, expected))
    }
}

/// An address of no family.
pub(in crate::sys) fn unnamed() -> SockAddr {
    // SAFETY: zeros are an address of the family AF_UNSPEC, and the length covers the family's field on every system.
    unsafe { SockAddr::new(SockAddrStorage::zeroed(), 2) }
}

/// The longest wait given to a system call at once; longer ones are cut and waited again.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(3600);
