//! One attempt to connect to an address, begun by a call that does not wait.

use crate::{Error, ErrorCode, Socket};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Type};
use std::io;
use std::net::{self, SocketAddr};
use std::time::Duration;

/// How far an attempt is.
pub(super) enum Progress {
    Connected,
    /// An event will tell of more.
    Connecting,
}

/// Dropped, it is given up by reset: its peer, if it has one already, is to see no end of what it was never sent.
#[derive(Debug)]
pub(super) struct Attempt {
    /// `None` once it has been handed on.
    stream: Option<TcpStream>,
    pub(super) token: Token,
}

impl Attempt {
    /// Begins; `token` is that of its events.
    pub(super) fn begin(address: SocketAddr, registry: &Registry, token: Token) -> Result<(Attempt, Progress), Error> {
        begin(address, registry, token).map_err(|error| from_io(&error))
    }

    /// What has become of it, after an event.
    pub(super) fn look(&self) -> Result<Progress, Error> {
        let Some(stream) = &self.stream else { return Ok(Progress::Connected) };
        if let Some(error) = stream.take_error().map_err(|error| from_io(&error))? {
            return Err(from_io(&error));
        }
        match stream.peer_addr() {
            Ok(_) => Ok(Progress::Connected),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(Progress::Connecting),
            Err(error) => Err(from_io(&error)),
        }
    }

    /// The connected socket, as one is that a program has connected itself.
    pub(super) fn into_socket(mut self, registry: &Registry) -> Result<Socket, Error> {
        let connected = self.stream.take().map(|mut stream| -> io::Result<Socket> {
            registry.deregister(&mut stream)?;
            let stream = net::TcpStream::from(stream);
            stream.set_nonblocking(false)?;
            Ok(Socket::from(stream))
        });
        connected.unwrap_or(Err(io::ErrorKind::NotConnected.into())).map_err(|error| from_io(&error))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // It fails for a connection that is over already.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

fn begin(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<(Attempt, Progress)> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    let progress = match socket.connect(&address.into()) {
        Ok(()) => Progress::Connected,
        Err(error) if is_under_way(&error) => Progress::Connecting,
        Err(error) => return Err(error),
    };
    let mut stream = TcpStream::from_std(net::TcpStream::from(socket));
    registry.register(&mut stream, token, Interest::WRITABLE)?;
    Ok((Attempt { stream: Some(stream), token }, progress))
}

/// Whether the answer of a connect says that it goes on.
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR));
    #[cfg(windows)]
    return error.kind() == io::ErrorKind::WouldBlock;
}

fn from_io(error: &io::Error) -> Error {
    error.raw_os_error().map_or_else(|| ErrorCode::Os.into(), Error::from_os)
}
