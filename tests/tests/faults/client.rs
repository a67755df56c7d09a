//! The other end of the program's connections: it sends, checks what comes back, and ends in one of several ways.

use crate::program::{ABORT, BYTES, CLOSE, NUDGE};
use socket_iocp_testkit::{BOUND, Gate};
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// What is sent at once, each time after everything has come back: from less than a read buffer to many of them.
const LENGTHS: [usize; 5] = [1, 1_000, 5_000, 50_000, 3];
/// Room for all that, so that no write has to wait for the program to read.
const SEND_BUFFER_SIZE: usize = 256 << 10;
/// What a client that may have been overlooked waits before it makes another event.
const NUDGE_AFTER: Duration = Duration::from_millis(20);

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The client's FIN; the program closes.
    Fin,
    /// The client asks for an abort.
    Abort,
    /// The client's reset.
    Reset,
    /// The client asks for a close, and does not close its own side: the program gives up at its linger limit.
    Linger,
    /// The client stays; the program deletes its port.
    Stay,
}

/// How a client helps a program that a fault has made overlook something. An edge-triggered event comes once: an error that
/// says "nothing there" where something was makes the program wait for the next event, which is due when more comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nudge {
    /// It does not.
    Never,
    /// It sends a byte more.
    Byte,
    /// And makes one more connection.
    Connection,
}

/// What a client found.
#[derive(Debug)]
pub struct Outcome {
    pub ending: Ending,
    pub port: u16,
    pub written: u64,
    pub echoed: u64,
    /// What ended the connection before its time.
    pub broken: Option<io::Error>,
}

/// One client.
struct Client {
    stream: TcpStream,
    number: u64,
    nudge: Nudge,
    written: u64,
    echoed: u64,
}

/// Runs a client to its end. One that stays passes the gate, once, when it has nothing left to do but to see the end.
pub fn run(address: SocketAddr, number: u64, ending: Ending, nudge: Nudge, idle: &Gate) -> Outcome {
    let stream = TcpStream::connect(address).expect("a listener");
    SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_SIZE).expect("SO_SNDBUF");
    let patience = if nudge == Nudge::Never { BOUND } else { NUDGE_AFTER };
    stream.set_read_timeout(Some(patience)).expect("a time-out");
    let port = stream.local_addr().expect("bound").port();
    let mut client = Client { stream, number, nudge, written: 0, echoed: 0 };
    let exchanged = client.exchange();
    if ending == Ending::Stay {
        idle.pass();
    }
    let broken = exchanged.and_then(|()| client.end(ending)).err();
    Outcome { ending, port, written: client.written, echoed: client.echoed, broken }
}

impl Client {
    fn byte(&self, at: u64) -> u8 {
        ((at.wrapping_mul(31) + at / 4096 + self.number * 17) % BYTES) as u8
    }

    fn exchange(&mut self) -> io::Result<()> {
        for len in LENGTHS {
            self.write(len)?;
            self.await_echo()?;
        }
        Ok(())
    }

    fn write(&mut self, len: usize) -> io::Result<()> {
        let bytes: Vec<u8> = (self.written..self.written + len as u64).map(|at| self.byte(at)).collect();
        self.stream.write_all(&bytes)?;
        self.written += len as u64;
        Ok(())
    }

    /// Reads until everything is back, and checks it.
    fn await_echo(&mut self) -> io::Result<()> {
        let end = Instant::now() + BOUND;
        let mut part = [0; 16 << 10];
        while self.echoed < self.written {
            match self.stream.read(&mut part) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    for byte in &part[..count] {
                        assert_eq!(*byte, self.byte(self.echoed), "client {}: byte {}", self.number, self.echoed);
                        self.echoed += 1;
                    }
                    assert!(self.echoed <= self.written, "client {}: more came back than was sent", self.number);
                }
                Err(error) => self.wait_on(error, end)?,
            }
        }
        Ok(())
    }

    /// Nothing has come for a while.
    fn wait_on(&mut self, error: io::Error, end: Instant) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::Interrupted => return Ok(()),
            io::ErrorKind::WouldBlock => {}
            _ => return Err(error),
        }
        assert!(Instant::now() < end, "client {}: waits in vain, {} of {}", self.number, self.echoed, self.written);
        if self.nudge == Nudge::Connection {
            drop(TcpStream::connect(self.stream.peer_addr()?));
        }
        if self.nudge == Nudge::Never { Ok(()) } else { self.stream.write_all(&[NUDGE]) }
    }

    fn end(&mut self, ending: Ending) -> io::Result<()> {
        match ending {
            Ending::Fin => {
                self.stream.shutdown(Shutdown::Write)?;
                self.await_fin()
            }
            Ending::Abort => {
                self.stream.write_all(&[ABORT])?;
                self.await_reset(&[ABORT])
            }
            Ending::Reset => SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)),
            Ending::Linger => {
                self.stream.write_all(&[CLOSE])?;
                let mut echo = [0];
                self.stream.read_exact(&mut echo)?;
                assert_eq!(echo, [CLOSE]);
                self.await_fin()?;
                self.await_hang_up()
            }
            Ending::Stay => self.await_reset(&[]),
        }
    }

    fn await_fin(&mut self) -> io::Result<()> {
        let end = Instant::now() + BOUND;
        loop {
            match self.stream.read(&mut [0]) {
                Ok(count) => {
                    assert_eq!(count, 0, "client {}: more came back than was sent", self.number);
                    return Ok(());
                }
                // There is nothing more to be sent: the FIN is the last event.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    assert!(Instant::now() < end, "client {}: no FIN", self.number);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads nothing but `echo`, which may be overtaken by the reset.
    fn await_reset(&mut self, echo: &[u8]) -> io::Result<()> {
        let end = Instant::now() + BOUND;
        let mut part = [0; 16 << 10];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    let expected = part[..count].iter().all(|byte| echo.contains(byte));
                    assert!(expected, "client {}: {:?} came back", self.number, &part[..count]);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::ConnectionReset => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        assert!(Instant::now() < end, "client {}: no reset", self.number);
                        // The question may have been overlooked. If it comes too late, the answer is the reset.
                        if !echo.is_empty() {
                            let _ = self.stream.write(echo);
                        }
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Waits for the reset that follows a FIN: reading would only show the FIN again.
    fn await_hang_up(&self) -> io::Result<()> {
        let mut entry = libc::pollfd { fd: self.stream.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one entry, alive during the call.
        let count = unsafe { libc::poll(&mut entry, 1, BOUND.as_millis() as libc::c_int) };
        assert_eq!(count, 1, "client {}: no hang-up", self.number);
        Ok(())
    }
}
