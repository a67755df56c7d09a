//! The listeners of the bench's own servers.

use crate::error::{Doing, Error};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Connections that the kernel keeps for a server.
const BACKLOG: i32 = 4096;

/// A listener on a free port of 127.0.0.1, blocking, and its address. On Linux an accepted connection has its listener's
/// `TCP_NODELAY` from the start: it costs no call for each.
pub(crate) fn listen() -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).needed("a listener on loopback")?;
    // A longer queue than the standard library's.
    rustix::net::listen(&listener, BACKLOG).needed("a queue of connections")?;
    rustix::net::sockopt::set_tcp_nodelay(&listener, true).needed("TCP_NODELAY")?;
    let address = listener.local_addr().needed("its address")?;
    Ok((listener, address))
}
