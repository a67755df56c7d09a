//! Doing the steps of a script.

use super::callbacks::{accepted, connected, ended, listen_ended, mailed, received, sent, timer_ended, user_of};
use super::peers;
use super::questions;
use super::script::{Step, What};
use super::world::{Listener, NO_NUMBER, Port, Socket, Taken, note, world};
use super::{connecting, files, issue, mail, passing, shutdown};
use crate::c::{self, Handle};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;

const MAX_PORTS: usize = 4;
pub(super) const MAX_SOCKETS: usize = 24;
const MAX_LISTENERS: usize = 4;

/// Does one step.
pub(super) fn perform(step: Step) {
    match step.what {
        What::NewPort => new_port(step),
        What::Delete => delete(step),
        What::Run => run(step),
        What::Add => add(step),
        What::AddBack => add_back(step),
        What::AddWrong => questions::add_wrong(step, pick_port(step)),
        What::Listen => listen(step),
        What::Connect => peers::connect(step.target),
        What::RemoveListener => remove_listener(step),
        What::SetBacklog => set_backlog(step),
        What::Recv | What::RecvWithin => issue::recv(step),
        What::SyncSend | What::AsyncSend | What::Echo | What::SendWithin => issue::send(step),
        What::CancelRecv | What::CancelSend | What::CancelTimer | What::CancelConnect => issue::cancel(step),
        What::FileSend => files::send(step),
        What::Timer => issue::timer(step),
        What::Shutdown | What::Close | What::Abort | What::Remove => issue::end(step),
        What::ConnectOut => connecting::connect(step, pick_port(step)),
        What::ConnectHost => connecting::connect_host(step, pick_port(step)),
        What::ShutDown => shutdown::shut_down(step, pick_port(step)),
        What::Pass => passing::pass(step),
        What::AddDatagram => mail::add(step, pick_port(step)),
        What::SendTo => mail::send(step),
        What::Mail => mail::write(step),
        What::Take => take(step),
        What::Release => release(step),
        What::Find => find(step),
        What::ResultOf => questions::result_of(pick_port(step)),
        What::QueuedBytes => issue::queued_bytes(step),
        What::Ask => questions::ask(pick_port(step), step.amount),
        What::NullPointer => questions::null_pointer(pick_port(step), step.amount),
        What::PeerSends => peers::sends(step.target, step.amount),
        What::PeerReceives => peers::receives(step.target, step.amount),
        What::PeerEnds => peers::ends(step.target),
        What::PeerCloses => peers::closes(step.target),
        What::InCallbacks => world(|world| world.in_callbacks = step.amount % 4),
    }
}

/// Notes an answer that the header does not give to this call.
pub(super) fn judge(call: &str, code: c_int, expected: &[c_int]) {
    if !expected.contains(&code) {
        note(format!("{call} was answered {code}, expected was one of {expected:?}"));
    }
}

/// Notes an answer that the header does not give to a call on this port, which may be gone if its shutdown has begun.
pub(super) fn judge_in(port: Handle, call: &str, code: c_int, expected: &[c_int]) {
    if code != c::CLOSED || !world(|world| world.is_shut_down(port)) {
        judge(call, code, expected);
    }
}

/// Makes an issue call, in which no callback may come.
pub(super) fn calling<T>(name: &'static str, call: impl FnOnce() -> T) -> T {
    world(|world| world.calling = Some(name));
    let answer = call();
    world(|world| world.calling = None);
    answer
}

// ---- choosing ----

/// The port that a step names.
fn pick_port(step: Step) -> Handle {
    port_or(step, usize::from(step.target))
}

/// The port that a step names; a right one is this.
fn port_or(step: Step, own: usize) -> Handle {
    world(|world| {
        let Some(count) = world.ports.len().checked_sub(1).map(|last| last + 1) else { return ptr::null_mut() };
        let at = usize::from(step.port);
        match step.port {
            0..Step::OWN_PORT => world.ports[own % count].handle,
            Step::OWN_PORT..Step::MADE_UP => world.ports[at % count].handle,
            Step::MADE_UP.. => made_up(at, world.ports[0].handle),
        }
    })
}

