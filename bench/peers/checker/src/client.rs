//! A client: a blocking connection whose every wait has an end, and what it sends.

use socket2::{Domain, SockRef, Socket, Type};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// How long a peer may take for whatever is due.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A write that has not gone on for so long has filled every buffer on its way.
const STALL: Duration = Duration::from_millis(300);
/// Clients at a time.
pub const CROWD: usize = 20;

/// An error of any thread.
pub type Wrong = Box<dyn Error + Send + Sync>;
pub type Outcome = Result<(), Wrong>;

/// A connection to a peer.
#[derive(Debug)]
pub struct Client(TcpStream);

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Client, Wrong> {
        Client::configured(TcpStream::connect(address).map_err(|error| format!("connecting: {error}"))?)
    }

    /// One whose receive buffer is as small as the kernel allows, so that a peer soon meets a full socket.
    pub fn connect_narrow(address: SocketAddr) -> Result<Client, Wrong> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_recv_buffer_size(1)?;
        socket.connect(&address.into())?;
        Client::configured(socket.into())
    }

    fn configured(stream: TcpStream) -> Result<Client, Wrong> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client(stream))
    }

    pub fn send(&self, bytes: &[u8]) -> Outcome {
        (&self.0).write_all(bytes).map_err(|error| format!("sending: {error}").into())
    }

    /// Sends in pieces of odd sizes, each a packet if the peer is fast enough.
    pub fn send_in_pieces(&self, mut bytes: &[u8], seed: u64) -> Outcome {
        let mut odd = Odd(seed);
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(odd.up_to(200).min(bytes.len()));
            self.send(piece)?;
            bytes = rest;
            if odd.up_to(4) == 1 {
                thread::yield_now();
            }
        }
        Ok(())
    }

    /// Sends until nothing more goes, or all has gone. Returns the number of bytes.
    pub fn send_until_stalled(&self, bytes: &[u8]) -> Result<usize, Wrong> {
        self.0.set_write_timeout(Some(STALL))?;
        let mut sent = 0;
        while sent < bytes.len() {
            match (&self.0).write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("sending: {error}").into()),
            }
        }
        self.0.set_write_timeout(Some(PATIENCE))?;
        Ok(sent)
    }

    pub fn finish_sending(&self) -> Outcome {
        Ok(self.0.shutdown(Shutdown::Write)?)
    }

    pub fn receive(&self, count: usize) -> Result<Vec<u8>, Wrong> {
        let mut bytes = vec![0; count];
        (&self.0).read_exact(&mut bytes).map_err(|error| format!("receiving {count} bytes: {error}"))?;
        Ok(bytes)
    }

    /// Whether something comes within this time.
    pub fn receives_within(&self, time: Duration) -> Result<bool, Wrong> {
        self.0.set_read_timeout(Some(time))?;
        let outcome = match self.0.peek(&mut [0]) {
            Ok(0) => Err("the peer has closed".into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(format!("receiving: {error}").into()),
        };
        self.0.set_read_timeout(Some(PATIENCE))?;
        outcome
    }

    pub fn expect(&self, expected: &[u8]) -> Outcome {
        same(&self.receive(expected.len())?, expected)
    }

    pub fn expect_end(&self) -> Outcome {
        match (&self.0).read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err("more bytes than are due".into()),
            Err(error) => Err(format!("waiting for the end: {error}").into()),
        }
    }

    /// Resets the connection.
    pub fn reset(self) -> Outcome {
        Ok(SockRef::from(&self.0).set_linger(Some(Duration::ZERO))?)
    }
}

/// Whether these are the bytes; if not, where they differ.
pub fn same(received: &[u8], expected: &[u8]) -> Outcome {
    match received.iter().zip(expected).position(|(received, expected)| received != expected) {
        None if received.len() == expected.len() => Ok(()),
        None => Err(format!("{} bytes where {} are due", received.len(), expected.len()).into()),
        Some(at) => Err(format!("byte {at} is {} where {} is due", received[at], expected[at]).into()),
    }
}

/// Does something as many clients at once, each with its number.
pub fn crowd(act: impl Fn(u64) -> Outcome + Sync) -> Outcome {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CROWD as u64)
            .map(|number| {
                let act = &act;
                scope.spawn(move || act(number).map_err(|error| format!("client {number}: {error}").into()))
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client does not panic"))
    })
}

/// Does one thing beside another.
pub fn beside(one: impl FnOnce() -> Outcome + Send, other: impl FnOnce() -> Outcome) -> Outcome {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        other.and(one.join().expect("a client does not panic"))
    })
}

/// Bytes that differ from seed to seed and do not repeat soon.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut odd = Odd(seed);
    (0..len).map(|_| odd.next() as u8).collect()
}

/// A sequence of odd numbers, the same for the same seed (splitmix64).
struct Odd(u64);

impl Odd {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 1 to this.
    fn up_to(&mut self, most: u64) -> usize {
        (self.next() % most + 1) as usize
    }
}
