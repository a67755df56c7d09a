//! The state machine of one socket: what the contract says, and no system call. What is different of a datagram socket is in
//! `datagram.rs`.
//!
//! The worker feeds it with issue calls ([`issue_recv`](Machine::issue_recv), [`issue_send`](Machine::issue_send),
//! [`stop_recv`](Machine::stop_recv), [`close`](Machine::close), …) and with completions ([`recv_ended`](Machine::recv_ended),
//! [`send_ended`](Machine::send_ended), [`linger_ended`](Machine::linger_ended)). It asks for what to do in the
//! operating system by [`next_step`](Machine::next_step) and for callbacks by [`next_event`](Machine::next_event),
//! until each answers `None`.
//!
//! # Phases
//! ```text
//! Arriving ──its accept callback──> Open (perhaps not connected yet)
//! Open ──close──> Closing ──all sent, FIN sent, peer's FIN seen──> Ending ──all quiet, all reported──> Ended
//!   │                └──linger limit, failure, abort──────────────────^
//!   └──failure, abort, remove, panic, foreign close───────────────────┘
//! ```
//! - `Arriving`: an accepted socket whose accept callback is due; nobody has its handle yet. Others begin `Open`.
//! - `Open`: operations are accepted. A socket that came unconnected is connected first ([`Connect`]): nothing else is started
//!   before, and its connect's callback comes before all others but those that need no connection: a timer's, a watermark, that
//!   of a recv or a send which ends alone. A shutdown of the sending side waits until what is queued has gone.
//! - `Closing`: what is queued is sent, then FIN; whatever the peer sends is read and discarded meanwhile.
//! - `Ending`: nothing new is started, what the kernel has is cancelled; when the kernel has nothing any more, the sends left
//!   are failed.
//! - `Ended`: every operation has been reported; only the farewell is due. Once that has returned the socket is `Gone`.
//!
//! # Buffers
//! The bytes of a send belong to the send queue from issue to callback, and to the kernel too while a send is under
//! way. The buffer of a recv belongs to the backend until it is filled, then to the machine (`RecvState::Ready`), then
//! to the handler; one that the handler lends back stays here until the next recv is issued or the farewell has
//! returned.

use crate::buffer::ReadBuffer;
use crate::handle::{Marks, NodeRef};
use crate::planted::planted;
use crate::send_queue::{SendQueue, Work};
use crate::sys::{Failure, SocketIo};
use crate::time::{Limit, Moment};
use crate::{Error, ErrorCode, Watermark};

mod datagram;

/// The socket's recv.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RecvState {
    /// None is issued.
    Idle,
    /// To be given to the kernel.
    Wanted,
    /// With the kernel.
    Pending,
    /// With the kernel, and to be cancelled, the socket going on.
    Unwanted,
    /// With the kernel, and cancelled.
    Cancelling,
    /// Ended with bytes or FIN; its callback is due.
    Ready,
    /// Cancelled, timed out or (of a datagram socket) failed, the socket going on; its callback is due.
    Stopped,
}

/// Why a recv ends alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Cancelled,
    TimedOut,
    /// The recv of a datagram socket has failed. The worker keeps the error.
    Failed,
}

impl Stop {
    fn code(self) -> ErrorCode {
        match self {
            Stop::Cancelled => ErrorCode::Cancelled,
            Stop::TimedOut => ErrorCode::TimedOut,
            Stop::Failed => ErrorCode::Os,
        }
    }
}

/// The socket's timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Timer {
    /// None is issued.
    Idle,
    Running,
    /// Its time has passed; its callback is due.
    Passed,
    /// Its callback is due.
    Cancelled,
}

/// The connect of a socket that came unconnected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Connect {
    /// None: it is connected, or never will be.
    Over,
    /// Being made elsewhere, to a host: there is no socket yet.
    Elsewhere,
    /// To be given to the kernel.
    Wanted,
    /// With the kernel.
    Pending,
    /// With the kernel, and to be cancelled: unless it succeeds before, the socket ends.
    Unwanted,
    /// With the kernel, and cancelled.
    Cancelling,
    /// Connected; its callback is due.
    Ready,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Arriving,
    Open,
    Closing,
    Ending,
    Ended,
    /// The farewell has returned.
    Gone,
}

