//! A socket's description, of which one other process can make a socket:
//! [WSADuplicateSocketW](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsaduplicatesocketw).

use super::{check, from_io, last_error};
use crate::Error;
use crate::passing::{HEAD_BYTES, read_exact};
use socket2::Socket;
use std::io::Write;
use std::os::windows::io::{AsRawSocket, FromRawSocket, OwnedSocket, RawSocket};
use windows_sys::Win32::Networking::WinSock;

/// Bytes of the message that tell of the socket: a `WSAPROTOCOL_INFOW`.
pub(crate) const CARRIED_BYTES: usize = size_of::<WinSock::WSAPROTOCOL_INFOW>();

/// All that came is in the message.
pub(crate) struct Carried;

/// Sends the message, with the socket's description behind its head.
pub(crate) fn send(mut channel: &Socket, process: u32, socket: &Socket, message: &mut [u8]) -> Result<(), Error> {
    let mut info = WinSock::WSAPROTOCOL_INFOW::default();
    // SAFETY: the socket is open, since it is borrowed; the call writes one WSAPROTOCOL_INFOW.
    check(unsafe { WinSock::WSADuplicateSocketW(socket.as_raw_socket() as WinSock::SOCKET, process, &mut info) })?;
    // SAFETY: the value has CARRIED_BYTES bytes, all of them initialised: it is made of numbers, whose sizes add up to it.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const info).cast::<u8>(), CARRIED_BYTES) };
    message[HEAD_BYTES..HEAD_BYTES + CARRIED_BYTES].copy_from_slice(bytes);
    channel.write_all(message).map_err(|error| from_io(&error))
}

/// Waits for the head of a message and the description behind it.
pub(crate) fn receive(channel: &Socket, head: &mut [u8]) -> Result<Carried, Error> {
    read_exact(channel, head)?;
    Ok(Carried)
}

impl Carried {
    pub(crate) fn into_socket(self, description: &[u8]) -> Result<OwnedSocket, Error> {
        assert_eq!(description.len(), CARRIED_BYTES);
        // SAFETY: there are as many bytes as the type has, and every pattern of bits is one of its values.
        let info = unsafe { description.as_ptr().cast::<WinSock::WSAPROTOCOL_INFOW>().read_unaligned() };
        let any = WinSock::FROM_PROTOCOL_INFO;
        let flags = WinSock::WSA_FLAG_OVERLAPPED | WinSock::WSA_FLAG_NO_HANDLE_INHERIT;
        // SAFETY: the description is read during the call only. One that was not made for this process is refused, or names a
        // handle of this process's: whoever sends it is trusted, by the documentation of `take_passed_socket`.
        let socket = unsafe { WinSock::WSASocketW(any, any, any, &info, 0, flags) };
        if socket == WinSock::INVALID_SOCKET {
            return Err(last_error());
        }
        // SAFETY: the call has made it for its caller, who owns it alone.
        Ok(unsafe { OwnedSocket::from_raw_socket(socket as RawSocket) })
    }
}
