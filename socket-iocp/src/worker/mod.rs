//! One worker: the loop that waits, takes completions, drives the state machines, runs the callbacks and submits.
//!
//! # A turn
//! 1. The inbox: what other threads issued goes into the state machines.
//! 2. Callbacks of the sockets on the `ready` list. What they issue only marks its socket as `dirty`. Where every operation is
//!    a system call of its own (`one_by_one`), a socket is seen to as in 3 right after its callbacks, and its callbacks
//!    are run right after that, a few times in turn, while its bytes and the kernel's own state of it are in the cache.
//! 3. Dirty sockets: the state machines say what to do in the operating system, the backend queues it.
//! 4. One wait, which submits all of it; then the completions go into the state machines, which makes sockets ready.
//!
//! So a callback never runs inside an issue call, many sends issued in a row leave in one call, and no `RefCell` here
//! is borrowed while a callback runs, but the one of that socket's user state.

mod accept;
mod cancel;
mod connect;
mod datagram;
mod deliver;
mod ending;
mod issue;
mod operate;
mod shutdown;
mod timers;
mod wait;

pub(crate) use accept::{Unplaced, identity_of, tell_foreign_close};
pub(crate) use datagram::DatagramState;
pub(crate) use deliver::guarded;

use crate::address::Addresses;
use crate::buffer::BufferPool;
use crate::connects::Connects;
use crate::handle::{Borrowed, Message, Pair, Slot, Slots, Token};
use crate::handler::Handler;
use crate::listener::{Accepting, Listener};
use crate::lists::{List, Place};
use crate::planted::planted;
use crate::port::PortHandle;
use crate::shared::Shared;
use crate::shutdown::NO_DEADLINE;
use crate::socket::{Machine, Origin, Stop};
use crate::statistics::Counters;
use crate::sys::{Backend, INVALID_SOCKET, Key, SocketIo, SocketMemory, process, processors};
use crate::wheel::{Wheel, WheelPlace};
use crate::{Error, RawSocket};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;
use timers::IdleTimeout;

/// Rounds of callbacks and submissions before the operating system is asked again, while operations complete at once.
const MAX_ROUNDS: usize = 16;
/// The pause before operations that found no memory are tried again.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// What a socket is, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Info {
    /// That of a socket that is being connected to a host is none, and changes once.
    raw: Cell<RawSocket>,
    /// Those of a socket that is being connected change once.
    pub(crate) addresses: Cell<Addresses>,
}

impl Info {
    pub(crate) fn new(raw: RawSocket, addresses: Addresses) -> Info {
        Info { raw: Cell::new(raw), addresses: Cell::new(addresses) }
    }

    /// The socket's number; `INVALID_SOCKET` if it has none.
    pub(crate) fn raw(&self) -> RawSocket {
        self.raw.get()
    }

    fn has_socket(&self) -> bool {
        self.raw() != INVALID_SOCKET
    }
}

/// What goes with a socket in its callbacks.
pub(crate) enum Companion<H: Handler> {
    /// Where an accepted socket comes from, until its accept callback is given: the listener, and the worker that took it from
    /// the kernel.
    Listener { listener: Arc<Listener<H>>, origin: u16 },
    /// The user's state.
    State(H::Socket),
    /// That of a datagram socket, with what such a socket has more.
    Datagram(Box<DatagramState<H>>),
    /// Neither: the accept was refused, or the farewell has begun.
    Nobody,
}

impl<H: Handler> Companion<H> {
    /// The user's state comes.
    pub(crate) fn put_state(&mut self, state: Option<H::Socket>) {
        match self {
            Companion::Datagram(datagram) => datagram.state = state,
            _ => *self = state.map_or(Companion::Nobody, Companion::State),
        }
    }

    /// The user's state, while there is one.
    fn state_mut(&mut self) -> Option<&mut H::Socket> {
        match self {
            Companion::State(state) => Some(state),
            Companion::Datagram(datagram) => datagram.state.as_mut(),
            Companion::Listener { .. } | Companion::Nobody => None,
        }
    }

    /// The user's state, at the end.
    fn into_state(self) -> Option<H::Socket> {
        match self {
            Companion::State(state) => Some(state),
            Companion::Datagram(datagram) => datagram.state,
            Companion::Listener { .. } | Companion::Nobody => None,
        }
    }
}

/// What a worker keeps of one of its sockets.
pub(crate) struct Local<H: Handler> {
    pub(crate) info: Info,
    /// The state machine, and what goes with the socket in its callbacks: each is borrowed while the other is.
    parts: Pair<Machine<H::Write>, Companion<H>>,
    ready: Place,
    dirty: Place,
    fresh: Place,
    timeout: WheelPlace,
}

impl<H: Handler> Local<H> {
    pub(crate) fn new(info: Info, io: SocketIo, companion: Companion<H>, origin: Origin) -> Local<H> {
        let mut machine = Machine::new(origin, info.addresses.get().is_internet());
        machine.io = io;
        Local {
            parts: Pair::new(machine, companion),
            info,
            ready: Place::new(),
            dirty: Place::new(),
            fresh: Place::new(),
            timeout: WheelPlace::new(),
        }
    }