/// What is to become of the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// It goes on. Kept for the worker: when to look whether its peer keeps it waiting; before it is connected, the limit of that;
    /// while closing, the linger limit.
    GoesOn(Limit),
    /// It ends, for this cause (`None`: all is well).
    Ends(Option<Error>),
}

/// The FIN to the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fin {
    NotWanted,
    Wanted,
    Sent,
}

/// How the descriptor ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Close {
    /// By `close`: FIN, if it has not gone yet.
    Background,
    /// By reset.
    Reset,
    /// It is handed back.
    HandBack,
    /// It is somebody else's by now.
    Never,
}

/// How a socket comes into the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// From a listener: its accept callback is due.
    Accepted,
    Connected,
    /// Its connect is to be started.
    Unconnected,
    /// It is being connected elsewhere, to a host.
    ByHost,
    /// It is one of datagrams, connected or not.
    Datagram,
}

/// What kind of socket it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A stream of the internet.
    Internet,
    /// A stream within the machine.
    Unix,
    Datagram,
}

/// What the worker is to do in the operating system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    StartConnect,
    StartRecv,
    StartSend,
    StartRecvFrom,
    StartSendTo,
    CancelRecv,
    CancelSend,
    CancelConnect,
    ShutdownSend,
}

/// A callback that is due.
#[derive(Debug)]
pub(crate) enum Event<W> {
    /// The accept callback of a new connection.
    Accept,
    Connected,
    /// A recv's; no bytes are the peer's FIN. An error is that of the recv alone.
    Recv(Result<ReadBuffer, Error>),
    /// That of a datagram socket; no bytes are a datagram of none.
    Datagram(Result<ReadBuffer, Error>),
    Sent(NodeRef<W>),
    /// The bytes queued have become many, or few again.
    Watermark(Watermark),
    /// The timer's.
    Timer(Result<(), Error>),
    Farewell,
}

/// The state machine of a socket.
#[derive(Debug)]
pub(crate) struct Machine<W> {
    sends: SendQueue<W>,
    /// The bytes of a recv that is `Ready` (none: the FIN); else what the handler has lent back (none: nothing).
    buffer: ReadBuffer,
    fate: Fate,
    /// The callback of a recv that is due comes after so many done sends have been reported.
    recv_after_sends: u32,
    recv: RecvState,
    /// Why the recv is to end alone, or has.
    recv_stop: Option<Stop>,
    timer: Timer,
    phase: Phase,
    connect: Connect,
    fin: Fin,
    close: Close,
    kind: Kind,
    peer_fin: bool,
    /// A graceful close has begun: what is received is for nobody.
    discarding: bool,
    /// How many intervals have passed in which a recv was outstanding and no byte moved.
    quiet_intervals: u8,
    pub(crate) io: SocketIo,
}

impl<W> Machine<W> {
    /// A socket's machine.
    pub(crate) const fn new(origin: Origin, internet: bool) -> Machine<W> {
        let connect = match origin {
            Origin::Accepted | Origin::Connected | Origin::Datagram => Connect::Over,
            Origin::Unconnected => Connect::Wanted,
            Origin::ByHost => Connect::Elsewhere,
        };
        Machine {
            sends: match origin {
                Origin::Accepted | Origin::Connected => SendQueue::new(),
                Origin::Unconnected | Origin::ByHost => SendQueue::held(),
                Origin::Datagram => SendQueue::of_datagrams(),
            },
            buffer: ReadBuffer::empty(),
            fate: Fate::GoesOn(Limit::NONE),
            recv_after_sends: 0,
            recv: RecvState::Idle,
            recv_stop: None,
            timer: Timer::Idle,
            phase: if matches!(origin, Origin::Accepted) { Phase::Arriving } else { Phase::Open },
            connect,
            fin: Fin::NotWanted,
            close: Close::Background,
            kind: Kind::of(origin, internet),
            peer_fin: false,
            discarding: false,
            quiet_intervals: 0,
            io: SocketIo { flags: 0 },
        }
    }

