//! A handler that writes down every callback and lets a test react to it.

use socket_iocp::{
    Context, Datagram, Error, ErrorCode, Farewell, Handler, PortHandle, ReadBuffer, Sent, Socket, SocketHandle,
    Watermark,
};
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// A wait for an event takes this long only if the event never comes.
const BOUND: Duration = Duration::from_secs(30);

/// A callback, as it was.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// An accept callback, with the listener's state.
    Accepted { handle: SocketHandle, listener: u64, remote: Option<SocketAddr>, thread: ThreadId },
    /// A connect callback, with the socket's state.
    Connected { handle: SocketHandle, state: u64, local: Option<SocketAddr>, remote: Option<SocketAddr> },
    /// A recv callback, with the socket's state.
    Received { handle: SocketHandle, state: u64, result: Result<Vec<u8>, Error> },
    /// A datagram's callback, with the socket's state.
    Datagram { handle: SocketHandle, state: u64, result: Result<Mail, Error> },
    /// A send callback, with the socket's and the write's state.
    Sent { handle: SocketHandle, state: u64, write: u64, result: Result<(), Error>, bytes: usize },
    /// A farewell.
    Farewell { handle: SocketHandle, state: u64, reason: Result<(), Error>, handed_back: bool },
    /// A listen socket's farewell.
    ListenerFarewell { listener: u64, reason: Result<(), Error> },
    /// A watermark callback.
    Watermark { handle: SocketHandle, mark: Watermark },
    /// A timer's callback.
    Timer { handle: SocketHandle, state: u64, result: Result<(), Error> },
}

/// A datagram, as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where it came from.
    pub sender: SocketAddr,
    /// Whether it was longer.
    pub truncated: bool,
    /// How long each of several is.
    pub segment_size: usize,
}

impl Event {
    /// What a datagram's callback has brought.
    pub fn mail(&self) -> Option<Result<Mail, Error>> {
        match self {
            Event::Datagram { result, .. } => Some(result.clone()),
            _ => None,
        }
    }

    /// The connected socket that it is about; `None` for a listen socket's farewell.
    pub fn handle(&self) -> Option<SocketHandle> {
        match self {
            Event::Accepted { handle, .. }
            | Event::Connected { handle, .. }
            | Event::Received { handle, .. }
            | Event::Datagram { handle, .. }
            | Event::Sent { handle, .. }
            | Event::Timer { handle, .. }
            | Event::Farewell { handle, .. }
            | Event::Watermark { handle, .. } => Some(*handle),
            Event::ListenerFarewell { .. } => None,
        }
    }

    /// The write state and the result of a send callback.
    pub fn sent(&self) -> Option<(u64, Result<(), Error>)> {
        match self {
            Event::Sent { write, result, .. } => Some((*write, *result)),
            _ => None,
        }
    }
}

/// A send's completion: its state, its error, how many bytes had gone.
pub type Completion = (u64, Option<ErrorCode>, usize);

/// The completions of the sends among these callbacks.
pub fn completions(log: &[Event]) -> Vec<Completion> {
    let completion = |event: &Event| match event {
        Event::Sent { write, result, bytes, .. } => Some((*write, result.err().map(|error| error.code()), *bytes)),
        _ => None,
    };
    log.iter().filter_map(completion).collect()
}

