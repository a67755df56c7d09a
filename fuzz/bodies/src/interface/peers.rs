//! The other ends of the connections.

use super::issue::length_of;
use super::world::{Client, note, world};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections that wait at all listeners, at most: what a listen queue holds without waiting.
const MAX_WAITING: usize = 8;

/// A listening Unix socket, and its name.
pub(super) fn listener() -> (OwnedFd, Vec<u8>) {
    let (socket, name) = named();
    net::listen(&socket, 2 * MAX_WAITING as i32).expect("it listens");
    (socket, name)
}

/// A listening Unix socket that takes one connection, which has come.
pub(super) fn full_listener() -> (OwnedFd, Vec<u8>) {
    let (socket, name) = named();
    net::listen(&socket, 0).expect("it listens");
    net::connect(&named().0, &SocketAddrUnix::new_abstract_name(&name).expect("a name"))
        .expect("there is room for one");
    (socket, name)
}

/// The other end of a connect that has been reported.
pub(super) fn accept(listener: &OwnedFd) -> Result<OwnedFd, String> {
    rustix::io::ioctl_fionbio(listener, true).expect("a socket");
    net::accept_with(listener, SocketFlags::CLOEXEC).map_err(|error| format!("a connect to nobody: {error}"))
}

/// A Unix socket with an abstract name of its own.
pub(super) fn named() -> (OwnedFd, Vec<u8>) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("socket-iocp-fuzz-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)).into_bytes();
    let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    let address = SocketAddrUnix::new_abstract_name(&name).expect("a name");
    net::bind(&socket, &address).expect("its own name");
    (socket, name)
}

/// A number that is this program's again.
pub(super) fn own(number: RawFd) -> OwnedFd {
    // SAFETY: the library has said so.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// A client connects; its name tells whose connection an accept callback is about.
pub(super) fn connect(target: u8) {
    let listener = world(|world| {
        let open: Vec<_> =
            world.listeners.iter().filter(|listener| listener.removed.is_none() && !listener.ended).collect();
        let listener = open.get(usize::from(target) % open.len().max(1))?;
        (world.clients.len() < MAX_WAITING && world.sockets.len() + world.clients.len() < 24)
            .then(|| listener.name.clone())
    });
    let Some(listener) = listener else { return };
    let (end, name) = named();
    let address = SocketAddrUnix::new_abstract_name(&listener).expect("a name");
    // Known before: within a run of the port the accept callback could come at once.
    world(|world| world.clients.push(Client { name, end: end.try_clone().expect("a descriptor") }));
    if net::connect(&end, &address).is_err() {
        world(|world| world.clients.pop());
    }
}

/// Calls `act` with the socket whose peer a step names, if one is open.
fn with_peer(target: u8, act: impl FnOnce(&mut super::world::Socket) -> Result<(), String>) {
    let result = world(|world| {
        let mut open: Vec<_> = world.sockets.iter_mut().filter(|socket| socket.peer.is_some()).collect();
        let count = open.len();
        match open.get_mut(usize::from(target) % count.max(1)) {
            Some(socket) => act(socket),
            None => Ok(()),
        }
    });
    if let Err(broken) = result {
        note(broken);
    }
}

pub(super) fn sends(target: u8, amount: u8) {
    let bytes = world(|world| world.some_bytes(length_of(amount)));
    with_peer(target, |socket| {
        let Some(peer) = socket.peer.as_ref().filter(|_| !socket.fin) else { return Ok(()) };
        // Refused where the other end has gone, or takes no more for now.
        if let Ok(count) = net::send(peer, &bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            socket.from_peer.put(&bytes[..count]);
        }
        Ok(())
    });
}

pub(super) fn receives(target: u8, amount: u8) {
    with_peer(target, |socket| receive(socket, length_of(amount)).map(drop));
}

/// The peer receives what is there, up to so many bytes: the next ones that were sent. Tells how many.
pub(super) fn receive(socket: &mut super::world::Socket, limit: usize) -> Result<usize, String> {
    let Some(peer) = &socket.peer else { return Ok(0) };
    let mut bytes = vec![0; limit];
    let count = match net::recv(peer, &mut bytes[..], RecvFlags::DONTWAIT) {
        Ok((_, count)) => count,
        Err(Errno::AGAIN | Errno::CONNRESET) => return Ok(0),
        Err(error) => return Err(format!("a peer cannot receive: {error}")),
    };
    if !socket.to_peer.read(&bytes[..count]) {
        return Err(format!("a peer has received what was not sent: {socket:?}"));
    }
    socket.sent_ahead -= count as i64;
    Ok(count)
}

pub(super) fn ends(target: u8) {
    with_peer(target, |socket| {
        if let Some(peer) = socket.peer.as_ref() {
            // Refused where the other end has gone.
            let _ = net::shutdown(peer, Shutdown::Write);
            socket.fin = true;
        }
        Ok(())
    });
}

pub(super) fn closes(target: u8) {
    with_peer(target, |socket| {
        socket.peer = None;
        socket.fin = true;
        socket.may_fail = true;
        Ok(())
    });
}
