//! The yardsticks: the least code that can do a work. What they do for a message anybody has to do; what socket-iocp takes
//! beyond it is the price of its promises.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "linux")]
mod io_uring;
#[cfg(windows)]
pub(crate) mod iocp;

#[cfg(target_os = "linux")]
pub(crate) use on_linux::*;

#[cfg(target_os = "linux")]
mod on_linux {
    use super::{epoll, io_uring};
    use crate::error::Error;
    use crate::listener::listen;
    use crate::works::{Outcome, Service, Serving};
    use socket_iocp::BackendKind;
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::{AsFd, BorrowedFd};

    /// What a yardstick can do.
    pub(crate) fn services() -> &'static [Service] {
        &[Service::Echo, Service::AnswerBatched, Service::Sink, Service::Source]
    }

    /// Serves until standard input ends; `ready` is called with the listener's address.
    pub(crate) fn serve(
        backend: BackendKind,
        serving: Serving,
        ready: impl FnOnce(&[SocketAddr]) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        serve_until(io::stdin().as_fd(), backend, serving, ready)
    }

    /// Serves until nothing more can be read from `end`, a pipe or a socket.
    pub(crate) fn serve_until(
        end: BorrowedFd<'_>,
        backend: BackendKind,
        serving: Serving,
        ready: impl FnOnce(&[SocketAddr]) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        if serving.threads > 1 {
            return Err(Error::cannot_start("a yardstick has one thread"));
        }
        if !services().contains(&serving.service) {
            return Err(Error::cannot_start(format!("no yardstick for {}", serving.service.name())));
        }
        let (listener, address) = listen()?;
        ready(&[address])?;
        match backend {
            BackendKind::IoUring => io_uring::serve(serving, &listener, end),
            BackendKind::Readiness => epoll::serve(serving, &listener, end),
            _ => Err(Error::cannot_start(format!("no yardstick for {}", backend.name()))),
        }
    }
}