    // ---- issue calls, after their claims ----

    /// A recv was claimed. What was lent is released.
    pub(crate) fn issue_recv(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        assert!(self.recv == RecvState::Idle, "a recv claimed twice");
        self.buffer = ReadBuffer::empty();
        self.recv = RecvState::Wanted;
        self.recv_stop = None;
    }

    /// The recv is to end alone, unless it ends by itself before.
    pub(crate) fn stop_recv(&mut self, why: Stop) {
        if self.phase != Phase::Open {
            return;
        }
        match self.recv {
            RecvState::Wanted => {
                self.recv_stop = Some(why);
                self.recv_is_due(RecvState::Stopped);
            }
            RecvState::Pending => {
                self.recv_stop = Some(why);
                self.recv = RecvState::Unwanted;
            }
            _ => {}
        }
    }

    fn recv_is_due(&mut self, state: RecvState) {
        self.recv = state;
        self.quiet_intervals = 0;
        self.recv_after_sends = self.sends.done();
    }

    /// A send was claimed. One that arrives when the socket is ending is reported as cancelled.
    pub(crate) fn issue_send(&mut self, node: NodeRef<W>) {
        assert!(self.phase != Phase::Ended, "a send claimed after the end");
        self.sends.push(node);
    }

    /// So many bytes are queued now.
    pub(crate) fn weigh(&mut self, queued_bytes: u32, marks: Marks) {
        self.sends.weigh(queued_bytes, marks);
    }

    /// Whether a mark is crossed, and more sends may come.
    fn tells_watermark(&self) -> bool {
        self.sends.crosses_mark() && self.phase == Phase::Open && self.fin == Fin::NotWanted
    }

    /// The sends that `which` picks are to end alone, unless they end by themselves before; how many they are.
    pub(crate) fn cancel_sends(&mut self, mut which: impl FnMut(&W) -> bool) -> usize {
        self.sends.end_early(ErrorCode::Cancelled.into(), |send, _| which(&send.write))
    }

    /// The connect is to end the socket, unless it succeeds before.
    pub(crate) fn cancel_connect(&mut self) {
        match self.connect {
            _ if planted!(ConnectCancelForgotten) => {}
            Connect::Wanted | Connect::Elsewhere => self.connect_called_off(),
            Connect::Pending => self.connect = Connect::Unwanted,
            _ => {}
        }
    }

    /// By reset, for the reason of [`connect_timed_out`](Machine::connect_timed_out).
    fn connect_called_off(&mut self) {
        self.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    }

    /// The timer was claimed.
    pub(crate) fn issue_timer(&mut self) {
        assert!(self.timer == Timer::Idle, "a timer claimed twice");
        self.timer = Timer::Running;
    }

    pub(crate) fn cancel_timer(&mut self) {
        if self.timer == Timer::Running {
            self.timer = Timer::Cancelled;
        }
    }

    /// The timer's time has passed.
    pub(crate) fn timer_passed(&mut self) {
        if self.timer == Timer::Running {
            self.timer = Timer::Passed;
        }
    }

    pub(crate) fn shutdown_send(&mut self) {
        if self.fin == Fin::NotWanted {
            self.fin = Fin::Wanted;
        }
    }

