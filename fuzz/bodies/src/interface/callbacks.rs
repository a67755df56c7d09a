//! The callbacks: each is held against the model, and then goes on with the script.

use super::perform::perform;
use super::world::{Callback, Ending, Far, Limit, NO_NUMBER, Socket, note, world};
use super::{mail, peers};
use crate::c::{self, Handle};
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::{ptr, slice};

const ACCEPT: u32 = 1;
const RECV: u32 = 2;
const SEND: u32 = 3;
const FAREWELL: u32 = 4;
const LISTEN_FAREWELL: u32 = 5;
const TIMER: u32 = 7;
const CONNECT: u32 = 8;

/// Callbacks within callbacks at most, by runs of other ports.
const MAX_DEPTH: usize = 3;

pub(super) extern "C" fn accepted(number: RawFd, _: *mut c_void, _: *mut c_void, user: Handle, place: *mut Handle) {
    let Some(listener) = index_of(user).filter(|at| world(|world| *at < world.listeners.len())) else {
        return note("an accept callback with a wrong user state".into());
    };
    // SAFETY: the library's descriptor is open, and is left to it.
    let socket = ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(number) });
    let name = socket.peer_addr().ok().and_then(|address| address.as_abstract_name().map(<[u8]>::to_vec));
    // SAFETY: the place is the callback's, by the header.
    if !unsafe { place.read() }.is_null() {
        note("the user state is not NULL on entry".into());
    }
    let port = world(|world| world.listeners[listener].port);
    let at = world(|world| {
        let client = world.clients.iter().position(|client| Some(&client.name) == name.as_ref())?;
        let client = world.clients.remove(client);
        world.sockets.push(Socket { port, number, peer: Some(client.end), ..Socket::default() });
        Some(world.sockets.len() - 1)
    });
    let Some(at) = at else { return note(format!("{name:?} was accepted and never connected")) };
    // SAFETY: as above.
    unsafe { place.write(user_of(at)) };
    let handle = c::socket_iocp_find_socket(world(|world| world.ports[port].handle), number);
    world(|world| world.sockets[at].handle = handle.addr());
    if handle.is_null() {
        note("an accepted socket is not found".into());
    }
    inside(Callback { port, socket: Some(at), operation: ACCEPT }, number, 0, |_| Ok(()));
}

pub(super) extern "C" fn received(number: RawFd, data: *mut c_void, count: u32, user: Handle) {
    on_socket(RECV, number, user, u64::from(count), |socket, status| {
        let Some(recv) = socket.recv.take() else { return Err("a recv callback without a recv".into()) };
        if status != 0 {
            let explained = recv.may_end_alone(status) && data.is_null() && count == 0;
            return if explained { Ok(()) } else { Err(format!("a recv callback with {status} of {recv:?}")) };
        }
        if socket.connect.is_some() {
            return Err("a recv callback before the connect callback".into());
        }
        let count = count as usize;
        if count == 0 {
            let whole = socket.fin && socket.from_peer.len() == 0;
            return if whole && data.is_null() && !std::mem::replace(&mut socket.eof, true) {
                Ok(())
            } else {
                Err("a FIN that was not sent".into())
            };
        }
        // SAFETY: the read buffer is the program's until the next recv, and has that many bytes.
        let bytes = unsafe { slice::from_raw_parts_mut(data.cast::<u8>(), count) };
        if !socket.from_peer.take(bytes) {
            return Err("bytes that the peer has not sent".into());
        }
        // The program may change them.
        bytes[0] ^= 0xff;
        socket.lent = Some((data.addr(), count));
        Ok(())
    });
}

pub(super) extern "C" fn mailed(
    number: RawFd,
    data: *mut c_void,
    count: u32,
    sender: *mut c_void,
    truncated: c_int,
    user: Handle,
) {
    on_socket(RECV, number, user, u64::from(count), |socket, status| {
        let Some(recv) = socket.recv.take() else { return Err("a datagram's callback without a recv".into()) };
        if status != 0 {
            let explained = recv.may_end_alone(status) && data.is_null() && count == 0 && sender.is_null();
            return if explained { Ok(()) } else { Err(format!("a datagram's callback with {status} of {recv:?}")) };
        }
        if sender.is_null() || data.is_null() != (count == 0) {
            return Err("a datagram of nobody, or with no place".into());
        }
        let data = if count == 0 { ptr::NonNull::dangling().as_ptr() } else { data.cast::<u8>() };
        // SAFETY: the read buffer is the program's until the next recv, and has that many bytes.
        let bytes = unsafe { slice::from_raw_parts_mut(data, count as usize) };
        mail::received(socket, bytes, truncated != 0)?;
        // The program may change them.
        bytes.fill(0xff);
        socket.lent = (count != 0).then(|| (data.addr(), count as usize));
        Ok(())
    });
}

