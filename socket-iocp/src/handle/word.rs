//! A slot's word: its generation, what is outstanding, and how it is ending, in one atomic.
//!
//! An issue call claims its operation by one compare-and-swap here, from any thread. The claim is what makes "exactly
//! one completion" hold: it is granted only while the socket lives, and a slot is not used again before every claim
//! that was granted has reached the worker and been reported.

use super::atomic::{AtomicU64, Ordering};
use crate::planted::planted;
use crate::{Error, ErrorCode};

const RECV: u64 = 1 << 32;
const SYNC_SEND: u64 = 1 << 33;
const EOF: u64 = 1 << 34;
const SHUTDOWN: u64 = 1 << 35;
const CLOSE: u64 = 1 << 36;
const ABORT: u64 = 1 << 37;
const REMOVE: u64 = 1 << 38;
/// The number has become another socket's; see `table.rs`.
const FOREIGN: u64 = 1 << 39;
/// The worker has ended the socket: a failure, a panic, the port's deletion, or the ending called for has begun.
const ENDED: u64 = 1 << 40;
const LIVE: u64 = 1 << 41;
/// The farewell has begun: not even a control request is granted.
const FAREWELL: u64 = 1 << 42;
/// The slot's control link is on its way to the worker.
const CONTROL_QUEUED: u64 = 1 << 43;
/// The socket's timer is outstanding.
const TIMER: u64 = 1 << 44;
/// The recv outstanding is to be cancelled.
const CANCEL_RECV: u64 = 1 << 45;
/// The timer outstanding is to be cancelled.
const CANCEL_TIMER: u64 = 1 << 46;
/// Messages about this slot on their way to the worker, counted from this bit up.
const TRANSIT: u64 = 1 << 47;
const MAX_TRANSIT: u64 = u64::MAX >> 47;

const ENDING: u64 = CLOSE | ABORT | REMOVE | FOREIGN | ENDED;

/// What a control call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    ShutdownSend,
    Close,
    Abort,
    Remove,
    ForeignClose,
    CancelRecv,
    CancelTimer,
}

/// The control requests that stand in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Requests {
    pub(crate) shutdown: bool,
    pub(crate) close: bool,
    pub(crate) abort: bool,
    pub(crate) remove: bool,
    pub(crate) foreign: bool,
    pub(crate) cancel_recv: bool,
    pub(crate) cancel_timer: bool,
}

/// Who claims: a call on the socket's own worker applies its claim at once; a foreign one sends it through the inbox,
/// and the claim counts as in transit until the worker has taken it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claimer {
    Local,
    Foreign,
}

#[derive(Debug)]
pub(crate) struct Word(AtomicU64);

impl Word {
    /// The word of a vacant slot whose next generation is 1.
    pub(crate) fn vacant() -> Word {
        Word(AtomicU64::new(0))
    }

    /// The generation of the socket that lives here.
    pub(crate) fn generation(&self) -> u32 {
        self.0.load(Ordering::Relaxed) as u32
    }

    /// Whether the socket of this generation lives.
    pub(crate) fn is_live(&self, generation: u32) -> bool {
        let word = self.0.load(Ordering::Acquire);
        word as u32 == generation && word & LIVE != 0
    }

    /// Whether the socket of this generation lives and has not begun its farewell, in which its handle is dead.
    pub(crate) fn is_before_farewell(&self, generation: u32) -> bool {
        let word = self.0.load(Ordering::Acquire);
        word as u32 == generation && word & (LIVE | FAREWELL) == LIVE
    }

    /// Whether any socket lives here.
    pub(crate) fn is_occupied(&self) -> bool {
        self.0.load(Ordering::Acquire) & LIVE != 0
    }

    /// Makes a vacant slot live under the next generation, which is returned. `Claimer::Foreign`: its arrival has to
    /// travel to the worker, by the recv's link; so the recv is claimed until then. Only the slot's one allocator calls
    /// it.
    pub(crate) fn bring_to_life(&self, claimer: Claimer) -> u32 {
        let generation = (self.0.load(Ordering::Relaxed) as u32) + 1;
        let arriving = if claimer == Claimer::Foreign { TRANSIT | RECV } else { 0 };
        self.0.store(u64::from(generation) | LIVE | arriving, Ordering::Release);
        generation
    }

    /// Makes the slot vacant. Every claim has been reported by now.
    pub(crate) fn retire(&self) {
        let word = self.0.load(Ordering::Acquire);
        assert!(
            word & (RECV | SYNC_SEND | TIMER) == 0 && word / TRANSIT == 0,
            "a slot retired with a claim outstanding"
        );
        self.0.store(word & u64::from(u32::MAX), Ordering::Release);
    }