    /// Closes gracefully; true if the linger limit starts to run.
    pub(crate) fn close(&mut self) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.phase = Phase::Closing;
        self.discarding = true;
        self.shutdown_send();
        true
    }

    /// Ends the socket for a cause (`None`: none, all is well), if it is not ending already.
    pub(crate) fn end(&mut self, reason: Option<Error>, close: Close) {
        if matches!(self.phase, Phase::Open | Phase::Closing) {
            self.phase = Phase::Ending;
            self.fate = Fate::Ends(reason);
            self.close = close;
        }
    }

    /// The error of an operation that failed. The system gives a reset to one operation only, be it a part of one whose
    /// other part was sent; to the next send of an internet socket the same reset is EPIPE.
    fn cause(&self, os: i32) -> Error {
        let error = Error::from_os(os);
        let is_reset = self.kind == Kind::Internet && error.code() == ErrorCode::BrokenPipe;
        if is_reset { Error::with_os(ErrorCode::Reset, os) } else { error }
    }

    /// The number has become another socket's: whatever the ending under way, nothing may be closed or handed back. An ending
    /// in which all was well says so.
    pub(crate) fn end_foreign(&mut self) {
        self.end(Some(ErrorCode::ForeignClose.into()), Close::Never);
        self.close = Close::Never;
        if self.fate == Fate::Ends(None) && !planted!(RemovalLies) {
            self.fate = Fate::Ends(Some(ErrorCode::ForeignClose.into()));
        }
    }

    /// Keeps a buffer until the next recv is issued or the farewell has returned.
    pub(crate) fn lend(&mut self, buffer: ReadBuffer) {
        if self.recv != RecvState::Ready {
            self.buffer = buffer;
        }
    }

    /// Takes back what was lent.
    pub(crate) fn take_lent(&mut self) -> Option<ReadBuffer> {
        let lent = !self.buffer.is_empty() && self.recv != RecvState::Ready;
        lent.then(|| self.take_buffer())
    }

    fn take_buffer(&mut self) -> ReadBuffer {
        std::mem::replace(&mut self.buffer, ReadBuffer::empty())
    }

    // ---- completions ----

    /// The kernel's connect has ended.
    pub(crate) fn connect_ended(&mut self, result: Result<(), Failure>) {
        assert!(self.connect_is_in_kernel(), "a completion of no connect");
        let called_off = self.connect != Connect::Pending;
        self.connect = if called_off || self.is_ending() { Connect::Over } else { Connect::Wanted };
        match result {
            // Also when it was cancelled or the socket is ending: it was connected before that took effect, and is told.
            Ok(()) => self.succeed(),
            Err(Failure::Again | Failure::NoBuffer | Failure::Shortage | Failure::Cancelled) => {
                if called_off {
                    self.connect_called_off();
                }
            }
            Err(Failure::Os(os)) => {
                self.connect = Connect::Over;
                self.end(Some(Error::from_os(os)), Close::Background);
            }
            Err(Failure::File(_) | Failure::FileEnded) => unreachable!("a connect reads no file"),
        }
    }

    fn succeed(&mut self) {
        self.connect = if planted!(ConnectUntold) { Connect::Over } else { Connect::Ready };
        self.sends.begin();
        if self.phase == Phase::Open {
            self.set_watch(Limit::NONE);
        }
    }

    /// Whether it waits for a connection to a host.
    pub(crate) fn awaits_host(&self) -> bool {
        self.connect == Connect::Elsewhere && !self.is_ending()
    }

    /// What it has waited for: it has a connected socket now, or never will.
    pub(crate) fn host_ended(&mut self, result: Result<(), Error>) {
        assert!(self.awaits_host(), "a connection to no host");
        match result {
            Ok(()) => self.succeed(),
            Err(error) => {
                self.connect = Connect::Over;
                self.end(Some(error), Close::Background);
            }
        }
    }

    fn connect_is_in_kernel(&self) -> bool {
        matches!(self.connect, Connect::Pending | Connect::Unwanted | Connect::Cancelling)
    }

    /// The kernel's recv has ended.
    pub(crate) fn recv_ended(&mut self, result: Result<ReadBuffer, Failure>) {
        assert!(self.recv_is_in_kernel(), "a completion of no recv");
        if self.is_datagram() {
            return self.recv_from_ended(result);
        }
        if result.is_ok() {
            self.quiet_intervals = 0;
        }
        self.recv = if self.is_ending() { RecvState::Idle } else { RecvState::Wanted };
        match result {
            // Even when the socket is ending: the bytes were received before the cancel took effect, and nothing is lost. (An
            // end of input is not lost: it stays, or it is that of the failure.)
            Ok(_) if planted!(RecvDroppedAtTheEnd) && self.is_ending() => {}
            Err(Failure::Cancelled) if planted!(CancelIsFin) => self.recv_is_due(RecvState::Ready),
            Ok(buffer) if !(self.discarding || self.is_ending() && buffer.is_empty()) => {
                self.peer_fin = buffer.is_empty();
                self.buffer = buffer;
                self.recv_is_due(RecvState::Ready);
            }
            Ok(buffer) if buffer.is_empty() => {
                // Nothing more will come to be discarded.
                self.peer_fin = true;
                self.recv = RecvState::Idle;
            }
            Ok(_) => {}
            Err(Failure::Again | Failure::NoBuffer | Failure::Shortage | Failure::Cancelled) => {
                if self.phase == Phase::Open && self.recv_stop.is_some() {
                    self.recv_is_due(RecvState::Stopped);
                }
            }
            Err(Failure::Os(os)) => {
                self.recv = RecvState::Idle;
                self.end(Some(self.cause(os)), Close::Background);
            }
            Err(Failure::File(_) | Failure::FileEnded) => unreachable!("a recv reads no file"),
        }
    }

    fn recv_is_in_kernel(&self) -> bool {
        matches!(self.recv, RecvState::Pending | RecvState::Unwanted | RecvState::Cancelling)
    }

    /// Readiness: operations that wait are to be started again, if their direction is ready.
    pub(crate) fn ready(&mut self, readable: bool, writable: bool) {
        self.io.note_ready(readable, writable);
        if readable && self.recv_is_in_kernel() {
            self.recv_ended(Err(Failure::Again));
        }
        if writable && self.connect_is_in_kernel() {
            self.connect_ended(Err(Failure::Again));
        }
        if writable && self.sends.is_in_kernel() {
            self.send_ended(Err(Failure::Again));
        }
    }

    /// The kernel's send has ended. Returns how many sends are done by it.
    pub(crate) fn send_ended(&mut self, result: Result<usize, Failure>) -> u32 {
        if self.is_datagram() {
            return self.send_to_ended(result);
        }
        let bytes = *result.as_ref().unwrap_or(&0);
        if bytes != 0 {
            self.quiet_intervals = 0;
        }
        let ending = result.err().and_then(|failure| self.ending_of_send(failure));
        let finished = self.sends.complete(bytes);
        if result == Err(Failure::Shortage) {
            self.sends.pause();
        }
        if let (Some((error, close)), false) = (ending, self.is_ending()) {
            self.end(Some(error), close);
            self.sends.fail(error);
        }
        finished
    }

    /// How a send that failed ends the socket, if it does. Behind a file that does not go to its end nothing may follow, not even
    /// the end of the connection in order: its peer would take what it has for all.
    fn ending_of_send(&self, failure: Failure) -> Option<(Error, Close)> {
        match failure {
            Failure::Os(os) if self.sends.is_at_file() => Some((self.cause(os), Close::Reset)),
            Failure::Os(os) => Some((self.cause(os), Close::Background)),
            // It was to end already: what the file is like does not matter any more.
            Failure::File(_) | Failure::FileEnded if self.sends.is_being_cut() => None,
            Failure::File(os) => Some((Error::from_os(os), Close::Reset)),
            Failure::FileEnded if planted!(FileEndsInOrder) => {
                Some((ErrorCode::FileTooShort.into(), Close::Background))
            }
            Failure::FileEnded => Some((ErrorCode::FileTooShort.into(), Close::Reset)),
            Failure::Again | Failure::NoBuffer | Failure::Shortage | Failure::Cancelled => None,
        }
    }

    /// A part of a file has gone at once: if more of one is to come, no send is started before
    /// [`go_on_sending`](Machine::go_on_sending). Whether that is so.
    pub(crate) fn rest_from_sending(&mut self) -> bool {
        let rests = self.sends.is_at_file();
        if rests {
            self.sends.pause();
        }
        rests
    }

    /// Sends go on after a rest, in their turn among other sockets' work. Whether there are any.
    pub(crate) fn go_on_sending(&mut self) -> bool {
        self.sends.resume() && self.sends.can_start()
    }

    /// There may be memory again, which the kernel has refused to a recv or a send. True if an operation waits for it.
    pub(crate) fn shortage_over(&mut self) -> bool {
        self.sends.resume() || self.wants_recv() || self.wants_connect()
    }

    /// One more interval has passed; after more than `limit` without progress the socket has been idle too long. Whether that has
    /// ended it.
    pub(crate) fn interval_passed(&mut self, limit: u8) -> bool {
        self.quiet_intervals = if self.awaits_input() { self.quiet_intervals + 1 } else { 0 };
        let quiet = self.sends.interval_passed().max(self.quiet_intervals) > limit;
        let ends = quiet && self.phase == Phase::Open && !planted!(IdleForEver);
        if ends {
            self.end(Some(ErrorCode::TimedOut.into()), Close::Reset);
        }
        ends
    }

    /// The limit of the connect is reached. By reset, since it may be connected yet: its peer is to see no end of what it was never
    /// sent.
    pub(crate) fn connect_timed_out(&mut self) {
        if !self.is_connected() && !planted!(ConnectForEver) {
            self.end(Some(ErrorCode::TimedOut.into()), Close::Reset);
        }
    }

    /// The linger limit is reached. Whether that has ended it.
    pub(crate) fn linger_ended(&mut self) -> bool {
        let ends = self.phase == Phase::Closing;
        if ends {
            self.end(Some(ErrorCode::TimedOut.into()), Close::Reset);
        }
        ends
    }

    // ---- what is to be done ----

    /// Where a send is started from: the backend's bits, and what is to be sent.
    pub(crate) fn start_send(&mut self) -> (&mut SocketIo, Work<'_, impl Iterator<Item = &[u8]>>) {
        (&mut self.io, self.sends.start())
    }

    /// What to do next in the operating system, if anything. `in_transit`: a claim is on its way here. An answer counts
    /// as done, but for what [`recv_ended`](Machine::recv_ended) and [`send_ended`](Machine::send_ended) tell.
    pub(crate) fn next_step(&mut self, in_transit: bool) -> Option<Step> {
        match self.phase {
            Phase::Arriving => None,
            Phase::Open | Phase::Closing => self.next_open_step(in_transit),
            Phase::Ending | Phase::Ended | Phase::Gone => self.next_ending_step(in_transit),
        }
    }

    fn next_open_step(&mut self, in_transit: bool) -> Option<Step> {
        if self.recv == RecvState::Unwanted {
            self.recv = RecvState::Cancelling;
            return Some(Step::CancelRecv);
        }
        if self.sends.start_cut() {
            return Some(Step::CancelSend);
        }
        if self.is_datagram() {
            return self.next_datagram_step(in_transit);
        }
        if self.connect == Connect::Unwanted {
            self.connect = Connect::Cancelling;
            return Some(Step::CancelConnect);
        }
        // A connect is waited for only to send what was issued before the close, some of which may come after it.
        let in_vain = self.phase == Phase::Closing && self.sends.is_flushed() && !in_transit;
        if in_vain && !self.is_connected() {
            self.end(None, Close::Background);
            return self.next_ending_step(in_transit);
        }
        if self.connect == Connect::Wanted {
            self.connect = Connect::Pending;
            return Some(Step::StartConnect);
        }
        if !self.is_connected() {
            return None;
        }
        if self.sends.can_start() {
            return Some(Step::StartSend);
        }
        if self.fin == Fin::Wanted && (self.sends.is_flushed() && !in_transit || planted!(FinBeforeSends)) {
            self.fin = Fin::Sent;
            return Some(Step::ShutdownSend);
        }
        // While closing, input is read without being asked for: a peer that waits for us to read would not read either.
        let wanted = self.recv == RecvState::Wanted || self.discarding && self.recv == RecvState::Idle;
        if wanted && !self.peer_fin {
            self.recv = RecvState::Pending;
            return Some(Step::StartRecv);
        }
        if self.phase == Phase::Closing && self.fin == Fin::Sent && self.peer_fin {
            self.end(None, Close::Background);
            return self.next_ending_step(in_transit);
        }
        None
    }

    fn next_ending_step(&mut self, in_transit: bool) -> Option<Step> {
        match self.connect {
            Connect::Wanted | Connect::Elsewhere => self.connect = Connect::Over,
            Connect::Pending | Connect::Unwanted => {
                self.connect = Connect::Cancelling;
                return Some(Step::CancelConnect);
            }
            Connect::Over | Connect::Cancelling | Connect::Ready => {}
        }
        match self.recv {
            RecvState::Wanted => self.recv = RecvState::Idle,
            RecvState::Pending | RecvState::Unwanted => {
                self.recv = RecvState::Cancelling;
                return Some(Step::CancelRecv);
            }
            RecvState::Idle | RecvState::Cancelling | RecvState::Ready | RecvState::Stopped => {}
        }
        if self.sends.start_cancel() {
            return Some(Step::CancelSend);
        }
        if self.recv == RecvState::Cancelling || self.connect == Connect::Cancelling || self.sends.is_in_kernel() {
            return None;
        }
        if !planted!(TimerForgotten) {
            self.cancel_timer();
        }
        if !self.sends.is_flushed() {
            self.sends.fail(ErrorCode::Cancelled.into());
        }
        if !in_transit {
            self.phase = Phase::Ended;
        }
        None
    }

    /// The next callback that is due, if any. The farewell is answered for ever once it is due.
    pub(crate) fn next_event(&mut self) -> Option<Event<W>> {
        if self.phase == Phase::Arriving {
            self.phase = Phase::Open;
            return Some(Event::Accept);
        }
        if self.connect == Connect::Ready {
            self.connect = Connect::Over;
            return Some(Event::Connected);
        }
        // Before the sends that made it so: their callbacks may only make the bytes fewer.
        if self.tells_watermark() {
            return Some(Event::Watermark(self.sends.cross_mark()));
        }
        if planted!(FarewellBeforeSends) && self.phase == Phase::Ended {
            return Some(Event::Farewell);
        }
        match self.recv {
            RecvState::Ready | RecvState::Stopped if self.recv_after_sends != 0 => self.recv_after_sends -= 1,
            RecvState::Ready => {
                self.recv = RecvState::Idle;
                let received = Ok(self.take_buffer());
                return Some(self.recv_event(received));
            }
            RecvState::Stopped => {
                self.recv = RecvState::Idle;
                let code = self.recv_stop.map_or(ErrorCode::Cancelled, Stop::code);
                return Some(self.recv_event(Err(code.into())));
            }
            _ => {}
        }
        match std::mem::replace(&mut self.timer, Timer::Idle) {
            Timer::Passed => return Some(Event::Timer(Ok(()))),
            Timer::Cancelled => return Some(Event::Timer(Err(ErrorCode::Cancelled.into()))),
            running => self.timer = running,
        }
        if let Some(node) = self.sends.take_done() {
            return Some(Event::Sent(node));
        }
        (self.phase == Phase::Ended).then_some(Event::Farewell)
    }

    fn recv_event(&self, received: Result<ReadBuffer, Error>) -> Event<W> {
        if self.is_datagram() { Event::Datagram(received) } else { Event::Recv(received) }
    }

    /// Whether a callback is due.
    pub(crate) fn has_event(&self) -> bool {
        self.events_due() != 0
    }

    /// How many callbacks are due.
    pub(crate) fn events_due(&self) -> usize {
        let recv = matches!(self.recv, RecvState::Ready | RecvState::Stopped);
        let timer = matches!(self.timer, Timer::Passed | Timer::Cancelled);
        let end = matches!(self.phase, Phase::Arriving | Phase::Ended);
        let connect = self.connect == Connect::Ready;
        let others = [recv, timer, end, connect, self.tells_watermark()];
        self.sends.done() as usize + others.into_iter().map(usize::from).sum::<usize>()
    }

    // ---- what the worker asks ----

    /// Whether the socket has begun to end (a graceful close has not).
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Ended | Phase::Gone)
    }

    /// Whether a graceful close has begun, whatever has become of it.
    pub(crate) fn has_closed(&self) -> bool {
        self.discarding
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.kind == Kind::Datagram
    }

    /// Whether an operation is outstanding, which the peer's idleness may end. A datagram socket has no peer.
    pub(crate) fn awaits_peer(&self) -> bool {
        self.phase == Phase::Open
            && !self.is_datagram()
            && self.is_connected()
            && (self.awaits_input() || !self.sends.is_flushed())
    }

    /// Whether it waits for its peer to begin something: a recv is outstanding, and nothing else. A datagram socket does whenever
    /// it has nothing to send.
    pub(crate) fn is_idle(&self) -> bool {
        let says_nothing = self.sends.is_flushed() && self.fin == Fin::NotWanted;
        let awaits_input = self.awaits_input() || self.is_datagram();
        self.phase == Phase::Open && self.is_connected() && awaits_input && says_nothing && !self.has_event()
    }

    fn awaits_input(&self) -> bool {
        matches!(self.recv, RecvState::Wanted | RecvState::Pending)
    }

    /// Whether a recv is outstanding that its time limit may end.
    pub(crate) fn recv_may_time_out(&self) -> bool {
        self.phase == Phase::Open && self.awaits_input()
    }

    pub(crate) fn timer_is_idle(&self) -> bool {
        self.timer == Timer::Idle
    }

    pub(crate) fn timer_runs(&self) -> bool {
        self.timer == Timer::Running
    }

    /// The first time limit of a send that waits, or a moment before it.
    pub(crate) fn first_send_limit(&self) -> Limit {
        self.sends.first_limit()
    }

    /// The delays of sends that have not begun run from now on.
    pub(crate) fn begin_send_limits(&mut self, now: Moment) {
        self.sends.begin_limits(now);
    }

    /// Sends whose limit is over are to end alone, unless they end by themselves before.
    pub(crate) fn time_out_sends(&mut self, now: Moment) {
        if matches!(self.phase, Phase::Open | Phase::Closing) {
            self.sends.time_out(now);
        }
    }

    /// Whether an end of input may in truth be a reset that a send has been told of, and told nobody.
    pub(crate) fn may_hide_a_reset(&self) -> bool {
        self.kind == Kind::Internet && self.fin != Fin::Sent
    }

    /// Whether it has been connected, or came so.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.connect, Connect::Over | Connect::Ready)
    }

    /// Whether a connect waits to be started.
    pub(crate) fn wants_connect(&self) -> bool {
        self.connect == Connect::Wanted
    }

    /// Whether a recv waits to be started.
    pub(crate) fn wants_recv(&self) -> bool {
        self.recv == RecvState::Wanted
    }

    /// The farewell's reason, and what becomes of the descriptor.
    pub(crate) fn ending(&self) -> (Result<(), Error>, Close) {
        let Fate::Ends(Some(reason)) = self.fate else { return (Ok(()), self.close) };
        if planted!(AbortIsSuccess) && reason.code() == ErrorCode::Cancelled {
            return (Ok(()), self.close);
        }
        (Err(reason), self.close)
    }

    /// When the worker is to look at the socket, as it has asked for; none once the socket ends.
    pub(crate) fn watch(&self) -> Limit {
        match self.fate {
            Fate::GoesOn(limit) => limit,
            Fate::Ends(_) => Limit::NONE,
        }
    }

    pub(crate) fn set_watch(&mut self, limit: Limit) {
        if let Fate::GoesOn(watch) = &mut self.fate {
            *watch = limit;
        }
    }

    /// The farewell has returned: what was kept goes.
    pub(crate) fn leave(&mut self) {
        *self = Machine { phase: Phase::Gone, ..Machine::new(Origin::Connected, false) };
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }
}

#[cfg(test)]
mod tests;
