//! What an error of Winsock or of Windows means to a program that does not care about the platform.
//!
//! A call answers in Winsock's codes, from 10000 up. A completion answers an NTSTATUS, which
//! [RtlNtStatusToDosError](https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-rtlntstatustodoserror) makes
//! one of Windows' own codes, as GetQueuedCompletionStatus does: so the same event has two codes.
//!
//! Pages: [Winsock's codes](https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2),
//! [Windows' codes](https://learn.microsoft.com/windows/win32/debug/system-error-codes).

use crate::listener::AcceptFailure;
use crate::{Error, ErrorCode};
use std::{fmt, io};
use windows_sys::Win32::Foundation as windows;
use windows_sys::Win32::Networking::WinSock as winsock;

/// The portable code of an error.
pub(crate) fn portable_code(code: i32) -> ErrorCode {
    match code {
        10000.. => winsock_code(code),
        _ => u32::try_from(code).map_or(ErrorCode::Os, windows_code),
    }
}

fn winsock_code(code: i32) -> ErrorCode {
    match code {
        winsock::WSAEBADF => ErrorCode::BadSocket,
        winsock::WSAENOTSOCK => ErrorCode::NotSocket,
        winsock::WSAENOTCONN | winsock::WSAEDESTADDRREQ => ErrorCode::NotConnected,
        // WSAENETRESET: keep-alives found that the connection had been broken.
        winsock::WSAECONNRESET | winsock::WSAENETRESET => ErrorCode::Reset,
        winsock::WSAECONNABORTED => ErrorCode::ConnectionAborted,
        winsock::WSAESHUTDOWN => ErrorCode::Shutdown,
        // The peer has closed in order, by a provider that tells.
        winsock::WSAEDISCON => ErrorCode::BrokenPipe,
        winsock::WSAECONNREFUSED => ErrorCode::Refused,
        winsock::WSAETIMEDOUT => ErrorCode::TimedOut,
        winsock::WSAENETDOWN | winsock::WSAENETUNREACH | winsock::WSAEHOSTDOWN | winsock::WSAEHOSTUNREACH => {
            ErrorCode::Unreachable
        }
        winsock::WSAEMFILE => ErrorCode::NoDescriptors,
        winsock::WSAENOBUFS => ErrorCode::NoMemory,
        winsock::WSAEALREADY | winsock::WSAEINPROGRESS => ErrorCode::Busy,
        winsock::WSAEMSGSIZE => ErrorCode::MessageSize,
        winsock::WSAEINVAL | winsock::WSAEFAULT | winsock::WSAEISCONN => ErrorCode::InvalidArgument,
        winsock::WSAEOPNOTSUPP
        | winsock::WSAENOPROTOOPT
        | winsock::WSAEPROTONOSUPPORT
        | winsock::WSAESOCKTNOSUPPORT
        | winsock::WSAEPROTOTYPE => ErrorCode::Unsupported,
        winsock::WSAEPFNOSUPPORT | winsock::WSAEAFNOSUPPORT | winsock::WSAVERNOTSUPPORTED => ErrorCode::Unsupported,
        winsock::WSAECANCELLED | winsock::WSA_E_CANCELLED => ErrorCode::Cancelled,
        // WSAEINTR, WSAEWOULDBLOCK: not of overlapped operations. WSAEACCES, WSAEADDRINUSE, WSAEADDRNOTAVAIL: the code
        // tells them apart better than a portable one would.
        _ => ErrorCode::Os,
    }
}

fn windows_code(code: windows::WIN32_ERROR) -> ErrorCode {
    match code {
        windows::ERROR_INVALID_HANDLE => ErrorCode::BadSocket,
        // Of an operation that nobody here has cancelled: the connection is gone.
        windows::ERROR_NETNAME_DELETED | windows::ERROR_UNEXP_NET_ERR | windows::ERROR_VC_DISCONNECTED => {
            ErrorCode::Reset
        }
        // The system's own side gave the connection up.
        windows::ERROR_CONNECTION_ABORTED | windows::ERROR_REQUEST_ABORTED => ErrorCode::ConnectionAborted,
        windows::ERROR_BROKEN_PIPE | windows::ERROR_NO_DATA | windows::ERROR_GRACEFUL_DISCONNECT => {
            ErrorCode::BrokenPipe
        }
        windows::ERROR_PIPE_NOT_CONNECTED | windows::ERROR_CONNECTION_INVALID | windows::ERROR_NOT_CONNECTED => {
            ErrorCode::NotConnected
        }
        windows::ERROR_CONNECTION_REFUSED | windows::ERROR_PORT_UNREACHABLE => ErrorCode::Refused,
        // Retransmissions, or keep-alives, had no answer.
        windows::ERROR_SEM_TIMEOUT | windows::ERROR_TIMEOUT | windows::WAIT_TIMEOUT => ErrorCode::TimedOut,
        windows::ERROR_NETWORK_UNREACHABLE
        | windows::ERROR_HOST_UNREACHABLE
        | windows::ERROR_HOST_DOWN
        | windows::ERROR_BAD_NET_NAME
        | windows::ERROR_BAD_NETPATH => ErrorCode::Unreachable,
        windows::ERROR_PROTOCOL_UNREACHABLE => ErrorCode::Unreachable,
        windows::ERROR_OPERATION_ABORTED | windows::ERROR_CANCELLED | windows::ERROR_HANDLES_CLOSED => {
            ErrorCode::Cancelled
        }
        windows::ERROR_TOO_MANY_OPEN_FILES => ErrorCode::NoDescriptors,
        code if is_shortage(code as i32) => ErrorCode::NoMemory,
        // Of a datagram that is longer than the system sends.
        windows::ERROR_MORE_DATA => ErrorCode::MessageSize,
        windows::ERROR_INVALID_PARAMETER | windows::ERROR_INVALID_USER_BUFFER | windows::ERROR_NOACCESS => {
            ErrorCode::InvalidArgument
        }
        windows::ERROR_NOT_SUPPORTED | windows::ERROR_INVALID_FUNCTION | windows::ERROR_CALL_NOT_IMPLEMENTED => {
            ErrorCode::Unsupported
        }
        _ => ErrorCode::Os,
    }
}

