//! The issue call of a connect by host name.

use super::{Caller, HostName};
use crate::address::Addresses;
use crate::connects::To;
use crate::handle::SocketHandle;
use crate::handler::Handler;
use crate::port::PortHandle;
use crate::socket::Origin;
use crate::sys::{INVALID_SOCKET, SocketIo};
use crate::time::Limit;
use crate::worker::{Companion, Info, Local};
use crate::{Error, ErrorCode};
use std::time::Duration;

/// The identity of a socket that there is not yet.
const NO_IDENTITY: u32 = 0;

/// A connect by host name that was not issued: the state comes back.
#[derive(Debug)]
pub struct NotIssued<S> {
    /// Why.
    pub error: Error,
    /// The state given.
    pub state: S,
}

impl<H: Handler> PortHandle<H> {
    /// Connects to a host by its name: looks the name up with the system's resolver and tries its addresses, of both families in
    /// turn, the next one beside the others whenever 250 ms have passed and at once when one has failed ([RFC
    /// 8305](https://www.rfc-editor.org/rfc/rfc8305), "happy eyeballs"). The first connection is the socket, which is made by the
    /// library; the other attempts are given up. [`Handler::connected`] comes of it, as of [`connect`](PortHandle::connect), or the
    /// farewell alone: with [`ErrorCode::Unresolved`] and the code of getaddrinfo(3) behind it if the name is not known; if all
    /// addresses failed, with the first error that came of an answer or of a system's time-out (`Refused`, `TimedOut`, `Reset`), or
    /// else the first of all (`Unreachable`, say).
    ///
    /// `host` is a name as getaddrinfo(3) takes it, or an address (which is not looked up), of at most 255 bytes; `port` is the TCP
    /// port, 1 to 65535. Of a host at most 16 addresses are tried.
    ///
    /// The handle is there at once, the socket is not: until the connect callback, [`Context::raw_socket`](crate::Context::raw_socket)
    /// is no number (-1; on Windows `INVALID_SOCKET`) and [`find`](PortHandle::find) finds nothing. Everything else is as with
    /// [`connect`](PortHandle::connect): a recv and sends may be issued at once, and
    /// [`cancel_connect`](PortHandle::cancel_connect), [`abort`](PortHandle::abort), [`remove`](PortHandle::remove) (with nothing to
    /// hand back), [`close`](PortHandle::close) and the port's end end it promptly, even if the resolver hangs.
    ///
    /// Names are looked up by up to eight threads of the port, attempts made by one more; they are started when they are first
    /// needed, and end with the port, but for one whose resolver hangs: that one holds nothing of the port, and ends when it is let.
    /// While as many names hang, others wait for one of them; each for its own time limit.
    ///
    /// Errors: `InvalidArgument` (no name, a name that is too long or has a zero byte, port 0), `Limit` (`max_sockets`, or 4,096
    /// names wait for a thread), `NoMemory`, `NoDescriptors`, `Os` (threads refused), `Closed`.
    ///
    /// See [getaddrinfo(3)](https://man7.org/linux/man-pages/man3/getaddrinfo.3.html),
    /// [getaddrinfo](https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-getaddrinfo).
    pub fn connect_host(&self, host: &str, port: u16, state: H::Socket) -> Result<SocketHandle, NotIssued<H::Socket>> {
        self.issue_connect_host(host, port, Ok(Limit::NONE), state)
    }

    /// As [`connect_host`](PortHandle::connect_host), for so long at most, from this call to the connection: then the farewell says
    /// [`TimedOut`](ErrorCode::TimedOut), as with [`connect_within`](PortHandle::connect_within).
    ///
    /// Errors: as [`connect_host`](PortHandle::connect_host); `InvalidArgument` (longer than
    /// [`MAX_TIME_LIMIT`](crate::MAX_TIME_LIMIT)).
    pub fn connect_host_within(
        &self,
        host: &str,
        port: u16,
        time: Duration,
        state: H::Socket,
    ) -> Result<SocketHandle, NotIssued<H::Socket>> {
        self.issue_connect_host(host, port, Limit::after(time), state)
    }

    fn issue_connect_host(
        &self,
        host: &str,
        port: u16,
        limit: Result<Limit, Error>,
        state: H::Socket,
    ) -> Result<SocketHandle, NotIssued<H::Socket>> {
        let mut state = Some(state);
        self.try_connect_host(host, port, limit, &mut state)
            .map_err(|error| NotIssued { error, state: state.expect("taken only when nothing can fail") })
    }

    fn try_connect_host(
        &self,
        host: &str,
        port: u16,
        limit: Result<Limit, Error>,
        state: &mut Option<H::Socket>,
    ) -> Result<SocketHandle, Error> {
        let shared = self.enter()?;
        let (host, limit) = (HostName::new(host)?, limit?);
        if port == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        if shared.is_closing() {
            return Err(ErrorCode::Closed.into());
        }
        if !shared.admit() {
            return Err(ErrorCode::Limit.into());
        }
        let worker = &shared.workers[shared.choose_worker(0)];
        let begun = worker.slots.allocate().and_then(|slot| {
            let handle = slot.promise(NO_IDENTITY);
            worker.connects.add(handle, To::Host)?;
            // Its outcome may come before the socket is in its slot, and waits there.
            let caller = Caller { connects: worker.connects.clone(), mailbox: worker.mailbox.clone() };
            let begun = shared.hosts.begin(handle, &host, port, caller);
            begun.inspect_err(|_| drop(worker.connects.remove(handle.index())))?;
            Ok((slot, handle))
        });
        let (slot, handle) = begun.inspect_err(|_| shared.discharge())?;
        let companion = state.take().map_or(Companion::Nobody, Companion::State);
        let info = Info::new(INVALID_SOCKET, Addresses::NONE);
        let local = Local::new(info, SocketIo::default(), companion, Origin::ByHost);
        local.machine().set_watch(limit);
        self.bring_to_life(worker, (slot, handle), local, NO_IDENTITY);
        Ok(handle)
    }
}
