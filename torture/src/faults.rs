//! The errors that the manual pages list for each call, as far as an operation that was started rightly can meet them.

#[cfg(unix)]
mod codes {
    /// recv(2), tcp(7), ip(7).
    pub(crate) const RECV: &[i32] = &[
        libc::ECONNRESET,
        libc::ECONNREFUSED,
        libc::ETIMEDOUT,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::ENETDOWN,
        libc::ENETRESET,
        libc::ENOTCONN,
        libc::EFAULT,
        libc::EINVAL,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EIO,
    ];
    /// send(2), tcp(7), ip(7).
    pub(crate) const SEND: &[i32] = &[
        libc::ECONNRESET,
        libc::EPIPE,
        libc::ETIMEDOUT,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::ENETDOWN,
        libc::EACCES,
        libc::EPERM,
        libc::EDESTADDRREQ,
        libc::EISCONN,
        libc::EMSGSIZE,
        libc::ENOTCONN,
        libc::EOPNOTSUPP,
        libc::EFAULT,
        libc::EINVAL,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EIO,
    ];
    /// accept(2), of those that pass.
    pub(crate) const ACCEPT: &[i32] = &[
        libc::ECONNABORTED,
        libc::EPROTO,
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EPERM,
        libc::ENETDOWN,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::ETIMEDOUT,
    ];
    /// connect(2), of those of an address that was looked at.
    pub(crate) const CONNECT: &[i32] = &[
        libc::ECONNREFUSED,
        libc::ECONNRESET,
        libc::ETIMEDOUT,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::ENETDOWN,
        libc::EADDRINUSE,
        libc::EADDRNOTAVAIL,
        libc::EACCES,
        libc::EPERM,
        libc::EINVAL,
        libc::ENOMEM,
        libc::ENOBUFS,
    ];
    /// io_uring_enter(2), epoll_wait(2).
    pub(crate) const WAIT: &[i32] = &[libc::ENOMEM, libc::EAGAIN, libc::EBUSY, libc::EINTR];
    /// pread(2); a network file system's.
    pub(crate) const READ_FILE: &[i32] = &[
        libc::EIO,
        libc::EBADF,
        libc::EISDIR,
        libc::EINVAL,
        libc::EFAULT,
        libc::ENOMEM,
        libc::ESTALE,
        libc::ETIMEDOUT,
    ];
}

#[cfg(windows)]
mod codes {
    /// WSARecv, and its completion.
    pub(crate) const RECV: &[i32] = &[10054, 10053, 10052, 10060, 10050, 10014, 10022, 64, 121, 1236, 59];
    /// WSASend, and its completion.
    pub(crate) const SEND: &[i32] = &[10054, 10053, 10052, 10060, 10050, 10014, 10022, 10040, 64, 121, 1236, 59];
    /// AcceptEx, and its completion.
    pub(crate) const ACCEPT: &[i32] = &[10054, 10024, 10055, 64, 121, 1236, 1450];
    /// ConnectEx, and its completion.
    pub(crate) const CONNECT: &[i32] =
        &[10061, 10054, 10060, 10065, 10051, 10050, 10048, 10049, 10013, 10022, 64, 121, 1236];
    /// GetQueuedCompletionStatusEx.
    pub(crate) const WAIT: &[i32] = &[8, 1450];
    /// TransmitFile, of its file.
    pub(crate) const READ_FILE: &[i32] = &[6, 5, 23, 30, 33, 1117];
}

pub(crate) use codes::{ACCEPT, CONNECT, READ_FILE, RECV, SEND, WAIT};