/// The socket that a step names and the port to call it in. Within a callback, half of the targets are its own socket.
pub(super) fn pick_socket(step: Step) -> Option<(Handle, Handle)> {
    let (socket, own) = world(|world| {
        let count = world.sockets.len();
        if count == 0 {
            return None;
        }
        let at = usize::from(step.target);
        let own = world.callbacks.last().and_then(|callback| callback.socket).filter(|_| at % 2 == 1);
        let socket = &world.sockets[own.unwrap_or(at / 2 % count)];
        let handle = ptr::without_provenance_mut(socket.handle);
        Some((if step.target >= Step::MADE_UP { made_up(at, handle) } else { handle }, socket.port))
    })?;
    Some((port_or(step, own), socket))
}

/// A handle that is none, or was never given out: of other generations than this one's.
fn made_up(choice: usize, handle: Handle) -> Handle {
    ptr::without_provenance_mut(match choice % 8 {
        0 => 0,
        1 => 1,
        2 => usize::MAX,
        3 => usize::MAX - 1,
        4 => (&raw const choice).addr(),
        _ => handle.addr() ^ 1 << (usize::BITS as usize - 2 - choice % 24),
    })
}

// ---- ports ----

fn options(step: Step) -> (c::Options, usize) {
    let choice = step.amount;
    let one_in = |bit: u8, value: u32| if choice & bit != 0 { value } else { 0 };
    let options = c::Options {
        size: size_of::<c::Options>(),
        threads: c::THREADS_NONE,
        backend: if step.target & 1 == 0 { c::IO_URING } else { c::READINESS },
        linger_ms: one_in(1, 1),
        max_queued_sends: one_in(2, 2),
        max_queued_bytes: one_in(4, 1000),
        idle_timeout_ms: one_in(64, 1),
        max_sockets: one_in(8, 3) as usize,
        max_taken_buffers: one_in(16, 1) as usize,
        listen_error_callback_function: Some(listen_ended),
        timer_callback_function: if choice & 128 == 0 { Some(timer_ended) } else { None },
        connect_callback_function: Some(connected),
        datagram_callback_function: Some(mailed),
        ..c::Options::default()
    };
    (options, if choice & 32 != 0 { 7 } else { 4096 })
}

fn new_port(step: Step) {
    if world(|world| world.ports.len()) == MAX_PORTS {
        return;
    }
    let (given, read_buffer_size) = options(step);
    let mut handle = ptr::null_mut();
    // SAFETY: the callbacks keep to the header's rules; the struct has the size that it says.
    let code = unsafe {
        c::socket_iocp_new_with_options(
            &raw mut handle,
            read_buffer_size,
            Some(accepted),
            Some(received),
            Some(sent),
            Some(ended),
            &raw const given,
        )
    };
    judge("new", code, &[0]);
    if code == 0 {
        let port = Port { handle, deleted: false, given, read_buffer_size, farewells: 0, shut_down: None };
        world(|world| world.ports.push(port));
    }
}

fn delete(step: Step) {
    let port = pick_port(step);
    let known = world(|world| world.port_of(port));
    // A port that is not being run, deleted in another's callback, is finished by a thread; scripts have one.
    let elsewhere = world(|world| !world.running.is_empty() && !known.is_some_and(|at| world.running.contains(&at)));
    if !elsewhere {
        delete_port(port);
    }
}

pub(super) fn delete_port(port: Handle) {
    let known = world(|world| world.port_of(port));
    world(|world| {
        known.into_iter().for_each(|at| world.ports[at].deleted = true);
        // It runs the port's last callbacks.
        world.running.extend(known);
    });
    c::socket_iocp_delete(port);
    world(|world| known.and_then(|_| world.running.pop()));
    check_deleted();
}

fn run(step: Step) {
    let timeout = if step.amount == u8::MAX { -2 } else { 0 };
    run_port(pick_port(step), timeout);
}