    fn claim(&self, generation: u32, mut grant: impl FnMut(u64) -> Result<u64, ErrorCode>) -> Result<u64, Error> {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if word as u32 != generation && !planted!(GenerationIgnored) || word & LIVE == 0 {
                return Err(ErrorCode::Closed.into());
            }
            let granted = grant(word)?;
            match self.0.compare_exchange_weak(word, granted, Ordering::AcqRel, Ordering::Acquire) {
                Ok(before) => return Ok(before),
                Err(now) => word = now,
            }
        }
    }

    /// Claims the socket's one recv.
    pub(crate) fn claim_recv(&self, generation: u32, claimer: Claimer) -> Result<(), Error> {
        let grant = |word| match word {
            _ if word & ENDING != 0 => Err(ErrorCode::Closed),
            _ if word & RECV != 0 && !planted!(RecvTwice) => Err(ErrorCode::Busy),
            _ if word & EOF != 0 => Err(ErrorCode::Eof),
            _ => in_transit(word | RECV, claimer),
        };
        self.claim(generation, grant).map(drop)
    }

    /// Claims the socket's one sync send.
    pub(crate) fn claim_sync_send(&self, generation: u32, claimer: Claimer) -> Result<(), Error> {
        let grant = |word| match word {
            _ if word & ENDING != 0 => Err(ErrorCode::Closed),
            _ if word & SHUTDOWN != 0 => Err(ErrorCode::Shutdown),
            _ if word & SYNC_SEND != 0 => Err(ErrorCode::Busy),
            _ => in_transit(word | SYNC_SEND, claimer),
        };
        self.claim(generation, grant).map(drop)
    }

    /// Claims an async send.
    pub(crate) fn claim_async_send(&self, generation: u32, claimer: Claimer) -> Result<(), Error> {
        let grant = |word| match word {
            _ if word & ENDING != 0 => Err(ErrorCode::Closed),
            _ if word & SHUTDOWN != 0 => Err(ErrorCode::Shutdown),
            _ => in_transit(word, claimer),
        };
        if claimer == Claimer::Foreign {
            return self.claim(generation, grant).map(drop);
        }
        // Nothing to write: on the worker itself nothing can end the socket between this look and the use of it.
        let word = self.0.load(Ordering::Acquire);
        if word as u32 != generation || word & LIVE == 0 {
            return Err(ErrorCode::Closed.into());
        }
        grant(word).map(drop).map_err(Error::from)
    }

    /// Claims a look through the sends that are outstanding.
    pub(crate) fn claim_look(&self, generation: u32, claimer: Claimer) -> Result<(), Error> {
        let grant = |word| match word {
            _ if word & ENDING != 0 => Err(ErrorCode::Closed),
            _ => in_transit(word, claimer),
        };
        self.claim(generation, grant).map(drop)
    }

    /// Claims the socket's one timer. A foreign caller then writes down what it is issued with, and calls
    /// [`queue_timer`](Word::queue_timer).
    pub(crate) fn claim_timer(&self, generation: u32, claimer: Claimer) -> Result<(), Error> {
        let grant = |word| match word {
            _ if word & ENDING != 0 => Err(ErrorCode::Closed),
            _ if word & TIMER != 0 => Err(ErrorCode::Busy),
            _ => in_transit(word | TIMER, claimer),
        };
        self.claim(generation, grant).map(drop)
    }

    /// A foreign caller has written down what its timer is issued with, and the worker is to hear of it. True: the caller has
    /// to send the slot's control link; false: it is on its way already, and its arrival comes after this.
    pub(crate) fn queue_timer(&self) -> bool {
        let queue = |word| if word & CONTROL_QUEUED == 0 { word | CONTROL_QUEUED } else { word - TRANSIT };
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| Some(queue(word)));
        before.is_ok_and(|word| word & CONTROL_QUEUED == 0)
    }

    /// Asks for a half-close, a cancel or an ending. True: the caller has to send the slot's control link to the worker; false:
    /// the caller is the worker, or the link is on its way already.
    pub(crate) fn claim_control(&self, generation: u32, control: Control, claimer: Claimer) -> Result<bool, Error> {
        let (refused, needed, bit) = match control {
            Control::ShutdownSend => (ENDING, 0, SHUTDOWN),
            Control::Close => (ENDING, 0, CLOSE),
            Control::Remove => (ENDING, 0, REMOVE),
            Control::Abort => (ENDING & !CLOSE, 0, ABORT),
            Control::ForeignClose => (FOREIGN, 0, FOREIGN),
            Control::CancelRecv => (ENDING, RECV, CANCEL_RECV),
            Control::CancelTimer => (ENDING, TIMER, CANCEL_TIMER),
        };
        let before = self.claim(generation, |word| match word {
            _ if word & (refused | FAREWELL) != 0 => Err(ErrorCode::Closed),
            _ if word & needed != needed => Err(ErrorCode::NotOutstanding),
            _ if word & bit != 0 && needed == 0 => Err(ErrorCode::Shutdown),
            _ if claimer == Claimer::Local || word & CONTROL_QUEUED != 0 => Ok(word | bit),
            _ => in_transit(word | bit | CONTROL_QUEUED, claimer),
        })?;
        Ok(claimer == Claimer::Foreign && before & CONTROL_QUEUED == 0)
    }

    /// The worker has taken a send, or a look through the sends, from its inbox.
    pub(crate) fn arrived(&self) {
        self.0.fetch_sub(TRANSIT, Ordering::AcqRel);
    }

    /// The worker has taken a recv from its inbox. Whether it is to be cancelled by now: that message may have come before.
    pub(crate) fn recv_arrived(&self) -> bool {
        self.0.fetch_sub(TRANSIT, Ordering::AcqRel) & CANCEL_RECV != 0
    }

    /// The worker has taken the arrival of a new socket from its inbox.
    pub(crate) fn accepted_arrived(&self) {
        self.0.fetch_sub(TRANSIT | RECV, Ordering::AcqRel);
    }

    /// The worker has taken the control link from its inbox.
    pub(crate) fn control_arrived(&self) {
        self.0.fetch_sub(TRANSIT | CONTROL_QUEUED, Ordering::AcqRel);
    }

    /// Whether a message about this slot is on its way. Once the socket is ending, no new one can set out.
    pub(crate) fn in_transit(&self) -> bool {
        self.0.load(Ordering::Acquire) / TRANSIT != 0
    }

    /// What has been asked for so far.
    pub(crate) fn requests(&self) -> Requests {
        let word = self.0.load(Ordering::Acquire);
        Requests {
            shutdown: word & SHUTDOWN != 0,
            close: word & CLOSE != 0,
            abort: word & ABORT != 0,
            remove: word & REMOVE != 0,
            foreign: word & FOREIGN != 0,
            cancel_recv: word & CANCEL_RECV != 0,
            cancel_timer: word & CANCEL_TIMER != 0,
        }
    }

    /// The worker ends the socket: no claim is granted from here on.
    pub(crate) fn end(&self) {
        self.0.fetch_or(ENDED, Ordering::AcqRel);
    }

    /// Begins the farewell, unless a message is on its way: then the farewell follows its arrival. From here on nothing
    /// is granted, so nothing can set out any more.
    pub(crate) fn begin_farewell(&self) -> bool {
        let arrived = |word| word / TRANSIT == 0 || planted!(TransitForgotten);
        let begin = |word| arrived(word).then_some(word | ENDED | FAREWELL);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin).is_ok()
    }

    /// The recv's callback is about to be entered; with `eof` no further recv is granted.
    pub(crate) fn recv_reported(&self, eof: bool) {
        if eof && !planted!(EofForgotten) {
            self.0.fetch_or(EOF, Ordering::AcqRel);
        }
        self.0.fetch_and(!(RECV | CANCEL_RECV), Ordering::AcqRel);
    }

    /// The sync send's callback is about to be entered, and its node is free again.
    pub(crate) fn sync_send_reported(&self) {
        self.0.fetch_and(!SYNC_SEND, Ordering::AcqRel);
    }

    /// The timer's callback is about to be entered.
    pub(crate) fn timer_reported(&self) {
        self.0.fetch_and(!(TIMER | CANCEL_TIMER), Ordering::AcqRel);
    }
}