/// Whether the system was short of memory, in one of the many ways in which it can be: an operation that failed so may
/// succeed later.
pub(crate) fn is_shortage(code: i32) -> bool {
    const SHORTAGES: [windows::WIN32_ERROR; 11] = [
        windows::ERROR_NOT_ENOUGH_MEMORY,
        windows::ERROR_OUTOFMEMORY,
        windows::ERROR_NO_SYSTEM_RESOURCES,
        windows::ERROR_NONPAGED_SYSTEM_RESOURCES,
        windows::ERROR_PAGED_SYSTEM_RESOURCES,
        windows::ERROR_WORKING_SET_QUOTA,
        windows::ERROR_PAGEFILE_QUOTA,
        windows::ERROR_COMMITMENT_LIMIT,
        windows::ERROR_NOT_ENOUGH_QUOTA,
        // Of the peer, or of the number of operations under way.
        windows::ERROR_REM_NOT_LIST,
        windows::ERROR_TOO_MANY_CMDS,
    ];
    code == winsock::WSAENOBUFS || u32::try_from(code).is_ok_and(|code| SHORTAGES.contains(&code))
}

/// What the resolver says of a name that nobody has.
#[cfg(feature = "sim")]
pub(crate) const UNKNOWN_HOST: i32 = winsock::WSAHOST_NOT_FOUND;

/// The error of an answer of getaddrinfo, which is a code of Winsock's.
pub(crate) fn resolver_error(code: i32) -> Error {
    if code == winsock::WSA_NOT_ENOUGH_MEMORY {
        return ErrorCode::NoMemory.into();
    }
    Error::with_os(ErrorCode::Unresolved, code)
}

/// What such a code means, in the system's words.
pub(crate) fn resolver_text(code: i32) -> impl fmt::Display {
    io::Error::from_raw_os_error(code)
}

/// Whether an operation's error may mean that its socket was closed behind the library's back. Which of these codes it
/// is depends on what the operation was doing; the same codes come of resets too. So whoever asks looks at the socket.
pub(crate) fn hints_at_close(code: i32) -> bool {
    const HINTS: [windows::WIN32_ERROR; 5] = [
        windows::ERROR_INVALID_HANDLE,
        windows::ERROR_NETNAME_DELETED,
        windows::ERROR_HANDLES_CLOSED,
        windows::ERROR_OPERATION_ABORTED,
        windows::ERROR_CONNECTION_ABORTED,
    ];
    // The last two: a number that a new socket has by now, which is not connected.
    matches!(code, winsock::WSAENOTSOCK | winsock::WSAECONNABORTED | winsock::WSAECONNRESET)
        || matches!(code, winsock::WSAENOTCONN | winsock::WSAEINVAL)
        || u32::try_from(code).is_ok_and(|code| HINTS.contains(&code))
}

/// Whether an operation's error says that the connection is over on both sides: here `SO_LINGER` is set in any case.
pub(crate) fn says_over(_: i32) -> bool {
    false
}

/// Whether the system has given an operation up that nobody here has cancelled, the socket being as it was.
pub(crate) fn was_given_up(code: i32) -> bool {
    code == windows::ERROR_OPERATION_ABORTED as i32
}

/// Sorts the errors of accepts. An unknown one pauses, so that it can neither end nor spin a listener.
pub(crate) fn sort_accept_error(code: i32) -> AcceptFailure {
    match code {
        // The peer went away between its connect and our accept: AcceptEx says one, its completion the other, and
        // SO_UPDATE_ACCEPT_CONTEXT the third. 121 and 1236: as seen of connections that never were established.
        winsock::WSAECONNRESET
        | winsock::WSAECONNABORTED
        | winsock::WSAENOTCONN
        | winsock::WSAENETRESET
        | winsock::WSAETIMEDOUT => AcceptFailure::Passing,
        winsock::WSAENOTSOCK | winsock::WSAEINVAL | winsock::WSAEOPNOTSUPP | winsock::WSAEBADF => {
            AcceptFailure::Fatal(Error::from_os(code))
        }
        _ => match u32::try_from(code) {
            Ok(
                windows::ERROR_NETNAME_DELETED
                | windows::ERROR_CONNECTION_ABORTED
                | windows::ERROR_SEM_TIMEOUT
                | windows::ERROR_PIPE_NOT_CONNECTED,
            ) => AcceptFailure::Passing,
            Ok(windows::ERROR_INVALID_HANDLE) => AcceptFailure::Fatal(Error::from_os(code)),
            _ => AcceptFailure::Shortage,
        },
    }
}