/// What a test does inside a callback, after it was written down. For an accept its answer is the socket's state (`None`:
/// refuse); for others it is ignored.
pub type Reaction = dyn Fn(&Probe, Option<&Context<'_, Probe>>, &Event) -> Option<u64> + Send + Sync;

/// The handler.
pub struct Probe {
    log: Mutex<Vec<Event>>,
    grown: Condvar,
    returned: Mutex<Vec<Socket>>,
    reaction: Box<Reaction>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe that issues a recv for each accepted connection, after each recv with bytes and after each of a datagram, and sends
    /// nothing. Accepted sockets get the state 0.
    pub fn reader() -> Probe {
        Probe::reacting(|_, context, event| {
            let context = context?;
            match event {
                Event::Accepted { .. } => context.recv().expect("a new socket"),
                Event::Datagram { .. } => drop(context.recv()),
                Event::Received { result: Ok(bytes), .. } if !bytes.is_empty() => {
                    // An error is the socket's end, begun by the test.
                    let _ = context.recv();
                }
                _ => {}
            }
            Some(0)
        })
    }

    /// A probe that sends back what it receives, one piece at a time.
    pub fn echo() -> Probe {
        Probe::reacting(|_, context, event| {
            let context = context?;
            match event {
                Event::Accepted { .. } => context.recv().expect("a new socket"),
                Event::Received { result: Ok(bytes), .. } if !bytes.is_empty() => {
                    let _ = context.sync_send(bytes.clone(), 0);
                }
                Event::Received { .. } => {
                    let _ = context.close();
                }
                Event::Sent { result: Ok(()), .. } => {
                    let _ = context.recv();
                }
                _ => {}
            }
            Some(0)
        })
    }

    /// A probe that only writes down; accepted sockets get the state 0.
    pub fn silent() -> Probe {
        Probe::reacting(|_, _, _| Some(0))
    }

    /// A probe with a reaction of the test's own.
    pub fn reacting(
        reaction: impl Fn(&Probe, Option<&Context<'_, Probe>>, &Event) -> Option<u64> + Send + Sync + 'static,
    ) -> Probe {
        Probe {
            log: Mutex::new(Vec::new()),
            grown: Condvar::new(),
            returned: Mutex::new(Vec::new()),
            reaction: Box::new(reaction),
        }
    }

    /// What this one would do: for a probe that does something more.
    pub fn react(&self, context: Option<&Context<'_, Probe>>, event: &Event) -> Option<u64> {
        (self.reaction)(self, context, event)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, context: Option<&Context<'_, Probe>>, event: Event) -> Option<u64> {
        self.lock().push(event.clone());
        self.grown.notify_all();
        (self.reaction)(self, context, &event)
    }

    /// Everything so far.
    pub fn log(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Waits until `look` finds what it looks for in the log.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&[Event]) -> Option<T>) -> T {
        let end = Instant::now() + BOUND;
        let mut log = self.lock();
        loop {
            if let Some(found) = look(&log) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            let last = &log[log.len().saturating_sub(50)..];
            assert!(!left.is_zero(), "waited in vain for {what}; the last events: {last:#?}");
            log = self.grown.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for this many events of a kind.
    pub fn wait_for_count(&self, what: &str, count: usize, is_one: impl Fn(&Event) -> bool) -> Vec<Event> {
        self.wait_for(what, |log| {
            let found: Vec<Event> = log.iter().filter(|event| is_one(event)).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }

    /// Waits for so many sends of the port to be reported; all of them so far.
    pub fn wait_for_sends(&self, count: usize) -> Vec<Completion> {
        self.wait_for("sends", |log| Some(completions(log)).filter(|all| all.len() >= count))
    }

    /// Waits for the next accepted connection after `seen` others.
    pub fn wait_for_accept(&self, seen: usize) -> SocketHandle {
        let all = self.wait_for_count("an accept", seen + 1, |event| matches!(event, Event::Accepted { .. }));
        match &all[seen] {
            Event::Accepted { handle, .. } => *handle,
            _ => unreachable!("only accepts were asked for"),
        }
    }

    /// Waits for a socket's farewell.
    pub fn wait_for_farewell(&self, socket: SocketHandle) -> Result<(), Error> {
        self.wait_for("a farewell", |log| {
            log.iter().find_map(|event| match event {
                Event::Farewell { handle, reason, .. } if *handle == socket => Some(*reason),
                _ => None,
            })
        })
    }

    /// Waits until so many bytes have been received on a socket, and returns all of them.
    pub fn wait_for_bytes(&self, socket: SocketHandle, count: usize) -> Vec<u8> {
        self.wait_for("bytes", |log| {
            let bytes = received(log, socket);
            (bytes.len() >= count).then_some(bytes)
        })
    }

    /// How many events of a kind there are so far.
    pub fn count(&self, is_one: impl Fn(&Event) -> bool) -> usize {
        self.lock().iter().filter(|event| is_one(event)).count()
    }

    /// Looks at all events so far, in order, without a copy of them.
    pub fn for_each(&self, look: impl FnMut(&Event)) {
        self.lock().iter().for_each(look);
    }

    /// The callbacks of one socket so far, in order.
    pub fn history(&self, socket: SocketHandle) -> Vec<Event> {
        self.lock().iter().filter(|event| event.handle() == Some(socket)).cloned().collect()
    }

    /// Waits for a socket's farewell and checks that it is the one and the last callback of its kind. Returns the reason
    /// and the callbacks before it.
    pub fn wait_for_end(&self, socket: SocketHandle) -> (Result<(), Error>, Vec<Event>) {
        let reason = self.wait_for_farewell(socket);
        let mut history = self.history(socket);
        let last = history.pop();
        assert!(matches!(last, Some(Event::Farewell { .. })), "{last:?} after the farewell");
        let farewells = history.iter().filter(|event| matches!(event, Event::Farewell { .. })).count();
        assert_eq!(farewells, 0, "more than one farewell");
        (reason, history)
    }

    /// Takes the sockets that farewells have handed back.
    pub fn take_returned(&self) -> Vec<Socket> {
        std::mem::take(&mut self.returned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The bytes received on a socket so far.
fn received(log: &[Event], socket: SocketHandle) -> Vec<u8> {
    log.iter()
        .filter_map(|event| match event {
            Event::Received { handle, result: Ok(bytes), .. } if *handle == socket => Some(bytes.as_slice()),
            _ => None,
        })
        .flatten()
        .copied()
        .collect()
}

impl Handler for Probe {
    type Listener = u64;
    type Socket = u64;
    type Write = u64;

    fn accept(&self, context: &Context<'_, Self>, listener: &u64) -> Option<u64> {
        let (handle, remote, thread) = (context.handle(), context.remote_addr(), thread::current().id());
        self.note(Some(context), Event::Accepted { handle, listener: *listener, remote, thread })
    }

    fn connected(&self, context: &Context<'_, Self>, socket: &mut u64) {
        let (local, remote) = (context.local_addr(), context.remote_addr());
        self.note(Some(context), Event::Connected { handle: context.handle(), state: *socket, local, remote });
    }

    fn recv(&self, context: &Context<'_, Self>, socket: &mut u64, received: Result<ReadBuffer, Error>) {
        let result = received.map(|buffer| buffer.to_vec());
        self.note(Some(context), Event::Received { handle: context.handle(), state: *socket, result });
    }

    fn datagram(&self, context: &Context<'_, Self>, socket: &mut u64, received: Result<Datagram, Error>) {
        let result = received.map(|datagram| {
            assert_eq!(context.remote_addr(), Some(datagram.sender));
            let Datagram { buffer, sender, truncated, segment_size, .. } = datagram;
            Mail { bytes: buffer.to_vec(), sender, truncated, segment_size }
        });
        self.note(Some(context), Event::Datagram { handle: context.handle(), state: *socket, result });
    }

    fn send(&self, context: &Context<'_, Self>, socket: &mut u64, sent: Sent<u64>) {
        let (handle, state, write) = (context.handle(), *socket, sent.write);
        self.note(Some(context), Event::Sent { handle, state, write, result: sent.result, bytes: sent.bytes });
    }

    fn error(&self, context: &Context<'_, Self>, socket: u64, farewell: Farewell) {
        let handed_back = farewell.socket.is_some();
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).extend(farewell.socket);
        let (handle, reason) = (context.handle(), farewell.reason);
        self.note(Some(context), Event::Farewell { handle, state: socket, reason, handed_back });
    }

    fn timer(&self, context: &Context<'_, Self>, socket: &mut u64, result: Result<(), Error>) {
        self.note(Some(context), Event::Timer { handle: context.handle(), state: *socket, result });
    }

    fn listen_error(&self, _port: &PortHandle<Self>, listener: &u64, reason: Result<(), Error>) {
        self.note(None, Event::ListenerFarewell { listener: *listener, reason });
    }

    fn watermark(&self, context: &Context<'_, Self>, _socket: &mut u64, mark: Watermark) {
        self.note(Some(context), Event::Watermark { handle: context.handle(), mark });
    }
}
