//! An echo server that keeps an account of every operation: what it issued, what was reported, in which order.
//!
//! Its own callbacks allocate next to nothing, so that it serves while memory is short; it takes no lock but at a socket's end.

use crate::{Gate, wait_until};
use socket_iocp::{
    Context, Error, ErrorCode, Farewell, Handler, Port, PortHandle, ReadBuffer, Rejected, SendBuffer, Sent,
};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// Sends outstanding on one socket, at most.
const MAX_SENDS: u64 = 8;

/// What was done on one socket, from its accept callback to its farewell.
#[derive(Clone, Debug)]
pub struct Account {
    /// The peer.
    pub remote: Option<SocketAddr>,
    /// Recvs that were accepted.
    pub recvs_issued: u64,
    /// Recv callbacks.
    pub recvs_reported: u64,
    /// Sends that were accepted.
    pub sends_issued: u64,
    /// Send callbacks.
    pub sends_reported: u64,
    /// Bytes received, and their [`fingerprint`].
    pub received: u64,
    /// Of the bytes received.
    pub fingerprint: u64,
    /// Bytes of the sends that were reported as successes.
    pub echoed: u64,
    /// Bytes of the sends that were reported as failures, as far as they say that they went.
    pub partly_sent: u64,
    /// Sends that were refused for want of memory and made in another way.
    pub refused: u64,
    /// What the farewell said.
    pub reason: Result<(), Error>,
    /// What should not have been: nothing, if the contract holds.
    pub faults: Vec<String>,
}

