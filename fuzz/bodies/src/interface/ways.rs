//! The ways in which an async send can be issued. To the model they are one.

use super::script::Step;
use super::world::{note, world};
use crate::c::{self, Handle};
use std::ffi::{c_int, c_void};
use std::ptr;

/// A way of an async send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Plain,
    Copied,
    Vectored,
    Shared,
}

impl Way {
    /// The way that a step chooses.
    pub(super) fn of(step: Step) -> Way {
        [Way::Plain, Way::Copied, Way::Vectored, Way::Shared][usize::from(step.port % 4)]
    }

    /// Issues a send of these bytes, which stay valid and unchanged until it is reported.
    ///
    /// # Safety
    /// `data` is NULL or points to `length` bytes for which that holds; with [`Way::Copied`] they are nobody else's.
    pub(super) unsafe fn issue(
        self,
        port: Handle,
        socket: Handle,
        data: *mut u8,
        length: usize,
        write: Handle,
    ) -> c_int {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Way::Plain => c::socket_iocp_issue_async_send(port, socket, data.cast(), length as u32, write),
                Way::Copied => {
                    let code = c::socket_iocp_issue_copied_send(port, socket, data.cast(), length as u32, write);
                    if !data.is_null() {
                        data.write_bytes(0, length);
                    }
                    code
                }
                Way::Vectored => vectored(port, socket, data, length, write),
                Way::Shared => shared(port, socket, data, length, write),
            }
        }
    }
}

/// In three buffers, which are described by an array that does not outlive this.
///
/// # Safety
/// As [`Way::issue`].
unsafe fn vectored(port: Handle, socket: Handle, data: *mut u8, length: usize, write: Handle) -> c_int {
    let third = length / 3;
    let buffer = |start: usize, length: usize| {
        let data = if data.is_null() { data } else { data.wrapping_add(start) };
        c::Buffer { data: data.cast_const().cast(), length }
    };
    let buffers = [buffer(0, third), buffer(third, third), buffer(2 * third, length - 2 * third)];
    // SAFETY: the caller's promise; the array has three of them.
    unsafe { c::socket_iocp_issue_vectored_send(port, socket, buffers.as_ptr(), 3, write) }
}

/// As the only send of a buffer that its creator lets go of at once.
///
/// # Safety
/// As [`Way::issue`].
unsafe fn shared(port: Handle, socket: Handle, data: *mut u8, length: usize, write: Handle) -> c_int {
    let mut shared = ptr::null_mut();
    // SAFETY: the caller's promise, and the bytes are not freed before the send has been reported.
    let code =
        unsafe { c::socket_iocp_share_buffer(data.cast_const().cast(), length, released, write, &raw mut shared) };
    if code == 0 {
        world(|world| world.shared += 1);
    }
    let issued = c::socket_iocp_issue_shared_send(port, socket, shared, 0, length, write);
    if code == 0 {
        let released = c::socket_iocp_release_shared(shared);
        let again = c::socket_iocp_release_shared(shared);
        if (released, again) != (0, c::CLOSED) {
            note(format!("a shared buffer was released with {released}, then with {again}"));
        }
    }
    issued
}

/// The release of a shared buffer: when its send has been reported, or was refused. Its state is the send's number.
unsafe extern "C" fn released(state: *mut c_void) {
    world(|world| {
        let early = world.sockets.iter().flat_map(|socket| &socket.sends).any(|send| send.id == state.addr());
        match world.shared.checked_sub(1) {
            Some(left) if !early => world.shared = left,
            _ => world.note(format!("shared buffer {} was released early or twice", state.addr())),
        }
    });
}