pub(super) fn run_port(port: Handle, timeout: c_int) {
    let known = world(|world| world.port_of(port));
    let mut expected = world(|world| world.wrong_port(port));
    if timeout < -1 {
        expected.push(c::INVALID_ARGUMENT);
    }
    if known.is_some_and(|at| world(|world| world.running.contains(&at))) {
        expected.push(c::BUSY);
    }
    if expected.is_empty() {
        expected.push(0);
    }
    world(|world| world.running.extend(known));
    judge_in(port, "run", c::socket_iocp_run(port, timeout), &expected);
    world(|world| known.and_then(|_| world.running.pop()));
    check_deleted();
}

/// Outside of every run, a port that was deleted has said all that it had to say.
pub(super) fn check_deleted() {
    let left = world(|world| {
        let over = |port: usize| world.ports[port].deleted && world.running.is_empty() && world.callbacks.is_empty();
        let socket = world.sockets.iter().find(|socket| !socket.ended && over(socket.port)).map(|s| format!("{s:?}"));
        let listener = world.listeners.iter().find(|listener| !listener.ended && over(listener.port));
        socket.or_else(|| listener.map(|listener| format!("{listener:?}")))
    });
    if let Some(left) = left {
        note(format!("its port is gone, and there was no farewell: {left}"));
    }
}

// ---- sockets and listeners ----

fn add(step: Step) {
    if world(|world| world.sockets.len()) >= MAX_SOCKETS {
        return;
    }
    let flags = SocketFlags::CLOEXEC;
    let Ok((ours, peer)) = net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None) else {
        return note("no pair".into());
    };
    add_socket(pick_port(step), ours, Socket { peer: Some(peer), ..Socket::default() });
}

fn add_back(step: Step) {
    let returned = world(|world| {
        let at = world.sockets.iter().position(|socket| socket.handed_back.is_some())?;
        let socket = &mut world.sockets[at];
        // Whether the end is still good for anything is not known: it may fail at once.
        let again = Socket {
            peer: socket.peer.take(),
            from_peer: std::mem::take(&mut socket.from_peer),
            to_peer: std::mem::take(&mut socket.to_peer),
            sent_ahead: socket.sent_ahead,
            fin: socket.fin,
            may_fail: true,
            ..Socket::default()
        };
        Some((socket.handed_back.take()?, again))
    });
    if let Some((number, again)) = returned {
        add_socket(pick_port(step), number, again);
    }
}

fn add_socket(port: Handle, number: OwnedFd, socket: Socket) {
    let at = world(|world| world.sockets.len());
    let code = calling("add", || c::socket_iocp_add_connected_socket(port, number.as_raw_fd(), user_of(at)));
    let mut expected = answers_to_add(port);
    // What it is comes before whether there is room for it.
    if socket.may_fail && (expected.contains(&0) || expected.contains(&c::LIMIT)) {
        expected.push(c::NOT_CONNECTED);
    }
    let known = world(|world| world.port_of(port));
    judge_in(port, "add", code, &expected);
    if let (0, Some(port_at)) = (code, known) {
        let number = number.into_raw_fd();
        let handle = c::socket_iocp_find_socket(port, number);
        let socket = Socket { port: port_at, number, handle: handle.addr(), ..socket };
        world(|world| world.sockets.push(socket));
        if handle.is_null() {
            note("an added socket is not found".into());
        }
    }
}

/// The answers that a socket gets with which nothing is wrong.
pub(super) fn answers_to_add(port: Handle) -> Vec<c_int> {
    let mut expected = world(|world| world.wrong_port(port));
    // One that is deleted inside a callback while it is shut down goes when its run looks at that.
    let goes_later = world(|world| !world.callbacks.is_empty() && world.is_shut_down(port));
    let is_open = expected.is_empty() || goes_later;
    let Some(at) = world(|world| world.port_of(port)).filter(|_| is_open) else { return expected };
    // One whose farewell is being called counts still.
    let leaving = world(|world| world.callbacks.iter().any(|callback| callback.port == at));
    let live = world(|world| world.sockets.iter().filter(|other| !other.ended && other.port == at).count());
    let limit = world(|world| world.ports[at].given.max_sockets);
    expected.push(if limit != 0 && live >= limit { c::LIMIT } else { 0 });
    // Connections taken from the kernel count before their accept callback, and a peer that has gone is none.
    let accepting = world(|world| world.listeners.iter().any(|listener| listener.port == at));
    expected.extend((limit != 0 && (accepting || leaving)).then_some(c::LIMIT));
    expected
}

