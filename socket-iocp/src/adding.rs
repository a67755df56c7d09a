//! How sockets come into a port.

use crate::address::Addresses;
use crate::buffer::Addressed;
use crate::connects::To;
use crate::handle::{Claimer, Entry, NewSlot, SocketHandle, SocketTable};
use crate::handler::Handler;
use crate::listener::{Listener, ListenerCore};
use crate::port::{ListenerHandle, NotAdded, PortHandle};
use crate::shared::WorkerShared;
use crate::socket::Origin;
use crate::time::Limit;
use crate::trace::traced;
use crate::worker::{Companion, DatagramState, Info, Local, identity_of, tell_foreign_close};
use crate::{BackendKind, Error, ErrorCode, RawSocket, Socket};
use socket2::SockAddr;
use std::alloc::Layout;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// How a socket that the program brings comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer<'a> {
    origin: Origin,
    /// Where it is to be connected to, if it is not yet, and how long that may take.
    target: Option<&'a SockAddr>,
    limit: Limit,
}

impl<'a> Newcomer<'a> {
    pub(crate) const CONNECTED: Newcomer<'a> = Newcomer { origin: Origin::Connected, target: None, limit: Limit::NONE };
    pub(crate) const DATAGRAM: Newcomer<'a> = Newcomer { origin: Origin::Datagram, target: None, limit: Limit::NONE };

    pub(crate) fn to_connect(target: &'a SockAddr, limit: Limit) -> Newcomer<'a> {
        Newcomer { origin: Origin::Unconnected, target: Some(target), limit }
    }
}

impl<H: Handler> PortHandle<H> {
    /// Adds a listening stream socket. `backlog` (at least 1) bounds the connections taken from the kernel and not yet
    /// given to an accept callback; that many accepts are kept ready (at most 1024 a worker).
    ///
    /// Errors: `InvalidArgument` (a zero backlog), `BadSocket`, `NotSocket`, `NotStream`, `NotListening`,
    /// `AlreadyAdded`, `NoMemory`, `NoDescriptors` (the library accepts on a duplicate of its own), `Unsupported` (Windows:
    /// the socket has a completion port already, or a provider without file handles), `Closed`.
    pub fn add_listener(
        &self,
        socket: impl Into<Socket>,
        backlog: usize,
        state: H::Listener,
    ) -> Result<ListenerHandle, NotAdded<H::Listener>> {
        let socket = socket.into();
        let core = match self.prepare_listener(&socket, backlog) {
            Ok(core) => core,
            Err(error) => return Err(NotAdded { error, socket, state }),
        };
        let shared = self.shared();
        let (workers, pinned) = (shared.workers.len(), shared.worker_of_listener(core.id));
        let listener = Arc::new(Listener::new(core.clone(), state, workers, pinned));
        if let Err(error) = shared.enlist(listener.clone()) {
            SocketTable::leave(core.socket, Entry::Listener(core.id));
            self.dissociate(&core);
            self.restore_blocking(&core);
            shared.net.close_listener(core.own);
            let state = Arc::into_inner(listener).expect("nobody else has seen it").state;
            return Err(NotAdded { error, socket, state });
        }
        socket.into_raw();
        traced!(DEBUG, "listener added", port = shared.number.get(), socket = core.socket as u64);
        Ok(ListenerHandle(core.id))
    }

    fn prepare_listener(&self, socket: &Socket, backlog: usize) -> Result<Arc<ListenerCore>, Error> {
        let shared = self.enter()?;
        if backlog == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        // Before anything is done to the socket that not every system can undo.
        if shared.is_closing() {
            return Err(ErrorCode::Closed.into());
        }
        let raw = self.own_kind(socket)?;
        shared.net.check_listening(raw)?;
        let identity = shared.net.identity(raw)?;
        if !shared.association_tells_newcomers() && SocketTable::get(raw).and_then(identity_of) == Some(identity.0) {
            return Err(ErrorCode::AlreadyAdded.into());
        }
        let mut mailboxes = Vec::new();
        mailboxes.try_reserve(shared.workers.len()).map_err(|_| ErrorCode::NoMemory)?;
        mailboxes.extend(shared.workers.iter().map(|worker| worker.mailbox.clone()));
        let nonblocking = shared.one_accept_is_enough();
        let own = shared.net.duplicate_listener(raw, nonblocking)?;
        let core = ListenerCore::register(raw, own, nonblocking, identity, backlog, mailboxes);
        let entered = match &core {
            Ok(core) => self.enter_listener(core),
            Err(error) => Err(*error),
        };
        if let Err(error) = entered {
            match &core {
                Ok(core) => self.restore_blocking(core),
                Err(_) => shared.net.restore_listener(own),
            }
            shared.net.close_listener(own.socket);
            return Err(error);
        }
        core
    }