/// A number that tells byte strings apart (FNV-1a), of a string that continues one with the fingerprint `before`.
pub fn fingerprint(before: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(before, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The fingerprint of no bytes.
pub const FINGERPRINT_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

impl Account {
    fn new(remote: Option<SocketAddr>) -> Account {
        Account {
            remote,
            recvs_issued: 0,
            recvs_reported: 0,
            sends_issued: 0,
            sends_reported: 0,
            received: 0,
            fingerprint: FINGERPRINT_OF_NOTHING,
            echoed: 0,
            partly_sent: 0,
            refused: 0,
            reason: Ok(()),
            faults: Vec::new(),
        }
    }

    /// Whether everything was reported, as it should be: each send once; each recv once, but for one that was reported by
    /// the farewell; and a socket that ended well sent back all that it received.
    pub fn is_in_order(&self) -> bool {
        let recvs_unreported = self.recvs_issued.wrapping_sub(self.recvs_reported);
        let is_whole = self.echoed == self.received && recvs_unreported == 0;
        self.faults.is_empty()
            && self.sends_issued == self.sends_reported
            && recvs_unreported <= 1
            && (is_whole || self.reason.is_err())
    }
}

/// A socket's state: its account so far.
#[derive(Debug)]
pub struct Book {
    account: Account,
    /// The lengths of the sends outstanding, by number.
    lengths: [usize; MAX_SENDS as usize],
    sync_send: Option<u64>,
    send_failed: bool,
    end_of_input: bool,
}

impl Book {
    fn fault(&mut self, what: String) {
        self.account.faults.push(what);
    }

    fn outstanding(&self) -> u64 {
        self.account.sends_issued - self.account.sends_reported
    }

    /// Issues the next recv, unless it has to wait for sends: a peer that does not read is pushed back on.
    fn receive(&mut self, context: &Context<'_, Ledger>) {
        let is_outstanding = self.account.recvs_issued > self.account.recvs_reported;
        if is_outstanding || self.end_of_input || self.sync_send.is_some() || self.outstanding() + 2 > MAX_SENDS {
            return;
        }
        match context.recv() {
            Ok(()) => self.account.recvs_issued += 1,
            // A send has failed, and the farewell is due.
            Err(error) if error.code() == ErrorCode::Closed => self.end_of_input = true,
            Err(error) => self.fault(format!("recv: {error:?}")),
        }
    }

    fn note_send(&mut self, len: usize, is_sync: bool) {
        let number = self.account.sends_issued;
        self.lengths[(number % MAX_SENDS) as usize] = len;
        self.sync_send = is_sync.then_some(number).or(self.sync_send);
        self.account.sends_issued += 1;
    }

    fn sync_send(&mut self, context: &Context<'_, Ledger>, buffer: impl Into<SendBuffer>) {
        let buffer = buffer.into();
        let len = buffer.len();
        match context.sync_send(buffer, self.account.sends_issued) {
            Ok(()) => self.note_send(len, true),
            Err(rejected) => self.rejected("sync send", &rejected),
        }
    }

    /// An async send. Gives the buffer back if there is no memory for it.
    fn send(&mut self, context: &Context<'_, Ledger>, buffer: impl Into<SendBuffer>) -> Result<(), SendBuffer> {
        let buffer = buffer.into();
        let len = buffer.len();
        match context.send(buffer, self.account.sends_issued) {
            Ok(()) => self.note_send(len, false),
            Err(rejected) if rejected.error.code() == ErrorCode::NoMemory => {
                self.account.refused += 1;
                return Err(rejected.buffer);
            }
            Err(rejected) => self.rejected("send", &rejected),
        }
        Ok(())
    }

    fn rejected(&mut self, what: &str, rejected: &Rejected<u64>) {
        // Closed: the socket has failed, and the farewell is due.
        if rejected.error.code() != ErrorCode::Closed {
            self.fault(format!("{what}: {:?}", rejected.error));
        }
    }

    /// Sends back what came, in one of three ways by turns. What there is no memory for goes as a sync send, of which none
    /// is outstanding: the recv was not issued before.
    fn echo(&mut self, context: &Context<'_, Ledger>, bytes: ReadBuffer) {
        let halves = match self.account.recvs_reported % 3 {
            0 => return self.sync_send(context, bytes),
            1 => {
                let refused = self.send(context, bytes).err();
                return refused.into_iter().for_each(|bytes| self.sync_send(context, bytes));
            }
            _ => halves(&bytes),
        };
        let Some((first, second)) = halves else { return self.sync_send(context, bytes) };
        if self.send(context, first).is_err() {
            return self.sync_send(context, bytes);
        }
        let refused = self.send(context, second).err();
        refused.into_iter().for_each(|bytes| self.sync_send(context, bytes));
    }

    fn received(&mut self, context: &Context<'_, Ledger>, received: Result<ReadBuffer, Error>) {
        if self.account.recvs_issued != self.account.recvs_reported + 1 {
            self.fault(format!("a recv callback, and {} were issued", self.account.recvs_issued));
        }
        self.account.recvs_reported += 1;
        match received {
            Ok(bytes) if bytes.is_empty() => {
                self.end_of_input = true;
                // Closed: a send has failed.
                if let Err(error) = context.close()
                    && error.code() != ErrorCode::Closed
                {
                    self.fault(format!("close: {error:?}"));
                }
            }
            Ok(bytes) => {
                self.account.received += bytes.len() as u64;
                self.account.fingerprint = fingerprint(self.account.fingerprint, &bytes);
                self.echo(context, bytes);
                self.receive(context);
            }
            Err(error) => self.fault(format!("a recv that nobody cancelled: {error:?}")),
        }
    }

    fn sent(&mut self, context: &Context<'_, Ledger>, sent: &Sent<u64>) {
        let number = self.account.sends_reported;
        if sent.write != number || number >= self.account.sends_issued {
            self.fault(format!("send {} reported, {number} was due", sent.write));
        }
        self.account.sends_reported += 1;
        if self.sync_send == Some(number) {
            self.sync_send = None;
        }
        let len = self.lengths[(number % MAX_SENDS) as usize];
        match sent.result {
            Ok(()) if sent.bytes != len || self.send_failed => {
                self.fault(format!("{} of {len} bytes sent, after a failure: {}", sent.bytes, self.send_failed));
            }
            Ok(()) => self.account.echoed += len as u64,
            Err(_) if sent.bytes > len || (self.send_failed && sent.bytes > 0) => {
                self.fault(format!("{} of {len} bytes of a send that failed", sent.bytes));
            }
            Err(_) => {
                self.send_failed = true;
                self.account.partly_sent += sent.bytes as u64;
            }
        }
        self.receive(context);
    }

    fn farewell(mut self, reason: Result<(), Error>) -> Account {
        if self.outstanding() > 0 {
            self.fault(format!("{} sends never reported", self.outstanding()));
        }
        self.account.reason = reason;
        self.account
    }
}

/// Copies of both halves, if there is memory for them.
fn halves(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let copy = |half: &[u8]| {
        let mut copy = Vec::new();
        copy.try_reserve_exact(half.len()).ok()?;
        copy.extend_from_slice(half);
        Some(copy)
    };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    Some((copy(first)?, copy(second)?))
}

/// The handler.
#[derive(Debug)]
pub struct Ledger {
    accounts: Mutex<Vec<Account>>,
    /// Farewells so far.
    pub farewells: Gate,
}

impl Ledger {
    /// A ledger with room for so many accounts; more of them need memory.
    pub fn with_room_for(accounts: usize) -> Ledger {
        Ledger { accounts: Mutex::new(Vec::with_capacity(accounts)), farewells: Gate::new() }
    }

    /// The state of a socket that the test adds by itself, and for which it issues the first recv.
    pub fn book(remote: Option<SocketAddr>) -> Book {
        let mut account = Account::new(remote);
        account.recvs_issued = 1;
        Book { account, lengths: [0; MAX_SENDS as usize], sync_send: None, send_failed: false, end_of_input: false }
    }

    /// Waits until every socket of the port has gone, deletes it, and takes their accounts: one for each accept, none with a
    /// fault. (A connection that was reset before it was accepted may come late, and is ended with the port.)
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn settle(port: Port<Ledger>) -> Vec<Account> {
        wait_until(|| port.statistics().sockets_now == 0, || format!("{:?}", port.statistics()));
        let handle = PortHandle::clone(&port);
        port.delete();
        let (accepts, accounts) = (handle.statistics().accepts, handle.handler().take_accounts());
        assert_eq!(accounts.len() as u64, accepts, "farewells, and accepts");
        let bad: Vec<_> = accounts.iter().filter(|account| !account.is_in_order()).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        accounts
    }

    /// Takes the accounts that are complete.
    pub fn take_accounts(&self) -> Vec<Account> {
        std::mem::take(&mut self.accounts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Handler for Ledger {
    type Listener = ();
    type Socket = Book;
    type Write = u64;

    fn accept(&self, context: &Context<'_, Self>, (): &()) -> Option<Book> {
        let mut book = Ledger::book(context.remote_addr());
        if let Err(error) = context.recv() {
            book.account.recvs_issued = 0;
            book.fault(format!("the first recv: {error:?}"));
        }
        Some(book)
    }

    fn recv(&self, context: &Context<'_, Self>, book: &mut Book, received: Result<ReadBuffer, Error>) {
        book.received(context, received);
    }

    fn send(&self, context: &Context<'_, Self>, book: &mut Book, sent: Sent<u64>) {
        book.sent(context, &sent);
    }

    fn error(&self, _: &Context<'_, Self>, book: Book, farewell: Farewell) {
        let account = book.farewell(farewell.reason);
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).push(account);
        self.farewells.pass();
    }
}
