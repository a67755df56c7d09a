//! Datagram sockets, on loopback. The kernel may lose what has no room: so what comes is held to be a part of what went, in its
//! order.

use super::callbacks::user_of;
use super::expect::Call;
use super::issue::{call, length_of};
use super::perform::{MAX_SOCKETS, answers_to_add, calling, judge_in, pick_socket};
use super::script::{Step, What};
use super::world::{Bytes, Send, Socket, note, world};
use crate::c::{self, Handle};
use std::collections::VecDeque;
use std::ffi::c_int;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixDatagram;
use std::ptr;

/// The greatest datagram of IPv4.
const MAX_DATAGRAM: usize = 65_507;
/// A send is cut into segments of so many bytes, if it has no more than the next.
const SEGMENT: usize = 100;
const MAX_SEGMENTED: usize = 5_000;
/// So many small datagrams wait in a socket without loss.
const MAX_WAITING: usize = 64;

/// What is known of a datagram socket, beside what is of every socket.
#[derive(Debug)]
pub(super) struct Mail {
    correspondent: UdpSocket,
    address: SocketAddr,
    is_connected: bool,
    /// What the correspondent has written and no recv has brought.
    incoming: VecDeque<Vec<u8>>,
    /// What was issued and not reported: the number of the send, its bytes, and whether it has an address and is cut.
    issued: Vec<(usize, Vec<u8>, Kind)>,
    /// What was reported as sent, as datagrams.
    went: VecDeque<Vec<u8>>,
}

/// How a datagram is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// By a call of every socket's.
    Plain,
    Sync,
    Async,
    Segmented,
}

impl Mail {
    /// Whether a recv that is outstanding must have been reported.
    pub(super) fn brings(&self) -> bool {
        !self.incoming.is_empty()
    }

    pub(super) fn issue(&mut self, id: usize, bytes: Vec<u8>, kind: Kind) {
        self.issued.push((id, bytes, kind));
    }

    /// A send has been reported; `may_end`: with this status it may have ended alone, or with its socket.
    pub(super) fn sent(&mut self, send: &Send, count: u64, status: c_int, may_end: bool) -> Result<(), String> {
        let Some(at) = self.issued.iter().position(|issued| issued.0 == send.id) else {
            return Err(format!("{send:?} was never issued"));
        };
        let (_, bytes, kind) = self.issued.remove(at);
        let has_address = self.is_connected || kind != Kind::Plain;
        let fits = bytes.len() <= MAX_DATAGRAM;
        let right = match status {
            0 => has_address && fits && count == bytes.len() as u64,
            c::NOT_CONNECTED => !has_address && count == 0,
            c::MESSAGE_SIZE => !fits && count == 0,
            _ => may_end && count == 0,
        };
        if !right {
            return Err(format!("{count} bytes of {send:?}, {kind:?}, with {status}"));
        }
        if status == 0 {
            let size = if kind == Kind::Segmented { SEGMENT } else { bytes.len().max(1) };
            self.went.extend(bytes.chunks(size).map(<[u8]>::to_vec));
            self.went.extend(bytes.is_empty().then_some(bytes));
        }
        Ok(())
    }

    /// What has come to the correspondent went to it, in this order.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let mut bytes = vec![0; MAX_DATAGRAM];
        while let Ok((len, _)) = self.correspondent.recv_from(&mut bytes) {
            if !take(&mut self.went, |sent| sent[..] == bytes[..len]) {
                return Err(format!("{len} bytes have come that were not sent, or not then"));
            }
        }
        Ok(())
    }
}

/// Takes the first that is right, and forgets those before it. False if there is none.
fn take(queue: &mut VecDeque<Vec<u8>>, is_right: impl Fn(&[u8]) -> bool) -> bool {
    let found = queue.iter().position(|one| is_right(one));
    found.map(|at| queue.drain(..=at)).is_some()
}

/// A datagram socket is added, connected or not; or something that is none.
pub(super) fn add(step: Step, port: Handle) {
    let at = world(|world| world.sockets.len());
    if at >= MAX_SOCKETS {
        return;
    }
    let bound = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    let mut expected = answers_to_add(port);
    if step.amount >= 240 {
        let wrong = UnixDatagram::unbound().expect("a socket");
        let (raw, code) =
            if step.amount.is_multiple_of(2) { (wrong.as_raw_fd(), c::UNSUPPORTED) } else { (-1, c::BAD_SOCKET) };
        expected.retain(|code| *code != 0);
        expected.push(code);
        let answer = calling("add", || c::socket_iocp_add_datagram_socket(port, raw, ptr::null_mut()));
        return judge_in(port, "add, of no datagram socket", answer, &expected);
    }
    let (socket, correspondent) = (bound(), bound());
    let (here, address) = (socket.local_addr().expect("bound"), correspondent.local_addr().expect("bound"));
    correspondent.connect(here).expect("an address");
    correspondent.set_nonblocking(true).expect("a socket");
    let is_connected = step.amount.is_multiple_of(2);
    if is_connected {
        socket.connect(address).expect("an address");
    }
    let code = calling("add", || c::socket_iocp_add_datagram_socket(port, socket.as_raw_fd(), user_of(at)));
    judge_in(port, "add, of a datagram socket", code, &expected);
    if let (0, Some(known)) = (code, world(|world| world.port_of(port))) {
        let number = socket.into_raw_fd();
        let handle = c::socket_iocp_find_socket(port, number).addr();
        let (incoming, issued, went) = Default::default();
        let mail = Some(Mail { correspondent, address, is_connected, incoming, issued, went });
        world(|world| world.sockets.push(Socket { port: known, number, handle, mail, ..Socket::default() }));
    }
}

