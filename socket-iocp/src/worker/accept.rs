//! Accepting: a worker's part of the port's listeners.

use super::{Companion, Info, Local, Worker, guarded};
use crate::address::Addresses;
use crate::handle::{Claimer, Control, Entry, Slot, SocketTable, find_live, identity_kept};
use crate::handler::Handler;
use crate::listener::{AcceptFailure, Accepting, Listener, ListenerCore, ListenerEnd, sort_failure};
use crate::planted::planted;
use crate::socket::Origin;
use crate::sys::net::CloseHow;
use crate::sys::{Accepted, CancelOutcome, Failure, ListenerKey, Submitted};
use crate::trace::traced;
use crate::{Error, ErrorCode, RawSocket};
use socket2::SockAddr;
use std::sync::Arc;

/// A connection taken from the kernel that has no slot yet.
pub(crate) struct Unplaced<H: Handler> {
    listener: Arc<Listener<H>>,
    accepted: Accepted,
    /// The worker that took it.
    origin: usize,
}

/// What starting accepts came to, for one listener.
enum Next {
    Accept(ListenerKey, RawSocket),
    Cancel(ListenerKey, RawSocket),
    Leave(usize),
}

impl<H: Handler> Worker<H> {
    /// Looks at the listeners, if there is a reason to: new ones, ended ones, room for another accept.
    pub(super) fn see_to_listeners(&self) {
        let news = self.mailbox().take_listener_news();
        if news {
            self.meet_new_listeners();
            self.resume_if_freed();
            self.place_waiting();
            self.see_to_connects();
        }
        if !news && !self.accepts_due.replace(false) {
            return;
        }
        self.accepts_due.set(false);
        while let Some(next) = self.next_for_listeners() {
            match next {
                Next::Accept(key, socket) => self.start_accept(key, socket),
                Next::Cancel(key, socket) => {
                    let outcome = self.backend.borrow_mut().cancel_accepts(key, socket);
                    if outcome == CancelOutcome::Done {
                        self.with_accepting(key, Accepting::give_up);
                    }
                }
                Next::Leave(at) => self.leave_listener(at),
            }
        }
    }

    fn next_for_listeners(&self) -> Option<Next> {
        let one_is_enough = self.shared().one_accept_is_enough();
        for (at, accepting) in self.accepting.borrow_mut().iter_mut().enumerate() {
            let (key, own) = (accepting.key, accepting.listener.core.own);
            if accepting.start_cancel() {
                return Some(Next::Cancel(key, own));
            }
            if accepting.is_over() {
                return Some(Next::Leave(at));
            }
            let wants = accepting.wants_accept(self.index, one_is_enough);
            if wants && self.shared().has_room() {
                accepting.started();
                return Some(Next::Accept(key, own));
            }
        }
        None
    }

    /// Takes up the listeners of the port that this worker does not have yet.
    fn meet_new_listeners(&self) {
        while let Some(listener) = self.shared().meet_listener(self.index) {
            if self.accepting.borrow_mut().try_reserve(1).is_err() {
                listener.core.begin_end(ListenerEnd::Failed(ErrorCode::NoMemory.into()), || {});
                self.unref_listener(listener);
                continue;
            }
            let key = ListenerKey(self.next_listener_key.get());
            self.next_listener_key.set(key.0.wrapping_add(1));
            if listener.is_served_by(self.index) {
                let added = self.backend.borrow_mut().add_listener(key, listener.core.own);
                if let Err(error) = added {
                    listener.core.begin_end(ListenerEnd::Failed(error), || {});
                }
            }
            self.accepting.borrow_mut().push(Accepting::new(listener, key));
        }
    }

    fn with_accepting(&self, key: ListenerKey, body: impl FnOnce(&mut Accepting<H>)) {
        if let Some(accepting) = self.accepting.borrow_mut().iter_mut().find(|accepting| accepting.key == key) {
            body(accepting);
        }
    }

    fn start_accept(&self, key: ListenerKey, socket: RawSocket) {
        let mut core = None;
        self.with_accepting(key, |accepting| core = Some(accepting.listener.core.clone()));
        let Some(core) = core else { return };
        let submitted = core.unless_ended(|| self.backend.borrow_mut().accept(key, socket));
        match submitted {
            None => self.accept_completed(key, Err(Failure::Cancelled)),
            Some(Submitted::Done(result)) => self.accept_completed(key, result),
            Some(Submitted::Pending) => {}
        }
    }

    /// Readiness: the pending accept is to be started again.
    pub(super) fn accept_ready(&self, key: ListenerKey) {
        self.with_accepting(key, |accepting| {
            if accepting.is_pending() {
                accepting.ended();
            }
        });
        self.accepts_due.set(true);
    }