pub(super) extern "C" fn sent(number: RawFd, user: Handle, write: Handle) {
    on_socket(SEND, number, user, u64::MAX, |socket, status| {
        let at = socket.sends.iter().position(|send| send.id == write.addr());
        let Some(send) = at.and_then(|at| socket.sends.remove(at)) else {
            return Err(format!("send {} was reported, which is not outstanding", write.addr()));
        };
        let alone = send.may_end_alone(status);
        if at != Some(0) && !alone {
            return Err(format!("{send:?} was reported with {status} before its turn"));
        }
        let count = completion(None).map_or(0, |completion| completion.byte_count);
        if let Some(mail) = &mut socket.mail {
            let going = status == c::CANCELLED && (socket.ending.is_some() || is_going(socket.port));
            return mail.sent(&send, count, status, alone || going);
        }
        socket.sent_ahead += count as i64;
        if count > send.length as u64 || !socket.to_peer.reported(send.id, count as usize) {
            return Err(format!("{count} bytes of {send:?}, and the peer has read others"));
        }
        let whole = count == send.length as u64;
        if alone {
            return Ok(());
        }
        if status == 0 && socket.connect.is_some() {
            return Err("a send was done before the connect".into());
        }
        if status == 0 {
            let after_failure = socket.send_failed && send.length != 0;
            return if whole && !after_failure { Ok(()) } else { Err(format!("{count} bytes, and success: {send:?}")) };
        }
        let first = !std::mem::replace(&mut socket.send_failed, true);
        let cancelled = status == c::CANCELLED;
        let explained = if cancelled { socket.ending.is_some() || socket.may_fail } else { first && socket.may_fail };
        let gone = cancelled && is_going(socket.port);
        if explained || gone || is_idle(socket.port) {
            Ok(())
        } else {
            Err(format!("a send failed with {status} for no reason"))
        }
    });
}

pub(super) extern "C" fn connected(number: RawFd, _: *mut c_void, _: *mut c_void, user: Handle) {
    on_socket(CONNECT, number, user, 0, |socket, status| {
        let Some(connect) = socket.connect.take() else { return Err("a connect callback without a connect".into()) };
        match (connect.to, &connect.listener) {
            (Far::Listens, Some(listener)) if status == 0 => {
                socket.peer = Some(peers::accept(listener)?);
                Ok(())
            }
            _ => Err(format!("a connect callback with {status} of {connect:?}")),
        }
    });
}

pub(super) extern "C" fn timer_ended(number: RawFd, user: Handle, state: Handle) {
    on_socket(TIMER, number, user, 0, |socket, status| {
        let Some(timer) = socket.timer.take().filter(|timer| timer.id == state.addr()) else {
            return Err(format!("a callback of timer {}, which is not outstanding", state.addr()));
        };
        let ends = socket.ending.is_some() || socket.found_closed || socket.may_fail;
        let explained = match status {
            0 => timer.delay.is_over(),
            c::CANCELLED => timer.cancelled || ends || is_going(socket.port) || is_idle(socket.port),
            _ => false,
        };
        if explained { Ok(()) } else { Err(format!("{timer:?} was reported with {status}")) }
    });
}

pub(super) extern "C" fn ended(number: RawFd, user: Handle) {
    on_socket(FAREWELL, number, user, 0, |socket, status| {
        socket.recv = None;
        socket.ended = true;
        if !socket.sends.is_empty() || socket.timer.is_some() {
            return Err("a farewell with sends or a timer unreported".into());
        }
        // It may have been connected all the same, and be added again.
        let connect = socket.connect.take();
        let refused = connect.as_ref().is_some_and(|connect| connect.to == Far::Nobody);
        let called_off = connect.as_ref().is_some_and(|connect| connect.cancelled);
        let out_of_time = connect.as_ref().and_then(|connect| connect.limit).is_some_and(Limit::is_over);
        if let Some((Far::Listens, Some(listener))) = connect.map(|connect| (connect.to, connect.listener)) {
            socket.peer = peers::accept(&listener).ok();
        }
        if socket.ending == Some(Ending::Remove) && status == 0 && number != NO_NUMBER {
            // SAFETY: from here on it is the program's again.
            let handed_back = unsafe { OwnedFd::from_raw_fd(number) };
            // One of datagrams is not added again.
            socket.handed_back = Some(handed_back).filter(|_| socket.mail.is_none());
        }
        let explained = match (socket.ending, status) {
            (Some(Ending::Close | Ending::Abort { closing: true }), 0 | c::TIMED_OUT) => true,
            (Some(Ending::Remove), 0) | (Some(Ending::Abort { .. }), c::CANCELLED) => true,
            (_, c::CANCELLED) => called_off || is_going(socket.port),
            (_, 0 | c::TIMED_OUT) if is_shut_down(socket.port) => true,
            (_, c::TIMED_OUT) => out_of_time || is_idle(socket.port),
            (_, c::REFUSED) => refused,
            (_, c::RESET | c::BROKEN_PIPE | c::FILE_TOO_SHORT) => socket.may_fail,
            _ => false,
        };
        if explained { Ok(()) } else { Err(format!("a farewell with {status} for no reason")) }
    });
}

