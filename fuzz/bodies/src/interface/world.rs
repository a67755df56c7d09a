//! What a script has made so far, and the model of what must come of it.

use super::mail::Mail;
use super::script::Script;
use crate::c::{self, Handle};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::c_int;
use std::fmt;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Bytes of one send at most: more than a socket's buffers hold.
pub(super) const MAX_LENGTH: usize = 256 << 10;

/// How a socket has been asked to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Close,
    Abort { closing: bool },
    Remove,
}

/// A port.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) handle: Handle,
    pub(super) deleted: bool,
    pub(super) given: c::Options,
    pub(super) read_buffer_size: usize,
    pub(super) farewells: u64,
    /// A shutdown has begun, after so many farewells: connections that are idle end, and it may be gone at any time.
    pub(super) shut_down: Option<u64>,
}

/// A time limit, or the delay of a timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    since: Instant,
    pub(super) ms: u32,
}

impl Limit {
    const LONGEST_MS: u32 = 604_800_000;
    /// One that is waited for.
    const SHORT_MS: u32 = 2;

    /// One of those that are given to calls; it begins now, which is before the call.
    pub(super) fn of(choice: u8) -> Limit {
        let choices = [0, 1, Limit::SHORT_MS, 3_600_000, Limit::LONGEST_MS, Limit::LONGEST_MS + 1, u32::MAX];
        Limit { since: Instant::now(), ms: choices[usize::from(choice) % choices.len()] }
    }

    pub(super) fn is_too_long(self) -> bool {
        self.ms > Limit::LONGEST_MS
    }

    pub(super) fn is_short(self) -> bool {
        self.ms <= Limit::SHORT_MS
    }

    pub(super) fn is_over(self) -> bool {
        self.since.elapsed() >= Duration::from_millis(self.ms.into())
    }
}

/// The bytes of a send: kept until it is reported, since they are the library's until then.
pub(super) enum Bytes {
    Own(Box<[u8]>),
    /// Those of the socket's read buffer, or of a taken one.
    ReadBuffer(usize),
    /// Those of a file.
    File(OwnedFd),
}

/// So much of a file counts as queued at most.
const MAX_QUEUED_OF_FILE: usize = 65_536;

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bytes::Own(_) => f.write_str("its own"),
            Bytes::ReadBuffer(address) => write!(f, "the read buffer at {address:#x}"),
            Bytes::File(file) => write!(f, "those of {file:?}"),
        }
    }
}

/// A send that was accepted.
#[derive(Debug)]
pub(super) struct Send {
    pub(super) id: usize,
    pub(super) sync: bool,
    pub(super) length: usize,
    pub(super) bytes: Bytes,
    pub(super) limit: Option<Limit>,
    pub(super) cancelled: bool,
}

impl Send {
    /// What it counts among the bytes queued.
    fn queued_bytes(&self) -> usize {
        if matches!(self.bytes, Bytes::File(_)) { queued_of_file(self.length) } else { self.length }
    }

    /// Whether it may end with this status while its socket goes on.
    pub(super) fn may_end_alone(&self, status: c_int) -> bool {
        ends_alone(status, self.cancelled, self.limit)
    }

    /// Whether it is to end, whatever its peer does.
    pub(super) fn must_end(&self) -> bool {
        self.cancelled || self.limit.is_some_and(Limit::is_short)
    }
}

/// What a send of so many bytes of a file counts among the bytes queued.
pub(super) fn queued_of_file(length: usize) -> usize {
    length.min(MAX_QUEUED_OF_FILE)
}

/// Whether an operation may end with this status while its socket goes on.
fn ends_alone(status: c_int, cancelled: bool, limit: Option<Limit>) -> bool {
    match status {
        c::CANCELLED => cancelled,
        c::TIMED_OUT => limit.is_some_and(Limit::is_over),
        _ => false,
    }
}

/// A recv that was accepted.
#[derive(Debug)]
pub(super) struct Recv {
    pub(super) limit: Option<Limit>,
    pub(super) cancelled: bool,
}

impl Recv {
    /// Whether it may end with this status while its socket goes on.
    pub(super) fn may_end_alone(&self, status: c_int) -> bool {
        ends_alone(status, self.cancelled, self.limit)
    }

    /// Whether it is to end, whatever its peer does.
    pub(super) fn must_end(&self) -> bool {
        self.cancelled || self.limit.is_some_and(Limit::is_short)
    }
}

/// A timer that was accepted.
#[derive(Debug)]
pub(super) struct Timer {
    pub(super) id: usize,
    pub(super) delay: Limit,
    pub(super) cancelled: bool,
}

/// A connect that was accepted.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) to: Far,
    /// Kept for as long as somebody is to take the connection, or nobody.
    pub(super) listener: Option<OwnedFd>,
    pub(super) limit: Option<Limit>,
    /// It was closed with something to send: it waits up to the linger limit.
    pub(super) lingers: bool,
    pub(super) cancelled: bool,
}

