//! Models of what threads share, run by loom in every interleaving and every order of memory that it knows:
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p socket-iocp --lib models`
//!
//! The mailbox, its inbox, the links and the slot's word are the engine's own. The worker is the loop of `worker/mod.rs`
//! cut down to what it shares with others: it takes its inbox, looks at its flags, and waits for a [`Bell`].
//!
//! What a model says holds within these limits. A thread that could go on is interrupted at most [`INTERRUPTIONS`] times
//! (`LOOM_MAX_PREEMPTIONS` sets another bound). loom's fences order more than those of the language: they also publish,
//! so that nothing is published by a fence alone is shown by ThreadSanitizer (`ci/sanitize`), which knows no fences; and
//! that two fences order what is said of them is proved in `inbox.rs`. loom takes sequentially consistent loads and
//! stores for acquire and release: `closing` needs no more, because of the fences around it.
//!
//! With `--cfg socket_iocp_planted` as well, every bug in [`Bug::OF_SEVERAL_THREADS`](crate::planted::Bug) is found by the
//! model that is for it.

#[cfg(socket_iocp_planted)]
mod planted;

use super::inbox::Message;
use super::link::{Kind, Link};
use super::mailbox::{Mailbox, Wake};
use super::word::{Claimer, Control, Word};
use crate::ErrorCode;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::ptr::NonNull;

/// How often a thread that could go on is interrupted, at most.
const INTERRUPTIONS: usize = 3;

fn model(body: impl Fn() + Sync + Send + 'static) {
    #[cfg(socket_iocp_planted)]
    planted::plant_what_is_asked_for();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(INTERRUPTIONS);
    builder.check(body);
}

/// What ends the worker's wait, as an eventfd does. Waiting in vain is a deadlock, which loom reports.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Wake for Arc<Bell> {
    fn wake(&self) {
        *self.rung.lock().expect("no panic") = true;
        self.rings.notify_one();
    }
}

/// One worker, of a port with one slot.
struct Port {
    mailbox: Mailbox<Arc<Bell>>,
    bell: Arc<Bell>,
    closing: AtomicBool,
    word: Word,
    recv: Link,
    control: Link,
    /// What goes with the recv's message: whose the recv's claim is may write it.
    content: UnsafeCell<u32>,
}

/// What has come out of the inbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Taken {
    Recv,
    Control,
}

impl Port {
    /// With no socket in its slot.
    fn empty() -> Arc<Port> {
        let bell = Arc::new(Bell::default());
        Arc::new(Port {
            mailbox: Mailbox::new(bell.clone()),
            bell,
            closing: AtomicBool::new(false),
            word: Word::vacant(),
            recv: Link::new(Kind::Recv, 0),
            control: Link::new(Kind::Control, 0),
            content: UnsafeCell::new(0),
        })
    }

    /// With a socket in its slot, of generation 1.
    fn new() -> Arc<Port> {
        let port = Port::empty();
        assert_eq!(port.word.bring_to_life(Claimer::Local), 1);
        port
    }

    /// As `Slot::post_recv`; whether it was granted.
    fn post_recv(&self, generation: u32) -> bool {
        let granted = self.word.claim_recv(generation, Claimer::Foreign).is_ok();
        if granted {
            // SAFETY: the claim makes the content the caller's.
            self.content.with_mut(|content| unsafe { *content = generation });
            // SAFETY: the claim makes the link the caller's, and the port lives as long as the model.
            unsafe { self.mailbox.push(NonNull::from(&self.recv)) };
        }
        granted
    }

    /// As `SlotHead::post_control`.
    fn post_control(&self, generation: u32, control: Control) -> bool {
        match self.word.claim_control(generation, control, Claimer::Foreign) {
            // SAFETY: as in `post_recv`.
            Ok(true) => unsafe { self.mailbox.push(NonNull::from(&self.control)) },
            Ok(false) => {}
            Err(_) => return false,
        }
        true
    }

    /// As `Shared::begin_deletion`.
    fn delete(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.mailbox.look();
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// As `Worker::take_inbox`.
    fn take(&self) -> Vec<Taken> {
        let take = |message: Message<()>| match message {
            Message::Recv(0) => {
                // SAFETY: the message brings the claim, and what belongs to it, to the worker.
                self.content.with(|content| assert_eq!(unsafe { *content }, self.word.generation()));
                self.word.arrived();
                Taken::Recv
            }
            Message::Control(0) => {
                self.word.control_arrived();
                Taken::Control
            }
            _ => unreachable!("not sent"),
        };
        self.mailbox.inbox.take().map(take).collect()
    }

    /// As `Worker::wait`. With news it does not block, but takes a wake-up that is there.
    fn wait(&self, winding_up: bool) {
        let has_news = || self.mailbox.has_listener_news() || self.is_closing() && !winding_up;
        let sleeps = self.mailbox.inbox.prepare_to_sleep() && !has_news();
        let mut rung = self.bell.rung.lock().expect("no panic");
        while sleeps && !*rung {
            rung = self.bell.rings.wait(rung).expect("no panic");
        }
        *rung = false;
        drop(rung);
        self.mailbox.inbox.awake();
    }
}

/// A thread that does something with the port.
fn spawn<T: 'static>(port: &Arc<Port>, body: impl FnOnce(&Port) -> T + 'static) -> thread::JoinHandle<T> {
    let port = port.clone();
    thread::spawn(move || body(&port))
}

fn count(taken: &[Taken], what: Taken) -> usize {
    taken.iter().filter(|taken| **taken == what).count()
}

/// Two threads push, in whatever order: the worker hears of both, and what goes with the message has come with it.
#[test]
fn no_wake_up_is_lost() {
    model(|| {
        let port = Port::new();
        let control = spawn(&port, |port| assert!(port.post_control(1, Control::ShutdownSend)));
        let recv = spawn(&port, |port| assert!(port.post_recv(1)));
        let mut taken = port.take();
        while taken.len() < 2 {
            port.wait(false);
            taken.extend(port.take());
        }
        assert_eq!((count(&taken, Taken::Recv), count(&taken, Taken::Control)), (1, 1));
        for poster in [control, recv] {
            poster.join().expect("no panic");
        }
        assert!(port.mailbox.inbox.is_empty() && !port.word.in_transit());
    });
}

/// One thread's messages come in the order in which it sent them, however the worker sleeps in between.
#[test]
fn messages_come_in_order() {
    model(|| {
        let port = Port::new();
        let poster = spawn(&port, |port| assert!(port.post_recv(1) && port.post_control(1, Control::Close)));
        let mut taken = port.take();
        while taken.len() < 2 {
            port.wait(false);
            taken.extend(port.take());
        }
        assert_eq!(taken, [Taken::Recv, Taken::Control]);
        poster.join().expect("no panic");
    });
}

/// A driven port prepares to sleep when its run ends, and again in the next run: its caller is told by the pollable
/// descriptor, which is the bell, and the run that follows may use the wake-up up.
#[test]
fn a_driven_port_is_told_between_its_runs() {
    model(|| {
        let port = Port::new();
        let control = spawn(&port, |port| assert!(port.post_control(1, Control::ShutdownSend)));
        let recv = spawn(&port, |port| assert!(port.post_recv(1)));
        let mut taken = Vec::new();
        while taken.len() < 2 {
            // As `Worker::park`; then the caller polls, and runs.
            if port.mailbox.inbox.prepare_to_sleep() {
                let mut rung = port.bell.rung.lock().expect("no panic");
                while !*rung {
                    rung = port.bell.rings.wait(rung).expect("no panic");
                }
            }
            taken.extend(port.take());
            if taken.len() < 2 {
                port.wait(false);
                taken.extend(port.take());
            }
        }
        for poster in [control, recv] {
            poster.join().expect("no panic");
        }
    });
}

/// A push that has returned is seen by the next take: what the worker issues itself does not overtake it.
#[test]
fn a_push_that_returned_is_seen() {
    model(|| {
        let port = Port::new();
        let returned = Arc::new(AtomicBool::new(false));
        let poster = spawn(&port, {
            let returned = returned.clone();
            move |port| {
                assert!(port.post_recv(1));
                returned.store(true, Ordering::Release);
            }
        });
        let before = returned.load(Ordering::Acquire);
        let taken = port.take().len();
        assert!(!before || taken == 1, "overtaken");
        poster.join().expect("no panic");
        assert_eq!(taken + port.take().len(), 1);
    });
}

/// A claim that was granted arrives before its slot is another socket's; one with a dead handle is refused, and changes
/// nothing.
fn a_slot_is_used_again(control: Control) {
    model(move || {
        let port = Port::new();
        let poster = spawn(&port, move |port| (port.post_recv(1), port.post_control(1, control)));
        let mut taken = port.take();
        port.word.end();
        while !port.word.begin_farewell() {
            taken.extend(port.take());
            thread::yield_now();
        }
        port.word.recv_reported(false);
        port.word.retire();
        assert_eq!(port.word.bring_to_life(Claimer::Local), 2);
        let (recv, control) = poster.join().expect("no panic");
        let came = (count(&taken, Taken::Recv) == 1, count(&taken, Taken::Control) == 1);
        assert_eq!(came, (recv, control), "granted and not arrived, or the other way round");
        assert!(port.mailbox.inbox.is_empty(), "a message for a socket that is gone");
        let requests = port.word.requests();
        assert!(!requests.abort && !requests.foreign, "a dead handle has asked something of the next socket");
        assert!(!port.word.in_transit(), "a dead handle has sent something to the next socket");
        assert!(port.word.claim_recv(2, Claimer::Local).is_ok(), "a dead handle has claimed for the next socket");
    });
}

#[test]
fn a_slot_is_used_again_after_its_last_message() {
    a_slot_is_used_again(Control::Abort);
}

/// The one request that is granted while a socket is ending, until its farewell begins.
#[test]
fn a_slot_is_used_again_after_a_foreign_close() {
    a_slot_is_used_again(Control::ForeignClose);
}

/// A handle is promised before its socket lives: it is refused until then, and reaches that socket from then on.
#[test]
fn a_promised_handle_reaches_its_own_socket() {
    model(|| {
        let port = Port::new();
        let early = spawn(&port, |port| port.post_recv(2));
        let late = spawn(&port, |port| port.post_recv(1));
        port.word.end();
        let mut taken = port.take();
        while !port.word.begin_farewell() {
            taken.extend(port.take());
            thread::yield_now();
        }
        port.word.recv_reported(false);
        port.word.retire();
        let of_the_first = taken.len();
        assert_eq!(port.word.bring_to_life(Claimer::Local), 2);
        let (early, late) = (early.join().expect("no panic"), late.join().expect("no panic"));
        assert_eq!(of_the_first, usize::from(late));
        assert_eq!(port.take().len(), usize::from(early));
        assert_eq!(port.word.claim_recv(2, Claimer::Local).is_ok(), !early);
    });
}

/// Two threads ask for the same: one is granted.
#[test]
fn one_of_two_claims_is_granted() {
    model(|| {
        let port = Port::new();
        let claims = [(); 2].map(|()| spawn(&port, |port| port.word.claim_recv(1, Claimer::Foreign)));
        let mut answers = claims.map(|claim| claim.join().expect("no panic").map_err(|error| error.code()));
        answers.sort_by_key(Result::is_err);
        assert_eq!(answers, [Ok(()), Err(ErrorCode::Busy)]);
    });
}

/// Close and abort at once: both are granted or close is overridden, and the worker obeys each that was granted, though
/// one message may carry both.
#[test]
fn no_request_is_lost_in_the_message_of_another() {
    model(|| {
        let port = Port::new();
        let close = spawn(&port, |port| port.post_control(1, Control::Close));
        let abort = spawn(&port, |port| port.post_control(1, Control::Abort));
        let (mut closed, mut aborted) = (false, false);
        // As `Worker::obey`: after each message it looks at what has been asked for.
        while !aborted {
            if !port.take().is_empty() {
                let requests = port.word.requests();
                (closed, aborted) = (requests.close, requests.abort);
            }
            if !aborted {
                port.wait(false);
            }
        }
        assert!(abort.join().expect("no panic"), "an abort is granted whatever the close does");
        assert_eq!(close.join().expect("no panic"), closed || port.word.requests().close);
    });
}

/// The deletion of a port against a call: the call is refused, or its message arrives before the worker is over.
#[test]
fn a_delete_leaves_no_message_behind() {
    model(|| {
        let port = Port::new();
        let poster = spawn(&port, |port| port.post_recv(1));
        let deleter = spawn(&port, Port::delete);
        let mut recvs = 0;
        loop {
            recvs += port.take().len();
            let closing = port.is_closing();
            if closing {
                port.word.end();
                if port.word.begin_farewell() {
                    break;
                }
            }
            // A message that is on its way wakes the worker.
            port.wait(closing);
        }
        port.word.recv_reported(false);
        port.word.retire();
        deleter.join().expect("no panic");
        assert_eq!(recvs, usize::from(poster.join().expect("no panic")));
        assert!(port.mailbox.inbox.is_empty());
    });
}

/// A socket that is added while its port is being deleted is wound up: the worker sees it, or is told to look again. The
/// worker is not over before, since the slot was taken (under a lock) before the socket came to live in it.
#[test]
fn a_socket_added_during_a_delete_is_wound_up() {
    model(|| {
        let port = Port::empty();
        let deleter = spawn(&port, Port::delete);
        // As `PortHandle::add_connected`.
        let adder = spawn(&port, |port| {
            port.word.bring_to_life(Claimer::Local);
            fence(Ordering::SeqCst);
            if port.is_closing() {
                port.mailbox.listeners_changed();
            }
        });
        loop {
            port.mailbox.take_listener_news();
            let closing = port.is_closing();
            if closing {
                // As `Worker::wind_up`.
                fence(Ordering::SeqCst);
                if port.word.is_occupied() {
                    break;
                }
            }
            port.wait(closing);
        }
        for thread in [deleter, adder] {
            thread.join().expect("no panic");
        }
    });
}

/// Who takes the news of listeners sees what everybody wrote who told of them.
#[test]
fn no_news_hides_other_news() {
    model(|| {
        let port = Port::empty();
        let written = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let writers = [0, 1].map(|at| {
            let written = written.clone();
            spawn(&port, move |port| {
                written[at].store(1, Ordering::Relaxed);
                port.mailbox.listeners_changed();
            })
        });
        let mut seen = 0;
        while seen < 2 {
            if port.mailbox.take_listener_news() {
                seen = written.iter().map(|cell| cell.load(Ordering::Relaxed)).sum();
            }
            if seen < 2 {
                port.wait(false);
            }
        }
        for writer in writers {
            writer.join().expect("no panic");
        }
    });
}