fn listen(step: Step) {
    let port = pick_port(step);
    let at = world(|world| world.listeners.len());
    if at == MAX_LISTENERS {
        return;
    }
    let (listener, name) = peers::listener();
    let code = calling("listen", || {
        c::socket_iocp_add_listen_socket(port, listener.as_raw_fd(), usize::from(step.amount % 8), user_of(at))
    });
    let mut expected = world(|world| world.wrong_port(port));
    if step.amount.is_multiple_of(8) {
        expected.push(c::INVALID_ARGUMENT);
    }
    if expected.is_empty() {
        expected.push(0);
    }
    judge_in(port, "add_listen_socket", code, &expected);
    if let (0, Some(port)) = (code, world(|world| world.port_of(port))) {
        let number = listener.into_raw_fd();
        let listener = Listener { port, number, name, removed: None, ended: false };
        world(|world| world.listeners.push(listener));
    }
}

/// The number of a listener that a step names, its place, and the port to call it in.
fn pick_listener(step: Step) -> Option<(RawFd, usize, Handle)> {
    let (number, at, own) = world(|world| {
        let at = usize::from(step.target) % world.listeners.len().max(1);
        let listener = world.listeners.get(at)?;
        Some((listener.number, at, listener.port))
    })?;
    Some((number, at, port_or(step, own)))
}

/// The answers of a call on a listener that fails; none if it must succeed.
fn wrong_listener(at: usize, port: Handle) -> Vec<c_int> {
    let mut expected = world(|world| world.wrong_port(port));
    let there = world(|world| {
        let listener = &world.listeners[at];
        listener.removed.is_none() && !listener.ended && world.port_of(port) == Some(listener.port)
    });
    // A shutdown ends it, a little later where it is begun in a callback.
    if !there || world(|world| world.is_shut_down(port)) {
        expected.push(c::NOT_ADDED);
    }
    expected
}

fn remove_listener(step: Step) {
    let Some((number, at, port)) = pick_listener(step) else { return };
    let mut expected = wrong_listener(at, port);
    // The number may be another listener's by now.
    if world(|world| world.listeners[at].removed.is_some() || world.listeners[at].ended) {
        return;
    }
    if expected.is_empty() {
        expected.push(0);
    }
    let code = calling("remove_listen_socket", || c::socket_iocp_remove_listen_socket(port, number));
    judge_in(port, "remove_listen_socket", code, &expected);
    if code == 0 {
        world(|world| world.listeners[at].removed = Some(peers::own(number)));
    }
}

fn set_backlog(step: Step) {
    let Some((number, at, port)) = pick_listener(step) else { return };
    if world(|world| world.listeners[at].removed.is_some() || world.listeners[at].ended) {
        return;
    }
    let mut expected = wrong_listener(at, port);
    if step.amount.is_multiple_of(8) {
        expected.push(c::INVALID_ARGUMENT);
    }
    if expected.is_empty() {
        expected.push(0);
    }
    let backlog = usize::from(step.amount % 8);
    let code = calling("set_accept_backlog", || c::socket_iocp_set_accept_backlog(port, number, backlog));
    judge_in(port, "set_accept_backlog", code, &expected);
}

// ---- buffers, and looking up ----