pub(super) extern "C" fn listen_ended(number: RawFd, user: Handle) {
    let Some(at) = index_of(user).filter(|at| world(|world| *at < world.listeners.len())) else {
        return note("a listen farewell with a wrong user state".into());
    };
    let (port, again) = world(|world| {
        let listener = &mut world.listeners[at];
        (listener.port, std::mem::replace(&mut listener.ended, true) || listener.number != number)
    });
    if again {
        note("a listen farewell that was not due".into());
    }
    inside(Callback { port, socket: None, operation: LISTEN_FAREWELL }, number, 0, |_| Ok(()));
}

/// A callback of a connected socket.
fn on_socket(
    operation: u32,
    number: RawFd,
    user: Handle,
    count: u64,
    judge: impl FnOnce(&mut Socket, i32) -> Result<(), String>,
) {
    let Some(at) = index_of(user).filter(|at| world(|world| *at < world.sockets.len())) else {
        return note(format!("callback {operation} with a wrong user state"));
    };
    let (port, wrong) = world(|world| {
        let socket = &world.sockets[at];
        (socket.port, socket.ended || socket.number != number)
    });
    if wrong {
        note(format!("callback {operation} after the farewell, or of another socket"));
    }
    let callback = Callback { port, socket: Some(at), operation };
    inside(callback, number, count, |status| {
        // The judge looks at the world as well: so the socket is out of it meanwhile.
        let mut socket = world(|world| std::mem::take(&mut world.sockets[at]));
        let judged = judge(&mut socket, status).map_err(|broken| format!("{broken}: {socket:?}"));
        world(|world| world.sockets[at] = socket);
        judged
    });
}

/// Holds a callback against what [`c::socket_iocp_result`] says of it, lets `judge` look at its status, and goes on with the
/// script.
fn inside(callback: Callback, number: RawFd, count: u64, judge: impl FnOnce(i32) -> Result<(), String>) {
    let (calling, depth) = world(|world| {
        world.called_back += 1;
        world.callbacks.push(callback);
        world.ports[callback.port].farewells += u64::from(callback.operation == FAREWELL);
        (world.calling, world.callbacks.len())
    });
    if let Some(call) = calling {
        note(format!("a callback inside {call}"));
    }
    match completion(Some((callback, number, count))) {
        Err(broken) => note(broken),
        Ok(completion) => {
            if let Err(broken) = judge(completion.status) {
                note(broken);
            }
        }
    }
    if depth <= MAX_DEPTH {
        for _ in 0..world(|world| world.in_callbacks) {
            let Some(step) = world(|world| world.script.next().filter(|_| !world.is_broken())) else { break };
            perform(step);
        }
    }
    world(|world| {
        world.callbacks.pop();
        if let (FAREWELL, Some(at)) = (callback.operation, callback.socket) {
            world.sockets[at].lent = None;
        }
    });
}

/// What the innermost callback reports, held against what is expected of it.
fn completion(expected: Option<(Callback, RawFd, u64)>) -> Result<c::Completion, String> {
    let port = world(|world| world.callbacks.last().map(|callback| world.ports[callback.port].handle));
    let mut completion = c::Completion {
        size: size_of::<c::Completion>(),
        operation: 0,
        status: 0,
        os_error: 0,
        local_address_size: 0,
        remote_address_size: 0,
        socket: -1,
        socket_iocp_socket_state: ptr::null_mut(),
        local_address: ptr::null(),
        remote_address: ptr::null(),
        byte_count: 0,
        segment_size: 0,
    };
    // SAFETY: the struct has the size that it says.
    let code = unsafe { c::socket_iocp_result(port.unwrap_or(ptr::null_mut()), &raw mut completion) };
    if code != 0 {
        return Err(format!("no result inside a callback: {code}"));
    }
    let Some((callback, number, count)) = expected else { return Ok(completion) };
    let handle = callback.socket.map_or(0, |at| world(|world| world.sockets[at].handle));
    let right = (completion.operation, completion.socket) == (callback.operation, number)
        && completion.socket_iocp_socket_state.addr() == handle
        && (count == u64::MAX || completion.byte_count == count);
    if right { Ok(completion) } else { Err(format!("a result of another callback than {callback:?}")) }
}

fn is_shut_down(port: usize) -> bool {
    world(|world| world.ports[port].shut_down.is_some())
}

/// Whether the port ends its sockets.
fn is_going(port: usize) -> bool {
    is_shut_down(port) || world(|world| world.ports[port].deleted)
}

fn is_idle(port: usize) -> bool {
    world(|world| world.ports[port].given.idle_timeout_ms != 0)
}

/// The user state of what is at this place.
pub(super) fn user_of(at: usize) -> Handle {
    ptr::without_provenance_mut(at + 1)
}

fn index_of(user: Handle) -> Option<usize> {
    user.addr().checked_sub(1)
}
