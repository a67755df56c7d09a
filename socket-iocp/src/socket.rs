//! The state machine of one socket: what the contract says, and no system call. Here is what it is made of and what it
//! is fed with; its connect is in `connect.rs`, and what is different of a datagram socket in `datagram.rs`.
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

mod connect;
mod datagram;
mod events;
mod questions;
mod states;
mod steps;

pub(crate) use events::Event;
pub(crate) use states::{Close, Origin, Stop};
pub(crate) use steps::Step;

use crate::buffer::ReadBuffer;
use crate::handle::{Marks, NodeRef};
use crate::planted::planted;
use crate::send_queue::SendQueue;
use crate::sys::{Failure, SocketIo};
use crate::time::{Limit, Moment};
use crate::{Error, ErrorCode};
use states::{Connect, Fate, Fin, Kind, Phase, RecvState, Timer};

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

    /// The sends that `which` picks are to end alone, unless they end by themselves before; how many they are.
    pub(crate) fn cancel_sends(&mut self, mut which: impl FnMut(&W) -> bool) -> usize {
        self.sends.end_early(ErrorCode::Cancelled.into(), |send, _| which(&send.write))
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

    /// The farewell has returned: what was kept goes.
    pub(crate) fn leave(&mut self) {
        *self = Machine { phase: Phase::Gone, ..Machine::new(Origin::Connected, false) };
    }

    // ---- completions ----

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

    // ---- time ----

    /// The timer's time has passed.
    pub(crate) fn timer_passed(&mut self) {
        if self.timer == Timer::Running {
            self.timer = Timer::Passed;
        }
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

    /// The linger limit is reached. Whether that has ended it.
    pub(crate) fn linger_ended(&mut self) -> bool {
        let ends = self.phase == Phase::Closing;
        if ends {
            self.end(Some(ErrorCode::TimedOut.into()), Close::Reset);
        }
        ends
    }

    pub(crate) fn set_watch(&mut self, limit: Limit) {
        if let Fate::GoesOn(watch) = &mut self.fate {
            *watch = limit;
        }
    }
}

#[cfg(test)]
mod tests;
