//! Calls on a connected socket.

use super::expect::{Call, Given};
use super::perform::{calling, pick_socket};
use super::script::{Step, What};
use super::ways::Way;
use super::world::{Bytes, Limit, MAX_LENGTH, note, world};
use crate::c::{self, Handle};
use std::ffi::c_int;
use std::{ptr, slice};

/// Bytes of a send or of what a peer does: none, few, or more than a socket's buffers hold.
pub(super) fn length_of(amount: u8) -> usize {
    if amount < 128 { amount.into() } else { MAX_LENGTH / 128 * (usize::from(amount) - 127) }
}

/// Makes a call on a socket and holds its answer against the model.
pub(super) fn call(call: &Call, send: Option<Given>, make: impl FnOnce() -> c_int) -> c_int {
    let expected = world(|world| world.expected(call));
    let code = calling("an issue call", make);
    if !expected.contains(&code) {
        let about = world(|world| world.socket_of(call.socket).map(|at| format!("{:?}", world.sockets[at])));
        note(format!("{:?} was answered {code}, expected was one of {expected:?}: {about:?}", call.what));
    }
    world(|world| world.answered(call, code, send));
    code
}

pub(super) fn recv(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    // A read buffer that is being sent is not given up: that is the program's rule to keep.
    let in_use = world(|world| {
        let socket = world.socket_of(socket).map(|at| &world.sockets[at])?;
        socket.lent.map(|(address, _)| socket.sends_from(address))
    });
    if in_use == Some(true) {
        return;
    }
    let limit = (step.what == What::RecvWithin).then(|| Limit::of(step.amount));
    let recv = Call { limit, ..Call::new(What::Recv, (port, socket)) };
    call(&recv, None, || match limit {
        None => c::socket_iocp_issue_recv(port, socket),
        Some(limit) => c::socket_iocp_issue_recv_with_timeout(port, socket, limit.ms),
    });
}

/// What a send sends: its own bytes, or those of the read buffer if there is one.
fn bytes_of(step: Step, socket: Handle) -> Option<(Bytes, Vec<u8>)> {
    if step.what != What::Echo {
        let own = world(|world| world.some_bytes(length_of(step.amount)));
        let content = own.to_vec();
        return Some((Bytes::Own(own), content));
    }
    let (address, length) = world(|world| world.socket_of(socket).and_then(|at| world.sockets[at].lent))?;
    // SAFETY: the read buffer is the socket's until the next recv, which is not issued while it is sent.
    let content = unsafe { slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(address), length) }.to_vec();
    Some((Bytes::ReadBuffer(address), content))
}

/// Whether a step is a sync send, and its time limit. One that has such a limit chooses by its port, too.
fn kind_of(step: Step) -> (What, Option<Limit>) {
    let (sync, limit) = match step.what {
        What::SyncSend => (true, None),
        What::Echo => (step.amount.is_multiple_of(2), None),
        What::SendWithin => (step.port.is_multiple_of(2), Some(Limit::of(step.port / 2))),
        _ => (false, None),
    };
    (if sync { What::SyncSend } else { What::AsyncSend }, limit)
}

pub(super) fn send(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    let Some((mut bytes, content)) = bytes_of(step, socket) else { return };
    // A read buffer stays as it is, for other sends of it.
    let way = if step.what == What::Echo { Way::Plain } else { Way::of(step) };
    let no_data = step.port == Step::OWN_PORT - 1;
    let data: *mut u8 = match &mut bytes {
        _ if no_data => ptr::null_mut(),
        Bytes::Own(bytes) => bytes.as_mut_ptr(),
        Bytes::ReadBuffer(address) => ptr::with_exposed_provenance_mut(*address),
        Bytes::File(_) => unreachable!("a file has a step of its own"),
    };
    let length = content.len();
    let id = world(|world| {
        world.next_send += 1;
        world.next_send
    });
    let write = ptr::without_provenance_mut(id);
    let (what, limit) = kind_of(step);
    let send = Call { length, no_data: no_data && length > 0, limit, ..Call::new(what, (port, socket)) };
    let (data, count) = (data.cast(), length as u32);
    // SAFETY: the bytes are kept, and not changed, until the send is reported.
    call(&send, Some((id, bytes, content)), || unsafe {
        match (what, limit) {
            (What::SyncSend, None) => c::socket_iocp_issue_sync_send(port, socket, data, count, write),
            (What::SyncSend, Some(limit)) => {
                c::socket_iocp_issue_sync_send_with_timeout(port, socket, data, count, write, limit.ms)
            }
            (_, Some(limit)) => {
                c::socket_iocp_issue_async_send_with_timeout(port, socket, data, count, write, limit.ms)
            }
            (_, None) => way.issue(port, socket, data.cast(), length, write),
        }
    });
}

pub(super) fn cancel(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    // One of those outstanding, or one that never was.
    let id = world(|world| {
        let sends = &world.sockets[world.socket_of(socket)?].sends;
        sends.get(usize::from(step.amount) % (sends.len() + 1)).map(|send| send.id)
    });
    let id = id.unwrap_or(usize::MAX);
    let cancel = Call { id, ..Call::new(step.what, (port, socket)) };
    call(&cancel, None, || match step.what {
        What::CancelRecv => c::socket_iocp_cancel_recv(port, socket),
        What::CancelSend => c::socket_iocp_cancel_send(port, socket, ptr::without_provenance_mut(id)),
        What::CancelConnect => c::socket_iocp_cancel_connect(port, socket),
        _ => c::socket_iocp_cancel_timer(port, socket),
    });
}

pub(super) fn timer(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    let id = world(|world| {
        world.next_timer += 1;
        world.next_timer
    });
    let delay = Limit::of(step.amount);
    let timer = Call { limit: Some(delay), id, ..Call::new(What::Timer, (port, socket)) };
    call(&timer, None, || c::socket_iocp_issue_timer(port, socket, delay.ms, ptr::without_provenance_mut(id)));
}

pub(super) fn queued_bytes(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    let mut bytes = usize::MAX;
    let code = call(&Call::new(What::QueuedBytes, (port, socket)), None, || {
        // SAFETY: the place can be written.
        unsafe { c::socket_iocp_queued_bytes(port, socket, &raw mut bytes) }
    });
    let queued = world(|world| world.socket_of(socket).map(|at| world.sockets[at].queued().1));
    if code == 0 && queued != Some(bytes) {
        note(format!("{bytes} bytes are queued, where {queued:?} are"));
    }
}

pub(super) fn end(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    call(&Call::new(step.what, (port, socket)), None, || match step.what {
        What::Shutdown => c::socket_iocp_shutdown_send(port, socket),
        What::Close => c::socket_iocp_close_socket(port, socket),
        What::Abort => c::socket_iocp_abort_socket(port, socket),
        _ => c::socket_iocp_remove_socket(port, socket),
    });
}