    /// # Panics
    /// While it is borrowed.
    pub(crate) fn machine(&self) -> Borrowed<'_, Machine<H::Write>> {
        self.parts.first()
    }

    /// # Panics
    /// While it is borrowed: a callback that gets the user's state runs.
    fn companion(&self) -> Borrowed<'_, Companion<H>> {
        self.parts.second()
    }

    fn replace_companion(&self, companion: Companion<H>) -> Companion<H> {
        std::mem::replace(&mut self.companion(), companion)
    }

    /// The content of a slot in which nobody lives.
    pub(crate) fn vacant() -> Local<H> {
        let info = Info::new(INVALID_SOCKET, Addresses::NONE);
        Local::new(info, SocketIo::default(), Companion::Nobody, Origin::Connected)
    }
}

/// A worker's own data. It runs on its thread, or in `run` of a port that its caller drives.
pub(crate) struct Worker<H: Handler> {
    token: Token,
    index: usize,
    port: PortHandle<H>,
    backend: RefCell<Backend>,
    pool: RefCell<BufferPool>,
    ready: List,
    dirty: List,
    /// Whether sockets are served one by one, each with its callbacks and operations in turn, and not all callbacks before all
    /// operations: where an operation is a call of its own, the bytes that it moves are still in the cache then.
    one_by_one: bool,
    /// The socket whose callbacks run, if it is seen to right after them: what they issue need not mark it.
    delivering: Cell<Option<u32>>,
    /// The port's idle time-out, if it has one.
    idle: Option<IdleTimeout>,
    /// Sockets with a time limit whose delay has not begun to run.
    fresh: List,
    /// One of them is gone: its slot is given back when it leaves the list.
    leaving: Cell<bool>,
    /// Sockets by when to look at them.
    wheel: Wheel,
    accepting: RefCell<Vec<Accepting<H>>>,
    next_listener_key: Cell<u32>,
    /// What the port's count of freed descriptors was when paused listeners last went on.
    descriptors_freed: Cell<usize>,
    /// A listener of this worker may start another accept.
    accepts_due: Cell<bool>,
    /// When to try the recvs and sends again that found no memory.
    retry_at: Cell<Option<Duration>>,
    /// The port's deletion has been carried to the sockets.
    winding_up: Cell<bool>,
    /// The deadline of the port's shutdown, as far as this worker has taken note of it: in nanoseconds of its clock.
    shutdown_deadline: Cell<u64>,
    /// The shutdown has come to where idle connections are closed.
    closes_idle: Cell<bool>,
    /// How long the worker looks for something to do before it sleeps, if it does.
    busy_poll: Option<Duration>,
    /// A function of the user's looks through the sends of a socket: calls that it makes are taken like another thread's.
    looking: Cell<bool>,
    /// Callbacks that have been run, to tell whether any was.
    callbacks: Cell<usize>,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    GoOn,
    /// The port is deleted and this worker has nothing left.
    Over,
    /// A callback has forked, and this is the child: what the kernel and the other threads share is the parent's.
    Forked,
}

impl<H: Handler> Worker<H> {
    pub(crate) fn new(
        token: Token,
        index: usize,
        port: PortHandle<H>,
        backend: Backend,
        pool: BufferPool,
    ) -> Worker<H> {
        let idle = port.shared().options.idle_timeout.map(IdleTimeout::new);
        let one_by_one = backend.tries_at_once();
        let busy_poll = wait::busy_poll(port.shared());
        Worker {
            token,
            index,
            port,
            backend: RefCell::new(backend),
            pool: RefCell::new(pool),
            ready: List::new(),
            dirty: List::new(),
            one_by_one,
            delivering: Cell::new(None),
            idle,
            fresh: List::new(),
            leaving: Cell::new(false),
            wheel: Wheel::new(),
            accepting: RefCell::new(Vec::new()),
            next_listener_key: Cell::new(0),
            descriptors_freed: Cell::new(0),
            accepts_due: Cell::new(false),
            retry_at: Cell::new(None),
            winding_up: Cell::new(false),
            shutdown_deadline: Cell::new(NO_DEADLINE),
            closes_idle: Cell::new(false),
            busy_poll,
            looking: Cell::new(false),
            callbacks: Cell::new(0),
        }
    }

    fn shared(&self) -> &Shared<H> {
        self.port.shared()
    }

    fn slots(&self) -> &Slots<H> {
        &self.shared().workers[self.index].slots
    }

    fn counters(&self) -> &Counters {
        &self.shared().workers[self.index].counters
    }

    fn connects(&self) -> &Connects {
        &self.shared().workers[self.index].connects
    }

    fn mailbox(&self) -> &crate::handle::Mailbox {
        &self.shared().workers[self.index].mailbox
    }

    fn local(&self, slot: &'static Slot<H>) -> &Local<H> {
        slot.local(&self.token)
    }