    fn enter_listener(&self, core: &ListenerCore) -> Result<(), Error> {
        SocketTable::reserve(core.socket)?;
        if let Some(worker) = self.shared().worker_of_listener(core.id) {
            let associated = self.shared().workers[worker].mailbox.associate_listener(core.own);
            associated.map_err(|error| self.why_not_associated(core.socket, core.identity.0, error))?;
        }
        let entered = self.enter_table(core.socket, core.identity.0, Entry::Listener(core.id));
        entered.inspect_err(|_| self.dissociate(core))
    }

    /// Unties a listener from its worker that was not added after all.
    fn dissociate(&self, core: &ListenerCore) {
        if let Some(worker) = self.shared().worker_of_listener(core.id) {
            self.shared().workers[worker].mailbox.dissociate(core.own);
        }
    }

    /// A completion port takes a socket once. One that stands in the table is in a port of this library; any other has a
    /// completion port of somebody else's.
    fn why_not_associated(&self, raw: RawSocket, identity: u32, error: Error) -> Error {
        let known = SocketTable::get(raw).and_then(identity_of) == Some(identity);
        if known && error.code() == ErrorCode::Unsupported { ErrorCode::AlreadyAdded.into() } else { error }
    }

    /// Gives a listener's open file the blocking mode back that it came with.
    pub(crate) fn restore_blocking(&self, core: &ListenerCore) {
        if core.must_restore_blocking() {
            self.shared().net.restore_blocking(core.own);
        }
    }

    /// The socket's number, if it is of the kind (the system's, or simulated) that this port serves.
    fn own_kind(&self, socket: &Socket) -> Result<RawSocket, Error> {
        let fits = socket.is_sim() == matches!(self.shared().kind, BackendKind::Sim);
        if fits { Ok(socket.as_raw()) } else { Err(ErrorCode::Unsupported.into()) }
    }

    /// Enters a number that the caller brings into the process's table. If somebody stands there already, the
    /// identities tell whether it is this very socket, or one that was closed behind the library's back.
    fn enter_table(&self, raw: RawSocket, identity: u32, entry: Entry) -> Result<(), Error> {
        loop {
            let before = SocketTable::get(raw);
            if !self.shared().association_tells_newcomers() && before.and_then(identity_of) == Some(identity) {
                return Err(ErrorCode::AlreadyAdded.into());
            }
            if SocketTable::enter(raw, before, entry)? {
                before.into_iter().for_each(tell_foreign_close);
                return Ok(());
            }
        }
    }

    /// Adds a connected stream socket. Nothing happens on it until an operation is issued.
    ///
    /// Errors: `BadSocket`, `NotSocket`, `NotStream`, `Listening`, `NotConnected`, `AlreadyAdded`, `Unsupported` (Windows:
    /// the socket has a completion port already, a provider without file handles, or was made without
    /// `WSA_FLAG_OVERLAPPED`), `Limit`, `NoMemory`, `Closed`.
    pub fn add_connected(
        &self,
        socket: impl Into<Socket>,
        state: H::Socket,
    ) -> Result<SocketHandle, NotAdded<H::Socket>> {
        self.add(socket.into(), Newcomer::CONNECTED, state)
    }

    /// Connects a stream socket that is not connected yet, bound or not, of any family: adds it, and issues its connect.
    /// [`Handler::connected`] comes of it, the socket's first callback, or the farewell alone if it fails: with `Refused`,
    /// `Unreachable`, `TimedOut` or what else the system says.
    ///
    /// A recv and sends may be issued at once: they wait until the socket is connected.
    /// [`cancel_connect`](PortHandle::cancel_connect) cancels the connect, and so do [`abort`](PortHandle::abort) and
    /// [`remove`](PortHandle::remove), which end the socket even if it was connected before;
    /// [`close`](PortHandle::close) does unless something is to be sent, which it then waits for, up to the linger
    /// limit. A removed socket may still be connecting by itself.
    ///
    /// Errors: those of [`add_connected`](PortHandle::add_connected), with `AlreadyConnected` in the place of `NotConnected`;
    /// `InvalidArgument` (the address is not of the socket's family).
    ///
    /// See [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html),
    /// [ConnectEx](https://learn.microsoft.com/windows/win32/api/mswsock/nc-mswsock-lpfn_connectex).
    pub fn connect(
        &self,
        socket: impl Into<Socket>,
        address: &SockAddr,
        state: H::Socket,
    ) -> Result<SocketHandle, NotAdded<H::Socket>> {
        self.add(socket.into(), Newcomer::to_connect(address, Limit::NONE), state)
    }