/// A correspondent writes.
pub(super) fn write(step: Step) {
    world(|world| {
        let bytes = world.some_bytes(usize::from(step.amount)).to_vec();
        let all = world.sockets.iter_mut().filter(|socket| !socket.ended);
        let mut all: Vec<_> = all.filter_map(|socket| socket.mail.as_mut()).collect();
        let count = all.len().max(1);
        let Some(mail) = all.get_mut(usize::from(step.target) % count) else { return };
        // It fails where the socket has gone that the model has not been told of.
        if mail.incoming.len() < MAX_WAITING && mail.correspondent.send(&bytes).is_ok() {
            mail.incoming.push_back(bytes);
        }
    });
}

/// `struct sockaddr_in`.
#[repr(C)]
struct Address {
    family: u16,
    port: [u8; 2],
    address: [u8; 4],
    zero: [u8; 8],
}

/// A send to an address, on whatever socket.
pub(super) fn send(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    let known =
        world(|world| world.socket_of(socket).and_then(|at| world.sockets[at].mail.as_ref().map(|m| m.address)));
    let to = known.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
    let address = Address {
        family: rustix::net::AddressFamily::INET.as_raw(),
        port: to.port().to_be_bytes(),
        address: Ipv4Addr::LOCALHOST.octets(),
        zero: [0; 8],
    };
    let no_address = step.port == Step::OWN_PORT - 1;
    let place = if no_address { ptr::null() } else { (&raw const address).cast() };
    let size = if step.port == Step::OWN_PORT - 2 { 4 } else { size_of::<Address>() as u32 };
    let kind = [Kind::Sync, Kind::Async, Kind::Segmented][usize::from(step.port % 3)];
    let (mut own, id) = world(|world| {
        world.next_send += 1;
        (world.some_bytes(length_of(step.amount)), world.next_send)
    });
    let (content, length, write) = (own.to_vec(), own.len(), ptr::without_provenance_mut(id));
    let segment = if length <= MAX_SEGMENTED { SEGMENT as u32 } else { 0 };
    let what = if kind == Kind::Sync { What::SyncSend } else { What::AsyncSend };
    let wrong_size = size as usize != size_of::<Address>() && !no_address;
    let is_wrong = wrong_size || kind == Kind::Segmented && segment == 0;
    let (data, count) = (own.as_mut_ptr().cast(), length as u32);
    let send = Call { length, no_data: no_address, is_wrong, kind, ..Call::new(what, (port, socket)) };
    // SAFETY: the bytes are kept, and not changed, until the send is reported; the address has so many, or is NULL.
    call(&send, Some((id, Bytes::Own(own), content)), || unsafe {
        match kind {
            Kind::Plain | Kind::Sync => {
                c::socket_iocp_issue_sync_send_to(port, socket, data, count, place, size, write)
            }
            Kind::Async => c::socket_iocp_issue_async_send_to(port, socket, data, count, place, size, write),
            Kind::Segmented => {
                c::socket_iocp_issue_segmented_send_to(port, socket, data, count, segment, place, size, write)
            }
        }
    });
}

/// A datagram's callback has brought these bytes.
pub(super) fn received(socket: &mut Socket, bytes: &[u8], truncated: bool) -> Result<(), String> {
    let size = world(|world| world.ports[socket.port].read_buffer_size);
    let Some(mail) = &mut socket.mail else { return Err("a datagram of a stream".into()) };
    let is_right = |sent: &[u8]| sent[..sent.len().min(size)] == *bytes && truncated == (sent.len() > size);
    if take(&mut mail.incoming, is_right) { Ok(()) } else { Err(format!("{} bytes that nobody has sent", bytes.len())) }
}

/// At the end: what has come to the correspondents.
pub(super) fn check() {
    let checked =
        world(|world| world.sockets.iter_mut().filter_map(|socket| socket.mail.as_mut()).try_for_each(Mail::check));
    checked.unwrap_or_else(note);
}
