//! Sockets that are passed, from this process to itself: no port has a part in it.

use super::peers::own;
use super::perform::judge;
use super::script::Step;
use super::world::note;
use crate::c;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::{ffi::c_int, ptr};

/// As in the header.
const MAX_DATA: usize = 4096;
/// What comes before the bytes of a message.
const HEAD: usize = 8;

/// Passes a socket and takes it, with some bytes; or does one of both wrongly.
pub(super) fn pass(step: Step) {
    let ((sending, receiving), (socket, peer)) = (pair(), pair());
    let bytes: Vec<u8> = (0..usize::from(step.target) * 16).map(|at| at as u8).collect();
    let (code, expected) = match step.amount % 8 {
        0 => (send(-1, &socket, &bytes), c::BAD_SOCKET),
        1 => (send(sending.as_raw_fd(), &socket, &[0; MAX_DATA + 1]), c::INVALID_ARGUMENT),
        2 => {
            let nowhere = ptr::null_mut();
            // SAFETY: NULL is an error.
            let code = unsafe {
                c::socket_iocp_take_passed_socket(receiving.as_raw_fd(), nowhere, nowhere.cast(), nowhere.cast())
            };
            (code, c::NULL_POINTER)
        }
        3 => (take(&receiving, MAX_DATA - 1).0, c::INVALID_ARGUMENT),
        4 => {
            // Bytes of somebody else's.
            net::send(&sending, &bytes, SendFlags::empty()).expect("a reader");
            drop(sending);
            (take(&receiving, MAX_DATA).0, if bytes.len() < HEAD { c::EOF } else { c::INVALID_ARGUMENT })
        }
        _ => {
            judge("pass_socket", send(sending.as_raw_fd(), &socket, &bytes), &[0]);
            drop(socket);
            let (code, taken) = take(&receiving, MAX_DATA);
            if taken.as_ref().is_none_or(|(taken, data)| data != &bytes || !is_connected(taken, &peer)) {
                note("something else was taken than was passed".into());
            }
            (code, 0)
        }
    };
    judge("a socket passed", code, &[expected]);
}

fn pair() -> (OwnedFd, OwnedFd) {
    net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair")
}

fn send(channel: RawFd, socket: &OwnedFd, bytes: &[u8]) -> c_int {
    // SAFETY: there are so many bytes.
    unsafe { c::socket_iocp_pass_socket(channel, 0, socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }
}

fn take(channel: &OwnedFd, room: usize) -> (c_int, Option<(OwnedFd, Vec<u8>)>) {
    let (mut number, mut data, mut length) = (-1, vec![0; room], room);
    // SAFETY: the places can be written, and there is so much room.
    let code = unsafe {
        c::socket_iocp_take_passed_socket(
            channel.as_raw_fd(),
            &raw mut number,
            data.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    data.truncate(length);
    (code, (number >= 0).then(|| (own(number), data)))
}

fn is_connected(here: &OwnedFd, there: &OwnedFd) -> bool {
    let mut byte = [0];
    net::send(here, b"x", SendFlags::NOSIGNAL) == Ok(1)
        && net::recv(there, &mut byte, RecvFlags::DONTWAIT).is_ok_and(|(_, count)| count == 1)
        && byte == *b"x"
}