    /// As [`connect`](PortHandle::connect), for so long at most: then the farewell says
    /// [`TimedOut`](ErrorCode::TimedOut), even if [`Handler::connected`] comes before it, when both are in the same
    /// moment. (Without, it is the system that gives up, after two minutes or so.) It is never over early, and mostly
    /// some milliseconds late. A socket that is closed meanwhile has the linger limit instead.
    ///
    /// Errors: as [`connect`](PortHandle::connect); `InvalidArgument` (longer than [`MAX_TIME_LIMIT`](crate::MAX_TIME_LIMIT)).
    pub fn connect_within(
        &self,
        socket: impl Into<Socket>,
        address: &SockAddr,
        time: Duration,
        state: H::Socket,
    ) -> Result<SocketHandle, NotAdded<H::Socket>> {
        let socket = socket.into();
        match Limit::after(time) {
            Ok(limit) => self.add(socket, Newcomer::to_connect(address, limit), state),
            Err(error) => Err(NotAdded { error, socket, state }),
        }
    }

    pub(crate) fn add(
        &self,
        socket: Socket,
        newcomer: Newcomer<'_>,
        state: H::Socket,
    ) -> Result<SocketHandle, NotAdded<H::Socket>> {
        let mut state = Some(state);
        match self.try_add(&socket, newcomer, &mut state) {
            Ok(handle) => {
                socket.into_raw();
                Ok(handle)
            }
            Err(error) => Err(NotAdded { error, socket, state: state.expect("taken only when nothing can fail") }),
        }
    }

    fn try_add(
        &self,
        socket: &Socket,
        newcomer: Newcomer<'_>,
        state: &mut Option<H::Socket>,
    ) -> Result<SocketHandle, Error> {
        let Newcomer { origin, target, limit } = newcomer;
        let is_datagram = origin == Origin::Datagram;
        let shared = self.enter()?;
        if shared.is_closing() {
            return Err(ErrorCode::Closed.into());
        }
        let raw = self.own_kind(socket)?;
        match target {
            None if is_datagram => shared.net.check_datagram(raw)?,
            None => shared.net.check_connected(raw)?,
            Some(target) => shared.net.check_connectable(raw, target)?,
        }
        let identity = shared.net.identity(raw)?;
        let remote = || shared.net.remote_address(raw);
        let addresses = Addresses::of(&shared.net.local_address(raw), target.unwrap_or(&remote()));
        if !shared.admit() {
            return Err(ErrorCode::Limit.into());
        }
        let worker = &shared.workers[shared.choose_worker(0)];
        let entered = worker.slots.allocate().and_then(|slot| {
            // So that nothing can be refused once the socket is tied to the worker.
            SocketTable::reserve(raw)?;
            let mut companion = Companion::Nobody;
            if is_datagram {
                slot.is_for_datagrams(Addressed::new(Layout::new::<()>()).ok_or(ErrorCode::NoMemory)?);
                companion = Companion::Datagram(DatagramState::new().ok_or(ErrorCode::NoMemory)?);
            }
            let handle = slot.promise(identity.0);
            target.map_or(Ok(()), |target| worker.connects.add(handle, To::Address(target.clone())))?;
            let associated = worker.mailbox.associate(raw, handle, is_datagram);
            let associated = associated.map_err(|error| self.why_not_associated(raw, identity.0, error));
            let io = associated.inspect_err(|_| drop(worker.connects.remove(handle.index())))?;
            let entered = self.enter_table(raw, identity.0, Entry::Socket(handle));
            entered.inspect_err(|_| {
                worker.mailbox.dissociate(raw);
                drop(worker.connects.remove(handle.index()));
            })?;
            Ok((slot, handle, io, companion))
        });
        let (slot, handle, io, mut companion) = match entered {
            Ok(entered) => entered,
            Err(error) => {
                shared.discharge();
                return Err(error);
            }
        };
        companion.put_state(state.take());
        let local = Local::new(Info::new(raw, addresses), io, companion, origin);
        local.machine().set_watch(limit);
        traced!(DEBUG, "socket added", port = shared.number.get(), socket = raw as u64, handle = handle.into_raw());
        self.bring_to_life(worker, (slot, handle), local, identity.0);
        Ok(handle)
    }

    /// Puts a socket into its slot, and has its worker begin with its connect, if it has one.
    pub(crate) fn bring_to_life(
        &self,
        worker: &WorkerShared<H>,
        (slot, handle): (NewSlot<'_, H>, SocketHandle),
        local: Local<H>,
        identity: u32,
    ) {
        let connects = !local.machine().is_connected();
        // From here on it may end at any time, and its slot be another's.
        slot.fill(local, identity, Claimer::Local);
        // Pairs with the fence in `wind_up`: either the worker sees this socket, or we see that the port is closing.
        fence(Ordering::SeqCst);
        if connects {
            worker.connects.begin(handle);
        }
        if connects || self.shared().is_closing() {
            worker.mailbox.listeners_changed();
        }
    }
}
