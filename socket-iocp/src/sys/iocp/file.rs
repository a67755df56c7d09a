//! Sending from a file, by
//! [TransmitFile](https://learn.microsoft.com/windows/win32/api/mswsock/nc-mswsock-lpfn_transmitfile): the system reads it.
//!
//! A call sends no more than a send does, so that progress shows and a cancel finds a part. On Windows for clients the system
//! carries out two such calls at a time, and the others wait for them.

use super::extension::extension;
use super::memory::SocketMemory;
use super::{Started, outcome_of_extension};
use crate::RawSocket;
use crate::buffer::FilePart;
use crate::sys::{Direction, Failure, SocketIo};
use std::os::windows::io::AsRawHandle;
use std::ptr;
use windows_sys::Win32::Foundation::{ERROR_HANDLE_EOF, ERROR_INVALID_HANDLE};
use windows_sys::Win32::Networking::WinSock::{LPFN_TRANSMITFILE, SOCKET, WSAEOPNOTSUPP, WSAID_TRANSMITFILE};

/// Starts a send of the beginning of this part, at most so many bytes.
pub(super) fn start(
    io: SocketIo,
    memory: &'static SocketMemory,
    socket: RawSocket,
    part: FilePart<'_>,
    max_bytes: usize,
) -> Started {
    let Some(file) = part.file.os() else { return Started::Failed(Failure::File(ERROR_INVALID_HANDLE as i32)) };
    // SAFETY: the type is that which the documentation gives to this one.
    let transmit_file: LPFN_TRANSMITFILE = match unsafe { extension(socket, WSAID_TRANSMITFILE) } {
        Ok(function) => function,
        Err(error) => return Started::Failed(Failure::Os(error.os_error().unwrap_or(WSAEOPNOTSUPP))),
    };
    let Some(transmit_file) = transmit_file else { return Started::Failed(Failure::Os(WSAEOPNOTSUPP)) };
    let overlapped = memory.begin(Direction::Send);
    // SAFETY: the OVERLAPPED is ours until the call below; where to read from is written into it.
    unsafe {
        (*overlapped).Anonymous.Anonymous.Offset = part.offset as u32;
        (*overlapped).Anonymous.Anonymous.OffsetHigh = (part.offset >> u32::BITS) as u32;
    }
    let bytes = part.len.min(max_bytes) as u32;
    // SAFETY: the file is open until the completion: the send queue keeps it. Nothing goes with it. The OVERLAPPED is in a slot,
    // which stays.
    let done = unsafe { transmit_file(socket as SOCKET, file.as_raw_handle(), bytes, 0, overlapped, ptr::null(), 0) };
    match outcome_of_extension(done, io) {
        Started::Done(_) => Started::Done(memory.moved(Direction::Send)),
        other => other,
    }
}

/// What the result of a send from a file means: where there was nothing to read, the file has ended.
pub(super) fn judged(result: Result<usize, Failure>) -> Result<usize, Failure> {
    match result {
        Ok(0) => Err(Failure::FileEnded),
        Err(Failure::Os(error)) if error == ERROR_HANDLE_EOF as i32 => Err(Failure::FileEnded),
        result => result,
    }
}
