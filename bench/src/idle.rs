//! Idle memory: what a connection costs that has a recv outstanding and nothing to read.

use crate::Options;
use crate::child::{Role, Server};
use crate::cpus::Cpus;
use crate::error::{Doing, Error};
use crate::report::Idle;
use socket_iocp::BackendKind;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may take for one echo.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn measure(
    options: &Options,
    kinds: &[BackendKind],
    cpus: &Cpus,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Idle>, Error> {
    kinds
        .iter()
        .map(|kind| {
            progress(&format!("{} idle connections, {}", options.idle_connections, kind.name()));
            sample(*kind, options, cpus)
        })
        .collect()
}

fn sample(kind: BackendKind, options: &Options, cpus: &Cpus) -> Result<Idle, Error> {
    let connections = options.idle_connections;
    let mut server = Server::start(Role::Idle, kind, connections, cpus.server)?;
    let empty = server.memory()?;
    let mut sockets = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut socket = TcpStream::connect(server.address()).needed("an idle connection")?;
        exchange(&mut socket, &vec![number as u8; options.message_bytes])?;
        sockets.push(socket);
    }
    let full = server.memory()?;
    if full.sockets != connections as u64 {
        return Err(Error::failed(format!("the server has {} of {connections} connections", full.sockets)));
    }
    let each = |full: u64, empty: u64| full.saturating_sub(empty) as f64 / connections as f64;
    Ok(Idle {
        backend: kind.name().to_owned(),
        connections,
        empty_private_dirty_bytes: empty.private_dirty,
        private_dirty_bytes_each: each(full.private_dirty, empty.private_dirty),
        resident_bytes_each: each(full.resident, empty.resident),
        allocated_bytes_each: each(full.allocated, empty.allocated),
    })
}

/// One message there and back: the connection has been used before it falls idle, and is known to be served.
fn exchange(socket: &mut TcpStream, message: &[u8]) -> Result<(), Error> {
    socket.set_read_timeout(Some(PATIENCE)).doing("a timeout for the echo")?;
    socket.write_all(message).doing("sending")?;
    let mut echo = vec![0; message.len()];
    socket.read_exact(&mut echo).doing("the echo")?;
    if echo == message { Ok(()) } else { Err(Error::failed("a wrong echo on an idle connection")) }
}
