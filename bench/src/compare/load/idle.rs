//! Connections with nothing to say.

use super::super::workload::Shape;
use super::{PATIENCE, connect};
use crate::error::{Doing, Error};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Connections that have been used once, so that they are known to be served.
pub(in super::super) struct IdleConnections {
    _sockets: Vec<TcpStream>,
}

impl IdleConnections {
    pub(in super::super) fn connect(address: SocketAddr, shape: Shape) -> Result<IdleConnections, Error> {
        let sockets = (0..shape.connections).map(|number| {
            let mut socket = connect(address, number)?;
            exchange(&mut socket, &vec![number as u8; shape.bytes])?;
            Ok(socket)
        });
        Ok(IdleConnections { _sockets: sockets.collect::<Result<_, Error>>()? })
    }
}

fn exchange(socket: &mut TcpStream, message: &[u8]) -> Result<(), Error> {
    socket.set_read_timeout(Some(PATIENCE)).doing("a time-out for the echo")?;
    socket.write_all(message).doing("sending")?;
    let mut echo = vec![0; message.len()];
    socket.read_exact(&mut echo).doing("the echo")?;
    if echo == message { Ok(()) } else { Err(Error::failed("a wrong echo on an idle connection")) }
}
