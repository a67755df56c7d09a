//! A listener's provider: its functions, and sockets made like the listener's.

use super::extension::extension;
use super::port::skips_on_success;
use crate::sys::windows::{check, get_option, last_error};
use crate::sys::{Accepted, Failure, ListenerKey};
use crate::{Error, ErrorCode, RawSocket};
use socket2::{SockAddr, SockAddrStorage};
use std::os::windows::io::{AsRawSocket, FromRawSocket, IntoRawSocket, OwnedSocket};
use std::ptr;
use windows_sys::Win32::Foundation::ERROR_IO_PENDING;
use windows_sys::Win32::Networking::WinSock::{
    INVALID_SOCKET, LPFN_ACCEPTEX, LPFN_GETACCEPTEXSOCKADDRS, SO_PROTOCOL_INFOW, SO_UPDATE_ACCEPT_CONTEXT, SOCKADDR,
    SOCKADDR_STORAGE, SOCKET, SOL_SOCKET, WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED, WSAID_ACCEPTEX,
    WSAID_GETACCEPTEXSOCKADDRS, WSAPROTOCOL_INFOW, WSASocketW, setsockopt,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

/// The room for one address: AcceptEx wants 16 bytes more than the largest address of the protocol. See
/// [AcceptEx](https://learn.microsoft.com/windows/win32/api/mswsock/nf-mswsock-acceptex).
pub(super) const ADDRESS_BYTES: usize = size_of::<SOCKADDR_STORAGE>() + 16;

/// A listener as its worker's backend knows it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) key: ListenerKey,
    /// The library's own handle of it.
    socket: RawSocket,
    /// Family, type and protocol of the connections' sockets.
    family: i32,
    kind: i32,
    protocol: i32,
    /// Somebody has set the mode in which success at once sends no completion, which cannot be taken off again.
    skips: bool,
    accept_ex: LPFN_ACCEPTEX,
    addresses_of: LPFN_GETACCEPTEXSOCKADDRS,
}

impl Listener {
    /// Errors: `Unsupported` (the provider has no AcceptEx).
    pub(super) fn new(key: ListenerKey, socket: RawSocket) -> Result<Listener, Error> {
        let mut info = WSAPROTOCOL_INFOW::default();
        // SAFETY: the option is a WSAPROTOCOL_INFOW, which is made of numbers.
        unsafe { get_option(socket, SO_PROTOCOL_INFOW, &mut info) }?;
        Ok(Listener {
            key,
            socket,
            family: info.iAddressFamily,
            kind: info.iSocketType,
            protocol: info.iProtocol,
            skips: skips_on_success(socket),
            // SAFETY: the types are those that the documentation gives to these two.
            accept_ex: unsafe { extension(socket, WSAID_ACCEPTEX) }?,
            // SAFETY: as above.
            addresses_of: unsafe { extension(socket, WSAID_GETACCEPTEXSOCKADDRS) }?,
        })
    }

    pub(super) fn socket(&self) -> RawSocket {
        self.socket
    }

    /// A socket for the next connection; child processes do not inherit it.
    pub(super) fn new_socket(&self) -> Result<OwnedSocket, Error> {
        let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
        // SAFETY: the call takes no memory.
        let socket = unsafe { WSASocketW(self.family, self.kind, self.protocol, ptr::null(), 0, flags) };
        if socket == INVALID_SOCKET {
            return Err(last_error());
        }
        // SAFETY: the socket is new and nobody else's.
        Ok(unsafe { OwnedSocket::from_raw_socket(socket as RawSocket) })
    }

    /// Starts an accept. True: its completion will come to the port. False: it is done, and none comes.
    ///
    /// # Safety
    /// `addresses` has room for two addresses of [`ADDRESS_BYTES`]. It and `overlapped` are the kernel's until the
    /// completion, if this succeeds.
    pub(super) unsafe fn accept_ex(
        &self,
        into: &OwnedSocket,
        addresses: *mut u8,
        overlapped: *mut OVERLAPPED,
    ) -> Result<bool, Error> {
        let accept_ex = self.accept_ex.ok_or(ErrorCode::Unsupported)?;
        let (listener, into) = (self.socket as SOCKET, into.as_raw_socket() as SOCKET);
        let (room, mut received) = (ADDRESS_BYTES as u32, 0);
        // No room for first bytes: the accept ends with the connection, and a client that sends nothing holds up nobody.
        // SAFETY: the caller's promise.
        let done = unsafe { accept_ex(listener, into, addresses.cast(), 0, room, room, &mut received, overlapped) };
        if done != 0 {
            return Ok(!self.skips);
        }
        let error = last_error();
        if error.os_error() == Some(ERROR_IO_PENDING as i32) { Ok(true) } else { Err(error) }
    }

    /// Makes an accepted socket a connection's like any other, and reads the peer's address.
    pub(super) fn finish(
        &self,
        socket: OwnedSocket,
        addresses: &mut [u8; 2 * ADDRESS_BYTES],
    ) -> Result<Accepted, Failure> {
        let listener = self.socket as SOCKET;
        // SAFETY: the option's value is one SOCKET, borrowed for the call.
        let updated = unsafe {
            setsockopt(
                socket.as_raw_socket() as SOCKET,
                SOL_SOCKET,
                SO_UPDATE_ACCEPT_CONTEXT,
                (&raw const listener).cast(),
                size_of::<SOCKET>() as i32,
            )
        };
        if check(updated).is_err() {
            // The peer has gone already. It is this socket's end alone, which is closed here, and no word of the listener.
            return Err(Failure::Again);
        }
        Ok(Accepted { remote: self.remote(addresses), socket: socket.into_raw_socket() })
    }

    fn remote(&self, addresses: &mut [u8; 2 * ADDRESS_BYTES]) -> Option<SockAddr> {
        let addresses_of = self.addresses_of?;
        let (mut local, mut local_length) = (ptr::null_mut::<SOCKADDR>(), 0);
        let (mut remote, mut remote_length) = (ptr::null_mut::<SOCKADDR>(), 0);
        // SAFETY: the buffer is as AcceptEx has filled it, with the same room for each address.
        unsafe {
            addresses_of(
                addresses.as_ptr().cast(),
                0,
                ADDRESS_BYTES as u32,
                ADDRESS_BYTES as u32,
                &mut local,
                &mut local_length,
                &mut remote,
                &mut remote_length,
            );
        }
        let length = usize::try_from(remote_length).ok()?;
        if remote.is_null() || length > size_of::<SockAddrStorage>() {
            return None;
        }
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: the call gave the address of `length` bytes in the buffer, and the storage has room for them.
        unsafe { ptr::copy_nonoverlapping(remote.cast::<u8>(), (&raw mut storage).cast(), length) };
        // SAFETY: the storage has an address of that length.
        Some(unsafe { SockAddr::new(storage, remote_length) })
    }
}
