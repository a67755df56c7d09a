//! The codes of errors by the names that they have on other systems: Winsock's, and where it has none, those of Windows.

use windows_sys::Win32::Networking::WinSock;

pub(crate) const ECONNRESET: i32 = WinSock::WSAECONNRESET;

/// What the simulated network fails with.
#[cfg(any(feature = "sim", test))]
pub(crate) use simulated::*;

#[cfg(any(feature = "sim", test))]
mod simulated {
    use super::WinSock;
    use windows_sys::Win32::Foundation;

    pub(crate) const EBADF: i32 = Foundation::ERROR_INVALID_HANDLE as i32;
    pub(crate) const ECONNABORTED: i32 = WinSock::WSAECONNABORTED;
    pub(crate) const ECONNREFUSED: i32 = WinSock::WSAECONNREFUSED;
    pub(crate) const EHOSTUNREACH: i32 = WinSock::WSAEHOSTUNREACH;
    pub(crate) const EISCONN: i32 = WinSock::WSAEISCONN;
    pub(crate) const EINVAL: i32 = WinSock::WSAEINVAL;
    pub(crate) const EMFILE: i32 = WinSock::WSAEMFILE;
    pub(crate) const EMSGSIZE: i32 = WinSock::WSAEMSGSIZE;
    pub(crate) const ENETDOWN: i32 = WinSock::WSAENETDOWN;
    pub(crate) const ENFILE: i32 = Foundation::ERROR_TOO_MANY_OPEN_FILES as i32;
    pub(crate) const ENOBUFS: i32 = WinSock::WSAENOBUFS;
    pub(crate) const ENOMEM: i32 = Foundation::ERROR_NOT_ENOUGH_MEMORY as i32;
    pub(crate) const ENOTCONN: i32 = WinSock::WSAENOTCONN;
    pub(crate) const EPIPE: i32 = Foundation::ERROR_BROKEN_PIPE as i32;
    pub(crate) const ETIMEDOUT: i32 = WinSock::WSAETIMEDOUT;
}
