//! A test's end of a connection.

use super::network::Network;
use super::socket::SimSocket;
use super::state::{SocketId, State};
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The end of a connection that a test drives itself. Calls block until they can be done, as those of a
/// `std::net::TcpStream` do, and take bytes whole and at once: the chances of the network are for ports. One thread may
/// read while another writes. Dropping it closes it: by FIN, or by reset if something was left unread.
#[derive(Debug)]
pub struct Peer {
    network: Arc<Network>,
    socket: SocketId,
    /// It holds a reference to the socket, to be let go when it is dropped.
    owns: bool,
    local: SocketAddr,
    remote: SocketAddr,
    nonblocking: AtomicBool,
}

impl Peer {
    /// Takes over the caller's reference to a connection's end.
    pub(super) fn new(network: Arc<Network>, state: &State, socket: SocketId) -> Peer {
        let stream = state.stream(socket).expect("sim: a peer is a connection's end");
        let (local, remote) = (stream.local, stream.remote);
        Peer { network, socket, owns: true, local, remote, nonblocking: AtomicBool::new(false) }
    }

    /// With `true`, a call that would block fails with `WouldBlock` instead: for tests on one thread.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Sends some of the bytes, as many as there is room for.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.until(|state| state.transmit(self.socket, iter::once(bytes), bytes.len()))
    }

    /// Sends all of the bytes.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.write(bytes)?..];
        }
        Ok(())
    }

    /// Receives what is there; 0 is the other end's FIN.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.until(|state| state.receive(self.socket, buffer))
    }

    /// Fills the buffer. Errors: `UnexpectedEof`, and those of the connection.
    pub fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read(buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => buffer = &mut buffer[len..],
            }
        }
        Ok(())
    }

    /// Appends everything up to the other end's FIN. What came before an error is in the vector.
    pub fn read_to_end(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let start = bytes.len();
        let mut part = [0; 4096];
        loop {
            match self.read(&mut part)? {
                0 => return Ok(bytes.len() - start),
                len => bytes.extend_from_slice(&part[..len]),
            }
        }
    }

    /// Sends FIN.
    pub fn shutdown_write(&self) {
        let mut state = self.network.lock();
        state.shut_down(self.socket);
        self.network.notify(&state);
    }

    /// Closes by reset.
    pub fn reset(mut self) {
        self.owns = false;
        let mut state = self.network.lock();
        state.release_by_reset(self.socket);
        self.network.notify(&state);
    }

    /// Makes it a socket under a number, for a port.
    pub fn into_socket(mut self) -> SimSocket {
        self.owns = false;
        let number = self.network.lock().descriptors.open(self.socket);
        SimSocket::new(self.network.clone(), number)
    }

    /// This end's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Tries until it can be done.
    fn until(&self, mut attempt: impl FnMut(&mut State) -> Option<Result<usize, i32>>) -> io::Result<usize> {
        let mut state = self.network.lock();
        loop {
            if let Some(result) = attempt(&mut state) {
                self.network.notify(&state);
                return result.map_err(io::Error::from_raw_os_error);
            }
            if self.nonblocking.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            state = self.network.block(state, None);
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.owns {
            let mut state = self.network.lock();
            state.release(self.socket);
            self.network.notify(&state);
        }
    }
}