/// Where a socket is being connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Far {
    /// A listener that takes it.
    Listens,
    /// A listener that takes nobody any more.
    Full,
    /// No listener.
    Nobody,
}

impl Connect {
    /// Whether it is still to end: nobody waits for one that takes no end.
    pub(super) fn is_due(&self) -> bool {
        self.to != Far::Full || self.cancelled || self.limit.is_some_and(Limit::is_short)
    }
}

/// Bytes on their way; only their number is printed.
#[derive(Default)]
pub(super) struct Pipe {
    bytes: Vec<u8>,
    /// So many have arrived.
    taken: usize,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Pipe {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes these bytes out; false if others are next.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.bytes[self.taken..].starts_with(bytes);
        self.taken += if is_next { bytes.len() } else { 0 };
        is_next
    }
}

/// What a socket sends, as its peer is to read it.
#[derive(Default)]
pub(super) struct Outgoing {
    /// The sends that it has not read to their ends, as they were issued.
    parts: VecDeque<Part>,
    /// What it has read, and of which send is not known yet.
    read: Vec<u8>,
}

/// What the peer is to read of a send.
struct Part {
    send: usize,
    bytes: Vec<u8>,
    /// So many of them it has read.
    read: usize,
    /// So many of them went: it has been reported.
    gone: Option<usize>,
    /// It may end before all of them have gone, and the next send follow.
    may_end: bool,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sends to be read, {} bytes of them", self.parts.len(), self.read.len())
    }
}

impl Outgoing {
    pub(super) fn put(&mut self, send: usize, bytes: Vec<u8>, may_end: bool) {
        self.parts.push_back(Part { send, bytes, read: 0, gone: None, may_end });
    }

    /// This send may end before all of it has gone.
    pub(super) fn may_end(&mut self, send: usize) {
        self.parts.iter_mut().filter(|part| part.send == send).for_each(|part| part.may_end = true);
    }

    /// This send has been reported with so many bytes; false if the peer has read something else.
    pub(super) fn reported(&mut self, send: usize, gone: usize) -> bool {
        self.parts.iter_mut().filter(|part| part.send == send).for_each(|part| part.gone = Some(gone));
        self.is_right()
    }

    /// The peer has read these bytes; false if others were next.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        self.read.extend_from_slice(bytes);
        self.is_right()
    }

    /// Holds what has been read against what was sent, as far as it is known what that is.
    fn is_right(&mut self) -> bool {
        while let Some(part) = self.parts.front_mut() {
            if part.gone.is_none() && part.may_end {
                return true;
            }
            let gone = part.gone.unwrap_or(part.bytes.len());
            let Some(left) = gone.checked_sub(part.read) else { return false };
            let count = left.min(self.read.len());
            if self.read[..count] != part.bytes[part.read..part.read + count] {
                return false;
            }
            self.read.drain(..count);
            part.read += count;
            if part.read < gone {
                return true;
            }
            self.parts.pop_front();
        }
        self.read.is_empty()
    }
}

/// The number of a socket that is being connected to a host.
pub(super) const NO_NUMBER: RawFd = -1;

/// A connected socket that is or was in a port.
#[derive(Debug, Default)]
pub(super) struct Socket {
    pub(super) handle: usize,
    pub(super) port: usize,
    pub(super) number: RawFd,
    /// The other end; `None` when it has been closed.
    pub(super) peer: Option<OwnedFd>,
    pub(super) ended: bool,
    /// Its connect has not been reported.
    pub(super) connect: Option<Connect>,
    pub(super) recv: Option<Recv>,
    pub(super) timer: Option<Timer>,
    pub(super) eof: bool,
    pub(super) shutdown: bool,
    pub(super) ending: Option<Ending>,
    /// A call was answered `CLOSED` though nobody had asked for an end: one must follow.
    pub(super) found_closed: bool,
    pub(super) sends: VecDeque<Send>,
    pub(super) send_failed: bool,
    /// Accepted sends that the peer has not received yet.
    pub(super) to_peer: Outgoing,
    /// Bytes of sends that were reported as sent, less those that the peer has received.
    pub(super) sent_ahead: i64,
    /// Bytes that the peer has sent and no recv has brought.
    pub(super) from_peer: Pipe,
    /// The peer has sent FIN.
    pub(super) fin: bool,
    /// The peer has closed: a recv or send may fail.
    pub(super) may_fail: bool,
    /// The read buffer of the last recv callback, as long as it is the socket's.
    pub(super) lent: Option<(usize, usize)>,
    /// Handed back by the farewell, and not added again.
    pub(super) handed_back: Option<OwnedFd>,
    /// It is a datagram socket.
    pub(super) mail: Option<Mail>,
}

impl Socket {
    /// Whether a send uses the read buffer at this address.
    pub(super) fn sends_from(&self, address: usize) -> bool {
        self.sends.iter().any(|send| matches!(send.bytes, Bytes::ReadBuffer(at) if at == address))
    }