    fn memory(&self, slot: &'static Slot<H>) -> &'static SocketMemory {
        slot.memory(&self.token)
    }

    fn local_at(&self, index: u32) -> &Local<H> {
        self.local(self.slots().at(index))
    }

    fn key(slot: &Slot<H>) -> Key {
        Key { index: slot.index(), generation: slot.head.word.generation() }
    }

    /// The worker's clock.
    fn now(&self) -> Duration {
        self.backend.borrow().now()
    }

    fn mark_dirty(&self, index: u32) {
        if self.delivering.get() != Some(index) {
            self.dirty.push(index, |index| &self.local_at(index).dirty);
        }
    }

    fn mark_ready(&self, index: u32) {
        self.ready.push(index, |index| &self.local_at(index).ready);
    }

    /// The loop of a worker thread, until the port is deleted and everything is reported.
    pub(crate) fn run_thread(self) {
        if self.shared().options.pin_workers {
            processors::stay_on_one(self.index);
        }
        if self.backend.borrow_mut().start().is_err() {
            // The ring refused to be enabled: nothing can be served. The port goes; its calls answer `Closed`.
            self.shared().begin_deletion();
        }
        let run = || loop {
            match self.turn(None) {
                Turn::GoOn => {}
                end => break end,
            }
        };
        if self.shared().number.run_as(&self, run) == Turn::Forked {
            std::mem::forget(self);
        }
    }

    /// One turn, waiting at most `timeout` (`None`: for ever) for something to do.
    fn turn(&self, timeout: Option<Duration>) -> Turn {
        self.rounds();
        if let Some(end) = self.end() {
            return end;
        }
        if !self.finds_awake() {
            self.wait(timeout);
        }
        self.expire();
        Turn::GoOn
    }

    /// Whether the loop ends here.
    fn end(&self) -> Option<Turn> {
        if process::is_forked_child() {
            return Some(Turn::Forked);
        }
        if self.leaving.take() {
            // Before the worker looks how many sockets are left, and sleeps on that.
            self.read_clock();
        }
        self.see_to_shutdown();
        (self.shared().is_closing() && self.wind_up()).then_some(Turn::Over)
    }

    /// Callbacks and submissions, while submissions complete at once.
    fn rounds(&self) {
        for _ in 0..MAX_ROUNDS {
            self.take_inbox();
            self.see_to_listeners();
            self.deliver();
            if process::is_forked_child() {
                break;
            }
            self.flush();
            if self.ready.is_empty() || process::is_forked_child() {
                break;
            }
        }
    }

    fn count_callback(&self) {
        self.callbacks.set(self.callbacks.get().wrapping_add(1));
    }

    /// Takes what other threads have issued into the state machines.
    fn take_inbox(&self) {
        for message in self.mailbox().inbox.take::<H::Write>() {
            match message {
                Message::Send(node) => {
                    let slot = self.slots().at(node.index());
                    slot.head.word.arrived();
                    self.take_send(slot, node);
                }
                Message::Recv(index) => {
                    let slot = self.slots().at(index);
                    let cancelled = slot.head.word.recv_arrived();
                    if planted!(MessageLost) {
                        continue;
                    }
                    self.take_recv(slot, slot.head.recv_link.limit());
                    if cancelled {
                        self.local(slot).machine().stop_recv(Stop::Cancelled);
                    }
                }
                Message::Control(index) => {
                    let slot = self.slots().at(index);
                    slot.head.word.control_arrived();
                    self.obey(slot);
                }
                Message::CancelSends(index, which) => {
                    let slot = self.slots().at(index);
                    slot.head.word.arrived();
                    self.cancel_sends_for_another(slot, which);
                }
                Message::Accepted(index) => {
                    let slot = self.slots().at(index);
                    slot.accepted_arrived();
                    self.mark_ready(index);
                }
            }
        }
    }

    /// Does one run of a port that its caller drives: callbacks that are due already, or a wait of at most `timeout`
    /// and then the callbacks of what it found. The pollable descriptor is armed when it returns.
    pub(crate) fn run_driven(&self, timeout: Option<Duration>) -> Turn {
        let run = || {
            let before = self.callbacks.get();
            self.rounds();
            if let Some(end) = self.end() {
                return end;
            }
            self.wait(if self.callbacks.get() == before { timeout } else { Some(Duration::ZERO) });
            self.expire();
            self.rounds();
            self.end().unwrap_or(Turn::GoOn)
        };
        let turn = self.shared().number.run_as(self, run);
        if turn != Turn::Forked {
            self.park();
        }
        turn
    }

    /// Leaves a driven port to its caller's own poll: the pollable descriptor becomes readable when there is something
    /// to do.
    fn park(&self) {
        let idle = !self.has_work() && self.mailbox().inbox.prepare_to_sleep() && !self.has_news();
        let after = if idle { self.next_timer_in() } else { Some(Duration::ZERO) };
        self.backend.borrow_mut().set_deadline(after);
    }

    /// Makes a driven port ready for its caller's poll, which may come before the first run.
    pub(crate) fn start_driven(&self) -> Result<(), Error> {
        self.backend.borrow_mut().start()?;
        self.wait(Some(Duration::ZERO));
        self.park();
        Ok(())
    }
}
