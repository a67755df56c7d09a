//! The good load: messages at a fixed rate over a fixed set of connections, every echo checked byte by byte.

use super::pace::{Pace, sharpen_waits};
use crate::error::{Doing, Error};
use rustix::event::{Timespec, epoll};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long an echo may take before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is sent repeats after so many bytes: a prime, so that no two messages in a row are the same.
const PERIOD: u64 = 251;

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    sent_bytes: u64,
    echoed_bytes: u64,
}

/// The load.
#[derive(Debug)]
pub(crate) struct Good {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    message: Vec<u8>,
    echo: Vec<u8>,
    /// The connection that sends next.
    next: usize,
    echoed_bytes: u64,
    last_echo: Instant,
}

impl Good {
    /// Connects; nothing is sent yet.
    pub(crate) fn connect(address: SocketAddr, connections: usize, message_bytes: usize) -> Result<Good, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).needed("an epoll for the load")?;
        let mut all = Vec::with_capacity(connections);
        for index in 0..connections {
            let socket = TcpStream::connect(address).doing("connecting")?;
            socket.set_nodelay(true).doing("TCP_NODELAY")?;
            socket.set_nonblocking(true).doing("a nonblocking socket")?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &socket, data, epoll::EventFlags::IN).doing("epoll_ctl")?;
            all.push(Connection { socket, sent_bytes: 0, echoed_bytes: 0 });
        }
        Ok(Good {
            epoll,
            connections: all,
            message: vec![0; message_bytes],
            echo: vec![0; 64 << 10],
            next: 0,
            echoed_bytes: 0,
            last_echo: Instant::now(),
        })
    }

    /// Sends at this rate for this long. Returns the number of messages whose echoes have come.
    pub(crate) fn run_for(&mut self, per_second: f64, duration: Duration) -> Result<u64, Error> {
        sharpen_waits();
        let start = Instant::now();
        let before = self.messages();
        let mut pace = Pace::new(per_second, start);
        self.last_echo = start;
        loop {
            let now = Instant::now();
            let left = (start + duration).saturating_duration_since(now);
            if left.is_zero() {
                return Ok(self.messages() - before);
            }
            while pace.take(now) {
                self.send_next()?;
            }
            self.take_echoes(pace.next_in(now).unwrap_or(left).min(left))?;
        }
    }

    /// Waits for the echoes under way, then closes every connection.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.last_echo = Instant::now();
        while self.is_waiting() {
            self.take_echoes(PATIENCE)?;
        }
        Ok(())
    }

    /// Messages whose echoes have come.
    fn messages(&self) -> u64 {
        self.echoed_bytes / self.message.len() as u64
    }

    fn is_waiting(&self) -> bool {
        self.connections.iter().any(|connection| connection.echoed_bytes < connection.sent_bytes)
    }

    fn send_next(&mut self) -> Result<(), Error> {
        let connection = &mut self.connections[self.next];
        for (at, byte) in (connection.sent_bytes..).zip(&mut self.message) {
            *byte = content(at);
        }
        // It waits for nobody: a good client whose messages the server does not take is not served.
        match connection.socket.write(&self.message).doing("sending a message")? {
            count if count == self.message.len() => {}
            count => return Err(Error::failed(format!("the server takes {count} bytes of a message"))),
        }
        connection.sent_bytes += self.message.len() as u64;
        self.next = (self.next + 1) % self.connections.len();
        Ok(())
    }

    /// Reads and checks what has come, waiting at most `timeout` for it.
    fn take_echoes(&mut self, timeout: Duration) -> Result<(), Error> {
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 128];
        let count = match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => 0,
            waited => waited.doing("epoll_wait")?,
        };
        for event in &events[..count] {
            self.take_echo(event.data.u64() as usize)?;
        }
        if count > 0 {
            self.last_echo = Instant::now();
        } else if self.last_echo.elapsed() > PATIENCE && self.is_waiting() {
            return Err(Error::failed(format!("no echo for {} seconds", PATIENCE.as_secs())));
        }
        Ok(())
    }

    fn take_echo(&mut self, index: usize) -> Result<(), Error> {
        let connection = &mut self.connections[index];
        let count = match connection.socket.read(&mut self.echo) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            read => read.doing("the echo")?,
        };
        if count == 0 {
            return Err(Error::failed("the server has ended a good connection"));
        }
        let is_right = (connection.echoed_bytes..).zip(&self.echo[..count]).all(|(at, byte)| *byte == content(at));
        connection.echoed_bytes += count as u64;
        if !is_right || connection.echoed_bytes > connection.sent_bytes {
            return Err(Error::failed(format!("a wrong echo on connection {index}")));
        }
        self.echoed_bytes += count as u64;
        Ok(())
    }
}

/// The byte at this place of what a connection sends.
fn content(at: u64) -> u8 {
    (at % PERIOD) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread::{self, JoinHandle};

    /// A server of one connection, which does what `serve` does.
    fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
        let address = listener.local_addr().expect("an address");
        (address, thread::spawn(move || serve(listener.accept().expect("the load").0)))
    }

    fn echo(mut socket: TcpStream, spoil: bool) {
        let mut bytes = [0; 4096];
        // The load may be gone before its last echo.
        while let Ok(count @ 1..) = socket.read(&mut bytes) {
            bytes[count - 1] ^= u8::from(spoil);
            if socket.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
    }

    #[test]
    fn echoes_are_counted_at_the_rate_of_the_messages() {
        let (address, server) = server(|socket| echo(socket, false));
        let mut good = Good::connect(address, 1, 100).expect("a connection");
        let messages = good.run_for(10_000.0, Duration::from_millis(50)).expect("echoes");
        good.finish().expect("the last echoes");
        server.join().expect("no panic");
        // Never more than the rate allows.
        assert!((1..=500).contains(&messages), "{messages}");
    }

    #[test]
    fn a_wrong_echo_is_an_error() {
        let (address, server) = server(|socket| echo(socket, true));
        let mut good = Good::connect(address, 1, 100).expect("a connection");
        let error = good.run_for(1000.0, Duration::from_secs(60)).expect_err("a wrong byte");
        assert!(error.to_string().contains("a wrong echo"), "{error}");
        drop(good);
        server.join().expect("no panic");
    }

    #[test]
    fn a_server_that_hangs_up_is_an_error() {
        let (address, server) = server(drop);
        let mut good = Good::connect(address, 1, 100).expect("a connection");
        assert!(good.run_for(1000.0, Duration::from_secs(60)).is_err());
        server.join().expect("no panic");
    }
}
