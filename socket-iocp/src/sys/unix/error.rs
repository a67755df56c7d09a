//! What an `errno` means to a program that does not care about the platform.

use super::from_io;
use crate::listener::AcceptFailure;
use crate::{Error, ErrorCode};
use std::ffi::CStr;
use std::{fmt, io};

/// The portable code of an `errno`, as recv, send, accept, connect, shutdown, fcntl and the socket layers below them
/// return it on Linux, macOS, the BSDs and illumos.
///
/// Manual pages: recv(2), send(2), accept(2), connect(2), shutdown(2), fcntl(2), socket(7), tcp(7), unix(7).
pub(crate) fn portable_code(errno: i32) -> ErrorCode {
    match errno {
        libc::EBADF => ErrorCode::BadSocket,
        libc::ENOTSOCK => ErrorCode::NotSocket,
        // EDESTADDRREQ is what some systems say when an unconnected socket is asked to send.
        libc::ENOTCONN | libc::EDESTADDRREQ => ErrorCode::NotConnected,
        libc::ECONNRESET | libc::ENETRESET => ErrorCode::Reset,
        // System V says EPROTO where POSIX says ECONNABORTED: the connection died before it was accepted.
        libc::ECONNABORTED | libc::EPROTO => ErrorCode::ConnectionAborted,
        libc::EPIPE => ErrorCode::BrokenPipe,
        libc::ESHUTDOWN => ErrorCode::Shutdown,
        libc::ECONNREFUSED => ErrorCode::Refused,
        libc::ETIMEDOUT => ErrorCode::TimedOut,
        libc::ECANCELED => ErrorCode::Cancelled,
        libc::ENETDOWN | libc::ENETUNREACH | libc::EHOSTDOWN | libc::EHOSTUNREACH => ErrorCode::Unreachable,
        libc::EMFILE | libc::ENFILE => ErrorCode::NoDescriptors,
        // ENOSPC is epoll_ctl's: the user's share of kernel memory for watches is used up.
        libc::ENOMEM | libc::ENOBUFS | libc::ENOSPC => ErrorCode::NoMemory,
        // A connect that has been started already.
        libc::EALREADY | libc::EINPROGRESS => ErrorCode::Busy,
        libc::EMSGSIZE => ErrorCode::MessageSize,
        // EFAULT: memory given for a send or a buffer is not there. EDOM: a time out of range in setsockopt. EISCONN: connect on
        // a connected socket.
        libc::EINVAL | libc::EFAULT | libc::EDOM | libc::EISCONN => ErrorCode::InvalidArgument,
        libc::EOPNOTSUPP | libc::ENOPROTOOPT | libc::ENOSYS => ErrorCode::Unsupported,
        libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT => ErrorCode::Unsupported,
        libc::EPFNOSUPPORT | libc::EAFNOSUPPORT => ErrorCode::Unsupported,
        // A send that races the end of its connection: macOS says EPROTOTYPE where others say EPIPE.
        libc::EPROTOTYPE if cfg!(target_vendor = "apple") => ErrorCode::BrokenPipe,
        libc::EPROTOTYPE => ErrorCode::Unsupported,
        // Not one number everywhere: macOS and the BSDs tell it from EOPNOTSUPP.
        other if other == libc::ENOTSUP => ErrorCode::Unsupported,
        // No way through a firewall or a Unix name's permissions; addresses in use or gone; a full backlog of a Unix
        // listener. The OS code tells them apart better than a portable one would.
        libc::EPERM | libc::EACCES | libc::EADDRINUSE | libc::EADDRNOTAVAIL => ErrorCode::Os,
        // The backends keep these to themselves: what was interrupted or would have blocked is submitted again.
        libc::EINTR | libc::EAGAIN => ErrorCode::Os,
        other => system_code(other),
    }
}

/// Sorts the errors of accept(2). An unknown one pauses, so that it can neither end nor spin a listener.
pub(crate) fn sort_accept_error(errno: i32) -> AcceptFailure {
    match errno {
        libc::ECONNABORTED | libc::EPROTO => AcceptFailure::Passing,
        libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP => AcceptFailure::Fatal(Error::from_os(errno)),
        _ => AcceptFailure::Shortage,
    }
}

/// What the resolver says of a name that nobody has.
#[cfg(feature = "sim")]
pub(crate) const UNKNOWN_HOST: i32 = libc::EAI_NONAME;

/// The error of a code of getaddrinfo(3).
pub(crate) fn resolver_error(code: i32) -> Error {
    match code {
        libc::EAI_MEMORY => ErrorCode::NoMemory.into(),
        libc::EAI_SYSTEM => from_io(&io::Error::last_os_error()),
        _ => Error::with_os(ErrorCode::Unresolved, code),
    }
}

/// What such a code means, in the system's words.
pub(crate) fn resolver_text(code: i32) -> impl fmt::Display {
    // SAFETY: the call has no precondition, and answers a text that stays, for every number.
    unsafe { CStr::from_ptr(libc::gai_strerror(code)) }.to_string_lossy()
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
fn system_code(errno: i32) -> ErrorCode {
    match errno {
        // The machine is on no network.
        libc::ENONET => ErrorCode::Unreachable,
        // A timer of the kernel's own ended the operation (io_uring's linked timeouts, SCTP's and streams').
        libc::ETIME => ErrorCode::TimedOut,
        _ => ErrorCode::Os,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "illumos")))]
fn system_code(_: i32) -> ErrorCode {
    ErrorCode::Os
}
