//! The load whose messages are counted: on every connection a message, then its echo, in rounds. A round begins when
//! the server is at rest, so that what a server does for a message does not hang on who is faster.

use super::counters::Counts;
use super::hooks::{NAMES, Session};
use crate::error::{Doing, Error};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take for one echo.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rounds before the counting: by then every connection has been accepted, and its worker, which may serve it a few times
/// before it does anything else, has made the socket of the next accept.
const WARM_UP: usize = 8;

#[derive(Debug)]
pub(super) struct Exchange {
    sockets: Vec<TcpStream>,
    message: Vec<u8>,
    echo: Vec<u8>,
}

impl Exchange {
    pub(super) fn connect(address: SocketAddr, connections: usize, message_bytes: usize) -> Result<Exchange, Error> {
        let connect = |_| {
            let socket = TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let sockets = (0..connections).map(connect).collect::<Result<Vec<_>, std::io::Error>>().doing("connecting")?;
        Ok(Exchange { sockets, message: vec![0; message_bytes], echo: vec![0; message_bytes] })
    }

    /// Counts the calls that the server makes in so many rounds.
    pub(super) fn run(&mut self, rounds: usize, session: &Session) -> Result<Counts<{ NAMES.len() }>, Error> {
        for number in 0..WARM_UP {
            self.round(number)?;
        }
        let before = session.at_rest(self.sockets.len())?;
        let mut after = before;
        for number in WARM_UP..WARM_UP + rounds {
            self.round(number)?;
            after = session.at_rest(self.sockets.len())?;
        }
        Ok(after - before)
    }

    /// A message and its echo on every connection.
    fn round(&mut self, number: usize) -> Result<(), Error> {
        for (index, socket) in self.sockets.iter_mut().enumerate() {
            fill(&mut self.message, number, index);
            socket.write_all(&self.message).doing("sending")?;
        }
        for (index, socket) in self.sockets.iter_mut().enumerate() {
            fill(&mut self.message, number, index);
            socket.read_exact(&mut self.echo).doing("the echo")?;
            if self.echo != self.message {
                return Err(Error::failed(format!("a wrong echo on connection {index}")));
            }
        }
        Ok(())
    }
}

/// Makes the message of a round and a connection, which differs from those before and beside it.
fn fill(message: &mut [u8], round: usize, connection: usize) {
    for (at, byte) in message.iter_mut().enumerate() {
        *byte = (round * 31 + connection * 7 + at) as u8;
    }
}
