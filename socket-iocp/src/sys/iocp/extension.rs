//! Functions of a socket's provider that are no part of Winsock's interface.

use crate::sys::windows::check;
use crate::{Error, ErrorCode, RawSocket};
use std::mem::{MaybeUninit, transmute_copy};
use std::ptr;
use windows_sys::Win32::Networking::WinSock::{SIO_GET_EXTENSION_FUNCTION_POINTER, SOCKET, WSAIoctl};
use windows_sys::core::GUID;

/// One of them. The function of the same name that a library exports would ask for it with each call.
///
/// # Safety
/// `F` is the type of the function with this number, or an `Option` of it.
pub(super) unsafe fn extension<F>(socket: RawSocket, id: GUID) -> Result<F, Error> {
    const { assert!(size_of::<F>() == size_of::<usize>(), "a pointer to a function") };
    let (mut function, mut bytes) = (MaybeUninit::<usize>::zeroed(), 0);
    // SAFETY: the call reads one GUID and writes one pointer.
    let asked = unsafe {
        WSAIoctl(
            socket as SOCKET,
            SIO_GET_EXTENSION_FUNCTION_POINTER,
            (&raw const id).cast(),
            size_of::<GUID>() as u32,
            function.as_mut_ptr().cast(),
            size_of::<usize>() as u32,
            &mut bytes,
            ptr::null_mut(),
            None,
        )
    };
    check(asked).map_err(|error| Error::with_os(ErrorCode::Unsupported, error.os_error().unwrap_or(0)))?;
    // SAFETY: the call has written the pointer, of the type that the caller names.
    Ok(unsafe { transmute_copy(&function) })
}