    pub(super) fn accept_completed(&self, key: ListenerKey, result: Result<Accepted, Failure>) {
        let mut listener = None;
        self.with_accepting(key, |accepting| {
            accepting.ended();
            listener = Some(accepting.listener.clone());
        });
        self.accepts_due.set(true);
        let Some(listener) = listener else { return };
        match result {
            Ok(accepted) => {
                self.with_accepting(key, Accepting::succeeded);
                listener.taken(self.index);
                let unplaced = Unplaced { listener, accepted, origin: self.index };
                if self.shared().is_limited() {
                    if let Some(unplaced) = self.shared().wait_for_room(unplaced) {
                        self.pause(key);
                        self.turn_away(unplaced);
                    }
                    self.place_waiting();
                } else if !self.place_or_turn_away(unplaced) {
                    self.pause(key);
                }
            }
            Err(failure) => {
                self.counters().accept_errors.add(u64::from(failure != Failure::Cancelled));
                match sort_failure(failure) {
                    AcceptFailure::Passing if failure == Failure::Cancelled => {}
                    AcceptFailure::Passing => {
                        let mut too_many = false;
                        self.with_accepting(key, |accepting| too_many = accepting.failed_again());
                        if too_many {
                            self.pause(key);
                        }
                    }
                    AcceptFailure::Shortage => self.pause(key),
                    AcceptFailure::Fatal(error) => {
                        listener.core.begin_end(ListenerEnd::Failed(error), || {});
                    }
                }
            }
        }
    }

    /// Places connections that wait for the number of sockets to fall below its limit, the first taken first.
    pub(super) fn place_waiting(&self) {
        let shared = self.shared();
        while shared.somebody_waits_for_room() {
            let closing = shared.is_closing();
            if !closing && !shared.admit() {
                return;
            }
            let placed = match shared.next_for_room() {
                Some(unplaced) if closing => {
                    self.turn_away(unplaced);
                    continue;
                }
                Some(unplaced) => self.place_or_turn_away(unplaced),
                None => false,
            };
            if !placed && !closing {
                shared.discharge();
            }
        }
    }

    /// Places a connection; false if there is no memory for it.
    fn place_or_turn_away(&self, unplaced: Unplaced<H>) -> bool {
        let placed = self.place(&unplaced).is_ok();
        if placed {
            self.let_go(unplaced.listener);
        } else {
            self.turn_away(unplaced);
        }
        placed
    }

    /// No accept callback for this connection: the one thing left is to tell the peer at once.
    fn turn_away(&self, unplaced: Unplaced<H>) {
        self.shared().net.close(unplaced.accepted.socket, CloseHow::Reset, None);
        unplaced.listener.told(unplaced.origin, self.index);
        self.unref_listener(unplaced.listener);
    }

    /// Gives a new connection to the worker that has had the fewest, and its accept callback to that worker.
    fn place(&self, unplaced: &Unplaced<H>) -> Result<(), Error> {
        let (shared, accepted) = (self.shared(), &unplaced.accepted);
        SocketTable::reserve(accepted.socket)?;
        let identity = shared.net.identity(accepted.socket)?;
        let target = shared.choose_worker(self.index);
        let slot = shared.workers[target].slots.allocate()?;
        let io = shared.workers[target].mailbox.associate(accepted.socket, slot.promise(identity.0), false)?;
        let local = shared.net.local_address(accepted.socket);
        let remote = accepted.remote.clone().unwrap_or_else(|| shared.net.remote_address(accepted.socket));
        let info = Info::new(accepted.socket, Addresses::of(&local, &remote));
        let companion = Companion::Listener { listener: unplaced.listener.clone(), origin: unplaced.origin as u16 };
        let local = Local::new(info, io, companion, Origin::Accepted);
        let here = target == self.index;
        let claimer = if here { Claimer::Local } else { Claimer::Foreign };
        let slot = slot.fill(local, identity.0, claimer);
        if here {
            self.mark_ready(slot.index());
        } else {
            slot.post_accepted(&shared.workers[target].mailbox);
        }
        Ok(())
    }

    fn pause(&self, key: ListenerKey) {
        let now = self.now();
        self.with_accepting(key, |accepting| {
            if accepting.pause(now) {
                self.counters().accept_backoffs.add(1);
                self.shared().listener_paused();
                traced!(
                    WARN,
                    "listener backs off",
                    port = self.shared().number.get(),
                    socket = accepting.listener.core.socket as u64,
                    worker = self.index
                );
            }
        });
    }

    /// Goes on with paused listeners if a descriptor has been freed since the last look.
    fn resume_if_freed(&self) {
        let freed = self.shared().descriptors_freed();
        if self.descriptors_freed.replace(freed) != freed && !planted!(PauseWithoutEnd) {
            self.accepting.borrow_mut().iter_mut().for_each(|accepting| self.resume(accepting));
        }
    }

