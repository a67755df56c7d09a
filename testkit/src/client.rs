//! The other end of a tested socket: blocking, with a bound on every wait so that a lost byte fails a test.

use crate::platform;
use socket_iocp::sim::Peer;
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// No wait of a test takes this long unless something is lost.
const BOUND: Duration = Duration::from_secs(30);

/// A client, real or simulated.
#[derive(Debug)]
pub struct Client(Repr);

#[derive(Debug)]
enum Repr {
    Tcp(TcpStream),
    Sim(Peer),
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(BOUND)).expect("a time-out");
        stream.set_write_timeout(Some(BOUND)).expect("a time-out");
        Client(Repr::Tcp(stream))
    }
}

impl From<Peer> for Client {
    fn from(peer: Peer) -> Client {
        Client(Repr::Sim(peer))
    }
}

impl Client {
    /// The address of the other end, if it is known.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Repr::Tcp(stream) => stream.peer_addr().ok(),
            Repr::Sim(peer) => Some(peer.peer_addr()),
        }
    }

    /// Writes everything.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Repr::Tcp(stream) => stream.write_all(bytes),
            Repr::Sim(peer) => peer.write_all(bytes),
        }
    }

    /// Writes what there is room for now; `None` if there is none.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let written = match &mut self.0 {
            Repr::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                let written = stream.write(bytes);
                stream.set_nonblocking(false)?;
                written
            }
            Repr::Sim(peer) => {
                peer.set_nonblocking(true);
                let written = peer.write(bytes);
                peer.set_nonblocking(false);
                written
            }
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            written => written.map(Some),
        }
    }

    /// Reads some bytes; 0 is the FIN.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.0 {
                Repr::Tcp(stream) => match stream.read(buffer) {
                    Ok(0) if platform::hides_reset(stream) => Err(io::ErrorKind::ConnectionReset.into()),
                    read => read,
                },
                Repr::Sim(peer) => peer.read(buffer),
            };
            // A call with a time limit is not restarted after a signal, nor after what a ring wakes its thread for.
            if !read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
                return read;
            }
        }
    }

    /// Reads exactly so many bytes.
    pub fn read_exact(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.read(&mut bytes[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(bytes)
    }

    /// Reads up to the FIN.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut part = [0; 65536];
        loop {
            match self.read(&mut part)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&part[..count]),
            }
        }
    }

    /// Sends FIN.
    pub fn shutdown_write(&mut self) {
        match &mut self.0 {
            Repr::Tcp(stream) => stream.shutdown(Shutdown::Write).expect("a live connection"),
            Repr::Sim(peer) => peer.shutdown_write(),
        }
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        match self.0 {
            Repr::Tcp(stream) => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER"),
            Repr::Sim(peer) => peer.reset(),
        }
    }

    /// The real stream; `None` of a simulated one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Repr::Tcp(stream) => Some(stream),
            Repr::Sim(_) => None,
        }
    }

    /// Reads up to a reset and returns what came before it. A FIN instead of it is an error.
    pub fn read_to_reset(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut part = [0; 65536];
        loop {
            match self.read(&mut part) {
                Ok(0) => return Err(io::Error::other("a FIN, where a reset should have come")),
                Ok(count) => bytes.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(bytes),
                Err(error) => return Err(error),
            }
        }
    }

    /// The client's own address.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.0 {
            Repr::Tcp(stream) => stream.local_addr().expect("a bound socket"),
            Repr::Sim(peer) => peer.local_addr(),
        }
    }
}