fn take(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    let mut expected = world(|world| {
        let mut codes = world.wrong_port(port);
        codes.extend(world.wrong_socket(port, socket));
        codes
    });
    let lent = world(|world| world.socket_of(socket).and_then(|at| world.sockets[at].lent));
    world(|world| {
        let known = world.port_of(port);
        // A port without threads is run by this one: a callback of it is one of the socket's worker.
        if world.callbacks.last().is_none_or(|callback| Some(callback.port) != known) {
            expected.push(c::WRONG_CONTEXT);
        }
        let Some(at) = known else { return };
        let limit = world.ports[at].given.max_taken_buffers;
        if limit != 0 && world.taken.iter().filter(|taken| taken.port == at).count() >= limit {
            expected.push(c::LIMIT);
        }
        if lent.is_none() {
            expected.push(c::INVALID_ARGUMENT);
        }
    });
    // In the farewell, which the header leaves open, and in a callback of a port that is being deleted it may be had.
    let late = world(|world| world.callbacks.iter().any(|callback| callback.socket == world.socket_of(socket)))
        || world(|world| world.port_of(port).is_some_and(|at| world.ports[at].deleted));
    if expected.is_empty() || late && lent.is_some() {
        expected.push(0);
    }
    let mut buffer = ptr::null_mut();
    // SAFETY: the place can be written.
    let code = calling("take_buffer", || unsafe { c::socket_iocp_take_buffer(port, socket, &raw mut buffer) });
    judge_in(port, "take_buffer", code, &expected);
    if code != 0 {
        return;
    }
    let right = lent.is_some_and(|(address, _)| address == buffer.addr());
    let about = world(|world| world.socket_of(socket).map(|at| format!("{:?}", world.sockets[at])));
    world(|world| {
        let (Some(at), Some(port)) = (world.socket_of(socket), world.port_of(port)) else { return };
        world.sockets[at].lent = None;
        let length = world.ports[port].read_buffer_size;
        world.taken.push(Taken { address: buffer.expose_provenance(), length, port });
    });
    if !right {
        note(format!("not the buffer that the recv callback was given, {buffer:?}: {about:?}"));
    }
}

fn release(step: Step) {
    let count = world(|world| world.taken.len());
    if count == 0 || step.target >= Step::MADE_UP {
        let code = c::socket_iocp_release_buffer(made_up(step.target.into(), user_of(count)));
        return judge("release_buffer", code, &[c::BAD_HANDLE, c::NULL_POINTER]);
    }
    let at = usize::from(step.target) % count;
    let (address, in_use) = world(|world| {
        let address = world.taken[at].address;
        (address, world.sockets.iter().any(|socket| socket.sends_from(address)))
    });
    // Bytes that are being sent are not given back: that is the program's rule to keep.
    if !in_use {
        release_buffer(at);
        let again = c::socket_iocp_release_buffer(ptr::with_exposed_provenance_mut(address));
        judge("release_buffer, again", again, &[c::BAD_HANDLE]);
    }
}

/// Writes to all of a taken buffer, which is the program's, and gives it back.
pub(super) fn release_buffer(at: usize) {
    let taken = world(|world| world.taken.swap_remove(at));
    let buffer = ptr::with_exposed_provenance_mut::<u8>(taken.address);
    // SAFETY: the buffer is this program's, all of it.
    unsafe { buffer.write_bytes(0x5a, taken.length) };
    judge("release_buffer", c::socket_iocp_release_buffer(buffer.cast()), &[0]);
}

fn find(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    let Some(at) = world(|world| world.socket_of(socket)) else { return };
    if world(|world| world.sockets[at].number == NO_NUMBER) {
        return;
    }
    let (number, right, sure) = world(|world| {
        let known = world.port_of(port);
        let there = world
            .sockets
            .iter()
            .find(|other| !other.ended && other.number == world.sockets[at].number && Some(other.port) == known);
        let usable = known.is_some_and(|at| !world.ports[at].deleted) && !world.is_shut_down(port);
        // In a farewell, and where a connection has come in under this number, it is not known from here.
        let sure = world.callbacks.is_empty() && usable && (there.is_some() || world.clients.is_empty());
        (world.sockets[at].number, there.map_or(0, |socket| socket.handle), sure || known.is_none())
    });
    let found = c::socket_iocp_find_socket(port, number);
    if sure && found.addr() != right {
        note(format!("found {found:?} under {number} where {right:#x} is"));
    }
}
