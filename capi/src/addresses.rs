//! A socket's addresses as C reads them.

use crate::handler::CHandler;
use crate::platform::{self, SocketAddress};
use engine::{Context, RawSocket};
use socket2::{SockAddr, SockAddrStorage, SockRef};
use std::net::SocketAddr;
use std::ptr;

/// Local and remote address in memory of their own, which C may write to.
pub(crate) struct Addresses {
    local: Copied,
    remote: Copied,
}

struct Copied {
    storage: SockAddrStorage,
    /// 0: there is no address.
    length: u32,
}

impl Addresses {
    /// The addresses of a callback's socket. Internet addresses are kept with the socket; those of another family are
    /// asked from the system if `look_up` says that the number still is this socket's.
    pub(crate) fn of(context: &Context<'_, CHandler>, look_up: bool) -> Addresses {
        if let Some((local, remote)) = context.sockaddrs() {
            return Addresses { local: Copied::of(Some(local)), remote: Copied::of(Some(remote)) };
        }
        let socket = (look_up && context.has_socket()).then_some(context.raw_socket());
        Addresses {
            local: Copied::kept(context.local_addr(), socket, |socket| socket.local_addr()),
            remote: Copied::kept(context.remote_addr(), socket, |socket| socket.peer_addr()),
        }
    }

    pub(crate) fn local(&self) -> (*const SocketAddress, u32) {
        self.local.get()
    }

    pub(crate) fn remote(&self) -> (*const SocketAddress, u32) {
        self.remote.get()
    }

    pub(crate) fn as_mut_ptrs(&mut self) -> (*mut SocketAddress, *mut SocketAddress) {
        (ptr::from_mut(&mut self.local.storage).cast(), ptr::from_mut(&mut self.remote.storage).cast())
    }
}

impl Copied {
    fn of(address: Option<&SockAddr>) -> Copied {
        match address {
            Some(address) => Copied { storage: address.clone().as_storage(), length: platform::length_of(address) },
            None => Copied { storage: SockAddrStorage::zeroed(), length: 0 },
        }
    }

    fn kept(
        internet: Option<SocketAddr>,
        socket: Option<RawSocket>,
        ask: impl FnOnce(&SockRef<'_>) -> std::io::Result<SockAddr>,
    ) -> Copied {
        let other = || {
            // SAFETY: outside of a farewell a number that there is is an open socket of the library's, for as long as its
            // callback runs.
            unsafe { platform::ask(socket?, ask) }.ok()
        };
        Copied::of(internet.map(SockAddr::from).or_else(other).as_ref())
    }

    fn get(&self) -> (*const SocketAddress, u32) {
        let address = if self.length == 0 { ptr::null() } else { ptr::from_ref(&self.storage).cast() };
        (address, self.length)
    }
}
