//! The attackers' process.

use super::attack::{Attack, Part};
use super::pace::{Pace, sharpen_waits};
use crate::child::tell;
use crate::error::{Doing, Error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, sockopt};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What one that never reads sends before it is measured: more than the server's send buffer ([`super::SEND_BUFFER_BYTES`],
/// which the kernel doubles), its own and a limited server's queue hold, and less than what the server's receive buffer
/// holds beside them.
pub(crate) const FILL_BYTES: usize = 80 << 10;
/// Its receive buffer; the kernel makes it its minimum.
const TINY_BYTES: usize = 1;
/// After this long a socket takes nothing more.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// What the attackers do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct AttackTask {
    pub(crate) address: SocketAddr,
    pub(crate) parts: Vec<Part>,
    /// Bytes of a message that is never read.
    pub(crate) message_bytes: usize,
}

/// What they have done.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) events: u64,
    /// Those of the events that came to nothing, the server's side being full.
    pub(crate) refused: u64,
}

/// The attackers' main: connects, says so, attacks, and answers each line of its input with what it has done so far.
pub(crate) fn attack(task: &AttackTask) -> Result<(), Error> {
    let groups = task.parts.iter().map(|part| Group::connect(task, *part)).collect::<Result<Vec<_>, _>>()?;
    sharpen_waits();
    let mut done = Done::default();
    tell(&done)?;
    let start = Instant::now();
    let mut groups: Vec<(Group, Pace)> = groups
        .into_iter()
        .zip(&task.parts)
        .map(|(group, part)| (group, Pace::new(part.events_per_second, start)))
        .collect();
    let stdin = io::stdin();
    let mut question = [0];
    loop {
        let now = Instant::now();
        for (group, pace) in &mut groups {
            while pace.take(now) {
                let taken = group.attack_once(task)?;
                done.events += 1;
                done.refused += u64::from(!taken);
            }
        }
        let next = groups.iter().filter_map(|(_, pace)| pace.next_in(now)).min();
        let timeout = next.map(|next| Timespec { tv_sec: next.as_secs() as i64, tv_nsec: next.subsec_nanos().into() });
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        if poll(&mut ready, timeout.as_ref()).doing("waiting")? == 0 {
            continue;
        }
        if stdin.lock().read(&mut question).doing("standard input")? == 0 {
            return Ok(());
        }
        tell(&done)?;
    }
}

/// The attackers of one kind.
enum Group {
    Silent { _sockets: Vec<TcpStream> },
    OneByte { sockets: Vec<TcpStream>, next: usize },
    NeverReading { sockets: Vec<TcpStream>, next: usize },
    HalfClosing { sockets: VecDeque<TcpStream> },
    Resetting,
}

impl Group {
    fn connect(task: &AttackTask, part: Part) -> Result<Group, Error> {
        let all = |connect: fn(&AttackTask) -> io::Result<TcpStream>| {
            (0..part.connections).map(|_| connect(task)).collect::<io::Result<Vec<_>>>().doing("a hostile connection")
        };
        Ok(match part.kind {
            Attack::Silent => Group::Silent { _sockets: all(connected)? },
            Attack::OneByte => Group::OneByte { sockets: all(nonblocking)?, next: 0 },
            Attack::NeverReading => Group::NeverReading { sockets: all(stuck)?, next: 0 },
            Attack::HalfClosing => Group::HalfClosing { sockets: all(half_closed)?.into() },
            Attack::Resetting => Group::Resetting,
            Attack::Together => return Err(Error::cannot_start("an attack of all kinds is made of its parts")),
        })
    }

    /// One event; false if it came to nothing.
    fn attack_once(&mut self, task: &AttackTask) -> Result<bool, Error> {
        match self {
            // It has no rate.
            Group::Silent { .. } => Ok(false),
            Group::OneByte { sockets, next } => {
                let socket = next_of(sockets, next);
                read_all(socket)?;
                write(socket, b"x")
            }
            Group::NeverReading { sockets, next } => write(next_of(sockets, next), &vec![b'x'; task.message_bytes]),
            Group::HalfClosing { sockets } => {
                sockets.push_back(half_closed(task).doing("a hostile connection")?);
                drop(sockets.pop_front());
                Ok(true)
            }
            Group::Resetting => {
                let socket = connected(task).doing("a hostile connection")?;
                sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).doing("SO_LINGER")?;
                Ok(true)
            }
        }
    }
}

fn next_of<'a>(sockets: &'a mut [TcpStream], next: &mut usize) -> &'a mut TcpStream {
    let at = *next;
    *next = (at + 1) % sockets.len();
    &mut sockets[at]
}

fn write(socket: &mut TcpStream, bytes: &[u8]) -> Result<bool, Error> {
    match socket.write(bytes) {
        Ok(count) => Ok(count == bytes.len()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).doing("a hostile message"),
    }
}

/// Reads the echoes that have come.
fn read_all(socket: &mut TcpStream) -> Result<(), Error> {
    let mut echoes = [0; 256];
    loop {
        match socket.read(&mut echoes) {
            Ok(0) => return Err(Error::failed("the server has ended a connection that sends one byte at a time")),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).doing("a hostile connection"),
        }
    }
}

fn connected(task: &AttackTask) -> io::Result<TcpStream> {
    TcpStream::connect(task.address)
}

fn nonblocking(task: &AttackTask) -> io::Result<TcpStream> {
    let socket = connected(task)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// It has sent what the server cannot echo.
fn stuck(task: &AttackTask) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_recv_buffer_size(&socket, TINY_BYTES)?;
    rustix::net::connect(&socket, &task.address)?;
    let mut socket = TcpStream::from(socket);
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(STUCK_AFTER))?;
    match socket.write_all(&[b'x'; FILL_BYTES]) {
        // It is stuck even earlier.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        written => written?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn half_closed(task: &AttackTask) -> io::Result<TcpStream> {
    let socket = connected(task)?;
    match socket.shutdown(Shutdown::Write) {
        // A server that is faster has reset it already.
        Err(error) if error.kind() == ErrorKind::NotConnected => {}
        shut => shut?,
    }
    Ok(socket)
}