fn in_transit(word: u64, claimer: Claimer) -> Result<u64, ErrorCode> {
    match claimer {
        Claimer::Local => Ok(word),
        Claimer::Foreign if word / TRANSIT == MAX_TRANSIT => Err(ErrorCode::QueueFull),
        Claimer::Foreign => Ok(word + TRANSIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> (Word, u32) {
        let word = Word::vacant();
        let generation = word.bring_to_life(Claimer::Local);
        (word, generation)
    }

    fn code<T>(result: Result<T, Error>) -> Option<ErrorCode> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn one_recv_at_a_time() {
        let (word, generation) = live();
        assert_eq!(word.claim_recv(generation, Claimer::Local), Ok(()));
        assert_eq!(code(word.claim_recv(generation, Claimer::Local)), Some(ErrorCode::Busy));
        word.recv_reported(false);
        assert_eq!(word.claim_recv(generation, Claimer::Local), Ok(()));
        word.recv_reported(true);
        assert_eq!(code(word.claim_recv(generation, Claimer::Local)), Some(ErrorCode::Eof));
    }

    #[test]
    fn a_dead_generation_is_closed() {
        let (word, generation) = live();
        word.retire();
        assert_eq!(code(word.claim_recv(generation, Claimer::Foreign)), Some(ErrorCode::Closed));
        assert_eq!(word.bring_to_life(Claimer::Local), generation + 1);
        assert_eq!(code(word.claim_async_send(generation, Claimer::Local)), Some(ErrorCode::Closed));
        assert_eq!(word.claim_async_send(generation + 1, Claimer::Local), Ok(()));
    }

    #[test]
    fn abort_overrides_close_and_nothing_else_does() {
        let (word, generation) = live();
        assert_eq!(word.claim_control(generation, Control::Close, Claimer::Foreign), Ok(true));
        assert_eq!(code(word.claim_control(generation, Control::Close, Claimer::Foreign)), Some(ErrorCode::Closed));
        assert_eq!(code(word.claim_control(generation, Control::Remove, Claimer::Foreign)), Some(ErrorCode::Closed));
        assert_eq!(word.claim_control(generation, Control::Abort, Claimer::Foreign), Ok(false));
        assert_eq!(code(word.claim_control(generation, Control::Abort, Claimer::Foreign)), Some(ErrorCode::Closed));
        assert!(word.in_transit());
        word.control_arrived();
        assert!(!word.in_transit());
    }

    #[test]
    fn a_second_shutdown_is_refused() {
        let (word, generation) = live();
        assert_eq!(word.claim_control(generation, Control::ShutdownSend, Claimer::Local), Ok(false));
        let again = word.claim_control(generation, Control::ShutdownSend, Claimer::Local);
        assert_eq!(code(again), Some(ErrorCode::Shutdown));
        assert_eq!(code(word.claim_sync_send(generation, Claimer::Local)), Some(ErrorCode::Shutdown));
        assert_eq!(word.claim_recv(generation, Claimer::Local), Ok(()));
    }

    #[test]
    fn a_farewell_waits_for_messages_and_lets_none_follow() {
        let (word, generation) = live();
        word.claim_control(generation, Control::Close, Claimer::Foreign).expect("granted");
        assert!(!word.begin_farewell());
        word.control_arrived();
        assert!(word.begin_farewell());
        for control in [Control::Abort, Control::ForeignClose, Control::ShutdownSend] {
            assert_eq!(code(word.claim_control(generation, control, Claimer::Foreign)), Some(ErrorCode::Closed));
        }
        assert!(!word.in_transit());
    }

    #[test]
    fn a_cancel_is_of_what_is_outstanding_then() {
        let (word, generation) = live();
        let cancel = |control| code(word.claim_control(generation, control, Claimer::Local));
        assert_eq!(cancel(Control::CancelRecv), Some(ErrorCode::NotOutstanding));
        assert_eq!(cancel(Control::CancelTimer), Some(ErrorCode::NotOutstanding));
        word.claim_recv(generation, Claimer::Local).expect("granted");
        assert_eq!((cancel(Control::CancelRecv), cancel(Control::CancelRecv)), (None, None));
        assert!(word.requests().cancel_recv);
        word.recv_reported(false);
        word.claim_recv(generation, Claimer::Local).expect("granted");
        assert!(!word.requests().cancel_recv, "the next recv is not meant");
    }

    #[test]
    fn a_timer_goes_with_a_message_that_is_on_its_way() {
        let (word, generation) = live();
        word.claim_control(generation, Control::ShutdownSend, Claimer::Foreign).expect("granted");
        word.claim_timer(generation, Claimer::Foreign).expect("granted");
        assert_eq!(code(word.claim_timer(generation, Claimer::Foreign)), Some(ErrorCode::Busy));
        assert!(!word.queue_timer());
        word.control_arrived();
        assert!(!word.in_transit());
        word.timer_reported();
        word.claim_timer(generation, Claimer::Foreign).expect("granted");
        assert!(word.queue_timer() && word.in_transit());
        word.control_arrived();
        assert!(!word.in_transit());
    }

    #[test]
    #[should_panic(expected = "claim outstanding")]
    fn a_slot_with_a_claim_cannot_be_retired() {
        let (word, generation) = live();
        word.claim_async_send(generation, Claimer::Foreign).expect("granted");
        word.retire();
    }
}