    pub(super) fn has_send(&self, id: usize) -> bool {
        self.sends.iter().any(|send| send.id == id)
    }

    /// The async sends that are outstanding, and their bytes.
    pub(super) fn queued(&self) -> (usize, usize) {
        let asyncs = self.sends.iter().filter(|send| !send.sync);
        asyncs.fold((0, 0), |(count, bytes), send| (count + 1, bytes + send.queued_bytes()))
    }
}

/// A listen socket that is or was in a port.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) port: usize,
    pub(super) number: RawFd,
    pub(super) name: Vec<u8>,
    pub(super) removed: Option<OwnedFd>,
    pub(super) ended: bool,
}

/// A buffer that was taken and not released.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) address: usize,
    pub(super) length: usize,
    pub(super) port: usize,
}

/// A client that has connected and is not accepted yet.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: Vec<u8>,
    pub(super) end: OwnedFd,
}

/// Everything, and the first rule that was broken.
#[derive(Default)]
pub(super) struct World {
    pub(super) script: Script,
    pub(super) ports: Vec<Port>,
    pub(super) sockets: Vec<Socket>,
    pub(super) listeners: Vec<Listener>,
    pub(super) clients: Vec<Client>,
    pub(super) taken: Vec<Taken>,
    /// The ports whose runs are in progress, the innermost last.
    pub(super) running: Vec<usize>,
    /// The callbacks in progress, the innermost last.
    pub(super) callbacks: Vec<Callback>,
    pub(super) called_back: u64,
    /// The issue call in progress, in which no callback may come.
    pub(super) calling: Option<&'static str>,
    pub(super) in_callbacks: u8,
    pub(super) next_send: usize,
    pub(super) next_timer: usize,
    /// Shared buffers that have not been released.
    pub(super) shared: usize,
    pub(super) next_byte: u8,
    broken: Option<String>,
}

/// A callback in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callback {
    pub(super) port: usize,
    /// `None` in a listen socket's farewell.
    pub(super) socket: Option<usize>,
    pub(super) operation: u32,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// The world of this thread, on which every callback runs. Never to be held over a call of the interface.
pub(super) fn world<T>(look: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(look)
}

/// A rule was broken.
pub(super) fn note(broken: String) {
    world(|world| world.note(broken));
}

impl World {
    /// A rule was broken.
    pub(super) fn note(&mut self, broken: String) {
        self.broken.get_or_insert(broken);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// Bytes to be sent, other ones each time.
    pub(super) fn some_bytes(&mut self, length: usize) -> Box<[u8]> {
        static BYTES: LazyLock<Vec<u8>> =
            LazyLock::new(|| (0..MAX_LENGTH + usize::from(u8::MAX)).map(|at| (at ^ at >> 8) as u8).collect());
        let first = usize::from(self.next_byte);
        self.next_byte = self.next_byte.wrapping_add(97);
        BYTES[first..first + length].into()
    }

    /// What a number is that is given as a port.
    pub(super) fn port_of(&self, handle: Handle) -> Option<usize> {
        self.ports.iter().position(|port| port.handle == handle)
    }

    /// What a number is that is given as a socket; the last that had it, since a dead one's never comes back.
    pub(super) fn socket_of(&self, handle: Handle) -> Option<usize> {
        self.sockets.iter().rposition(|socket| socket.handle == handle.addr())
    }

    /// The codes with which a call on this port fails; none if the port is alive.
    pub(super) fn wrong_port(&self, handle: Handle) -> Vec<c_int> {
        match self.port_of(handle) {
            _ if handle.is_null() => vec![c::NULL_POINTER],
            None => vec![c::BAD_HANDLE, c::CLOSED],
            Some(port) if self.ports[port].deleted => vec![c::CLOSED],
            Some(_) => Vec::new(),
        }
    }

    /// Whether the innermost callback in progress is one of this port.
    pub(super) fn is_inside(&self, port: usize) -> bool {
        self.callbacks.last().is_some_and(|callback| callback.port == port)
    }

    /// Whether a shutdown of this port has begun.
    pub(super) fn is_shut_down(&self, handle: Handle) -> bool {
        self.port_of(handle).is_some_and(|at| self.ports[at].shut_down.is_some())
    }

    /// The codes with which a call on this socket in this port fails, whatever call it is; none if both are right.
    pub(super) fn wrong_socket(&self, port: Handle, socket: Handle) -> Vec<c_int> {
        match self.socket_of(socket) {
            _ if socket.is_null() => vec![c::NULL_POINTER],
            None => vec![c::BAD_HANDLE, c::CLOSED],
            Some(at) if self.sockets[at].ended => vec![c::CLOSED],
            Some(at) if self.port_of(port) != Some(self.sockets[at].port) => vec![c::WRONG_PORT],
            Some(_) => Vec::new(),
        }
    }
}