    /// Goes on with the listeners whose pause is over.
    pub(super) fn resume_paused(&self) {
        for accepting in self.accepting.borrow_mut().iter_mut() {
            if accepting.paused_until().is_some_and(|until| until <= self.now()) && !planted!(PauseWithoutEnd) {
                self.resume(accepting);
                self.accepts_due.set(true);
            }
        }
    }

    fn resume(&self, accepting: &mut Accepting<H>) {
        if accepting.paused_until().is_some() {
            accepting.resume();
            traced!(
                INFO,
                "listener resumes",
                port = self.shared().number.get(),
                socket = accepting.listener.core.socket as u64,
                worker = self.index
            );
        }
    }

    fn leave_listener(&self, at: usize) {
        let accepting = self.accepting.borrow_mut().remove(at);
        if accepting.listener.is_served_by(self.index) {
            self.backend.borrow_mut().remove_listener(accepting.key, accepting.listener.core.own);
        }
        self.unref_listener(accepting.listener);
    }

    /// Gives up one reference to a listener. With the last one it is over: its farewell, then the descriptors.
    pub(super) fn unref_listener(&self, listener: Arc<Listener<H>>) {
        if listener.unref() {
            self.finish_listener(&listener);
        }
        self.let_go(listener);
    }

    /// Drops a pointer to a listener. It may be the last one: then the user's state is dropped here.
    fn let_go(&self, listener: Arc<Listener<H>>) {
        if guarded(|| drop(listener)).is_err() {
            self.counters().panics.add(1);
        }
    }

    fn finish_listener(&self, listener: &Listener<H>) {
        let shared = self.shared();
        let core = &listener.core;
        let end = core.end().unwrap_or(ListenerEnd::Deleted);
        shared.net.close_listener(core.own);
        self.count_callback();
        traced!(
            DEBUG,
            "listener ended",
            port = shared.number.get(),
            socket = core.socket as u64,
            reason = end.reason().map_or_else(|error| error.code().text(), |()| "removed")
        );
        let told = guarded(|| shared.handler().listen_error(&self.port, &listener.state, end.reason()));
        self.counters().panics.add(u64::from(told.is_err()));
        let closes = matches!(end, ListenerEnd::Deleted | ListenerEnd::Failed(_));
        let ours = closes && SocketTable::leave(core.socket, Entry::Listener(core.id));
        if ours && shared.net.is_still(core.socket, core.identity) {
            shared.net.close_listener(core.socket);
        }
        shared.forget_listener(core.id);
    }

    /// The addresses for the accept callback; names of other families are asked for now.
    pub(super) fn names_of(&self, info: &Info) -> [SockAddr; 2] {
        let (net, kept) = (&self.shared().net, info.addresses.get());
        [
            kept.local().map_or_else(|| net.local_address(info.raw()), SockAddr::from),
            kept.remote().map_or_else(|| net.remote_address(info.raw()), SockAddr::from),
        ]
    }

    /// Enters a new socket's number into the process's table; false if there is no memory for it, and then the number
    /// is closed. The kernel just gave the number out: whoever else stands there has been closed behind the library's
    /// back.
    pub(super) fn enter_table(&self, slot: &'static Slot<H>) -> bool {
        let raw = self.local(slot).info.raw();
        let entry = Entry::Socket(slot.handle());
        loop {
            let before = SocketTable::get(raw);
            match SocketTable::enter(raw, before, entry) {
                Ok(true) => {
                    before.into_iter().for_each(tell_foreign_close);
                    return true;
                }
                Ok(false) => {}
                Err(_) => {
                    self.shared().net.close(raw, CloseHow::Reset, None);
                    return false;
                }
            }
        }
    }
}

/// Tells whoever had a number that another socket has it now.
pub(crate) fn tell_foreign_close(entry: Entry) {
    match entry {
        Entry::Socket(handle) => {
            if let Some((head, mailbox)) = find_live(handle) {
                // An error means that it has gone meanwhile.
                let _ = head.post_control(handle.generation(), Control::ForeignClose, &mailbox);
            }
        }
        Entry::Listener(id) => {
            if let Some(core) = ListenerCore::find(id) {
                core.begin_end(ListenerEnd::Foreign, || {});
            }
        }
    }
}

/// The identity kept with a socket (also one that is just being added) or a listener, to tell whether its number is
/// still its own.
pub(crate) fn identity_of(entry: Entry) -> Option<u32> {
    match entry {
        Entry::Socket(handle) => identity_kept(handle),
        Entry::Listener(id) => ListenerCore::find(id).map(|core| core.identity.0),
    }
}
