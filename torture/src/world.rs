//! The world of one program: the network, its clients, and what the model knows of the port.

use crate::bytes::Stream;
use crate::handler::{ListenerToken, OwnedBytes, SocketToken, Tortured, WriteToken};
use crate::mail::{Letter, Mail};
use crate::model::{Broken, Circumstances, Connect, Ending, Given, Limits, Socket};
use crate::program::{self, Call, Setup, Whither};
use crate::refusal;
use fastrand::Rng;
use socket_iocp::sim::{Network, Peer};
use socket_iocp::{
    Error, ErrorCode, Farewell, ListenerHandle, PortHandle, RawSocket, ReadBuffer, SendBuffer, SendFile, Sent,
    SocketHandle, Watermark,
};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Read buffers that the program keeps back at most.
const KEPT_BUFFERS: usize = 4;

/// How one buffer is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Async,
    WithoutMemory,
    Sync,
    /// An async send, whose bytes are those of a value.
    Owned,
}

/// What is given to a send, in parts of lengths that differ from send to send; the first and one in the midst are empty now and
/// then.
fn in_parts(given: &Given) -> Vec<SendBuffer> {
    let first = given.write as usize % 4 * 3 % (given.bytes.len() + 1);
    let (head, rest) = given.bytes.split_at(first);
    let length = rest.len() / (given.write as usize % 20 + 1) + 1;
    let mut parts: Vec<SendBuffer> = rest.chunks(length).map(|part| part.to_vec().into()).collect();
    parts.insert(parts.len() / 2, SendBuffer::default());
    parts.insert(0, head.to_vec().into());
    parts
}

/// A file with what is given to a send in its midst, or all but the second half of it; and where that begins.
fn in_file(given: &Given, whole: bool) -> (SendFile, Range<u64>) {
    const BESIDE: u8 = 0x5a;
    let before = given.write as usize % 5;
    let mut content = vec![BESIDE; before];
    content.extend_from_slice(&given.bytes);
    match whole {
        true => content.resize(content.len() + before, BESIDE),
        false => content.truncate(before + given.bytes.len() / 2),
    }
    let start = before as u64;
    (SendFile::simulated(content), start..start + given.bytes.len() as u64)
}

fn ms(time_ms: u16) -> Duration {
    Duration::from_millis(time_ms.into())
}

/// What the callbacks and the program share. All of it runs on one thread; the lock is there for `Sync` alone.
pub(crate) struct World {
    state: Mutex<State>,
    /// A callback was run inside a call.
    nested: AtomicBool,
}

impl World {
    pub(crate) fn new(setup: Setup, network: Arc<Network>) -> Arc<World> {
        Arc::new(World { state: Mutex::new(State::new(setup, network)), nested: AtomicBool::new(false) })
    }

    pub(crate) fn enter(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held but what ends the program")
    }

    pub(crate) fn try_enter(&self) -> Option<MutexGuard<'_, State>> {
        self.state.try_lock().ok()
    }

    pub(crate) fn note_nested(&self) {
        self.nested.store(true, Ordering::Relaxed);
    }

    /// The first rule that was broken, if one was.
    pub(crate) fn broken(&self) -> Option<Broken> {
        if self.nested.load(Ordering::Relaxed) {
            return Some("a callback was run inside a call".into());
        }
        self.enter().broken.clone()
    }
}

/// A connection, from the client's side.
pub(crate) struct Client {
    pub(crate) peer: Option<Peer>,
    outgoing: Stream,
    incoming: Stream,
    /// Bytes sent, and whether FIN has followed.
    written: u64,
    fin: bool,
    read: u64,
    /// All of it.
    log: Vec<u8>,
    saw_fin: bool,
    /// It was reset or closed from this side, or its own end failed: then the port's end may fail.
    disturbed: bool,
    /// The port's end has failed with it.
    failed: bool,
    /// The socket's place, once it is in the port.
    pub(crate) place: Option<usize>,
    /// It is no client: both ends are the port's.
    ours: bool,
    /// The place of the other end's socket, if that is in the port.
    partner: Option<usize>,
    /// Its socket was refused by its accept callback, or never given to one.
    refused: bool,
}

/// A listener of the port.
pub(crate) struct Listening {
    pub(crate) handle: ListenerHandle,
    pub(crate) address: SocketAddr,
    pub(crate) removed: bool,
    pub(crate) ended: bool,
}

pub(crate) struct State {
    pub(crate) setup: Setup,
    pub(crate) network: Arc<Network>,
    pub(crate) sockets: Vec<Socket>,
    /// For each socket: its client, and whether its number was closed behind the library's back.
    of_sockets: Vec<(usize, bool)>,
    pub(crate) raws: Vec<RawSocket>,
    pub(crate) clients: Vec<Client>,
    by_address: BTreeMap<SocketAddr, usize>,
    /// The places of sockets that the port connects, by their own addresses, until the other end has been taken.
    connecting: BTreeMap<SocketAddr, usize>,
    /// The other ends of attempts to connect to hosts, by the attempts' addresses, until one is told of as a socket's.
    attempts: BTreeMap<SocketAddr, Peer>,
    /// The port has connected to hosts.
    dials: bool,
    pub(crate) listeners: Vec<Listening>,
    /// A fault was injected into the operations of whichever socket comes first.
    pub(crate) faulty: bool,
    pub(crate) deleted: bool,
    /// When the port's shutdown aborts what is left, once it has begun.
    pub(crate) shutdown: Option<Duration>,
    /// Bytes of async sends on sockets that were refused: they may still count in the port.
    unsettled: usize,
    /// The program is over: ends of one connection that are both the port's leave each other alone.
    pub(crate) resting: bool,
    pub(crate) reactions: Rng,
    pub(crate) callbacks: u64,
    /// Calls made, clients' actions, turns.
    pub(crate) operations: u64,
    /// What was handed back, and whose it was.
    returned: Vec<(usize, socket_iocp::Socket)>,
    kept: Vec<(ReadBuffer, Vec<u8>)>,
    pub(crate) held: Arc<AtomicI64>,
    broken: Option<Broken>,
}

impl State {
    fn new(setup: Setup, network: Arc<Network>) -> State {
        State {
            setup,
            network,
            sockets: Vec::new(),
            of_sockets: Vec::new(),
            raws: Vec::new(),
            clients: Vec::new(),
            by_address: BTreeMap::new(),
            connecting: BTreeMap::new(),
            attempts: BTreeMap::new(),
            dials: false,
            listeners: Vec::new(),
            faulty: false,
            deleted: false,
            shutdown: None,
            unsettled: 0,
            resting: false,
            reactions: Rng::with_seed(setup.seed),
            callbacks: 0,
            operations: 0,
            returned: Vec::new(),
            kept: Vec::new(),
            held: Arc::new(AtomicI64::new(0)),
            broken: None,
        }
    }

    pub(crate) fn note(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    fn around(&self, place: usize) -> Circumstances {
        let (client, closed_behind) = self.of_sockets[place];
        let may_fail = self.faulty || self.clients[client].disturbed;
        let idle = match self.setup.idle_timeout_ms {
            0 => None,
            timeout_ms => Some(Duration::from_millis(timeout_ms.into())),
        };
        let now = self.network.now();
        let deleted = self.deleted || self.shutdown.is_some_and(|deadline| now >= deadline);
        let peer_cut = self.clients[client].partner.is_some_and(|partner| self.sockets[partner].is_cut());
        Circumstances { may_fail, closed_behind, deleted, shut_down: self.shutdown.is_some(), peer_cut, idle, now }
    }

    /// The port is shut down; of several deadlines the earliest counts.
    pub(crate) fn shuts_down_at(&mut self, deadline: Duration) {
        self.shutdown = Some(self.shutdown.map_or(deadline, |before| before.min(deadline)));
    }

    pub(crate) fn client_of(&self, place: usize) -> usize {
        self.of_sockets[place].0
    }

    fn client_sent(&self, place: usize) -> (u64, bool) {
        let client = &self.clients[self.of_sockets[place].0];
        let partner = client.partner.map(|partner| &self.sockets[partner]);
        // Of one that is ours, when its FIN goes and after what is not followed.
        (partner.map_or(client.written, Socket::issued), client.fin || client.ours)
    }

    // ---- the port's sockets ----

    /// A new client; `peer` is its end.
    pub(crate) fn add_client(&mut self, peer: Peer) -> usize {
        peer.set_nonblocking(true);
        self.by_address.insert(peer.local_addr(), self.clients.len());
        self.add_client_with(Some(peer))
    }

    /// A new client, whose end may come later.
    fn add_client_with(&mut self, peer: Option<Peer>) -> usize {
        let place = self.clients.len();
        let stream = |direction: u64| Stream { id: (place as u64) << 1 | direction };
        self.clients.push(Client {
            peer,
            outgoing: stream(0),
            incoming: stream(1),
            written: 0,
            fin: false,
            read: 0,
            log: Vec::new(),
            saw_fin: false,
            disturbed: false,
            failed: false,
            place: None,
            ours: false,
            partner: None,
            refused: false,
        });
        place
    }

    /// A client's socket has come into the port.
    pub(crate) fn add_socket(&mut self, handle: SocketHandle, client: usize, raw: RawSocket) -> usize {
        let place = self.sockets.len();
        let of = &mut self.clients[client];
        of.place = Some(place);
        self.sockets.push(Socket::new(handle, of.incoming, of.outgoing));
        self.of_sockets.push((client, false));
        self.raws.push(raw);
        place
    }

    /// The port connects a socket.
    pub(crate) fn add_connecting(&mut self, handle: SocketHandle, raw: RawSocket, connect: Connect) {
        let client = self.add_client_with(None);
        let place = self.add_socket(handle, client, raw);
        let socket = self.sockets.pop().expect("just added");
        self.sockets.push(socket.connecting(connect));
        // Either end may end the connection.
        self.clients[client].ours = matches!(connect.whither, Whither::Own(_));
        self.clients[client].disturbed = self.clients[client].ours;
        if let Some(local) = connect.ends.0 {
            self.connecting.insert(local, place);
        }
        self.dials |= connect.host.is_some();
    }

    /// A datagram socket has come into the port; `mail` is given what its correspondent writes.
    pub(crate) fn add_mailing(&mut self, handle: SocketHandle, raw: RawSocket, mail: impl FnOnce(Stream) -> Mail) {
        let client = self.add_client_with(None);
        let place = self.add_socket(handle, client, raw);
        let socket = self.sockets.pop().expect("just added");
        let mail = mail(socket.incoming);
        self.sockets.push(socket.mailing(mail));
        self.clients[client].place = Some(place);
    }

    /// A correspondent writes to the n-th datagram socket that lives.
    pub(crate) fn write_mail(&mut self, at: u8, len: usize) {
        let lives = |socket: &&mut Socket| socket.mail.is_some() && !socket.ended;
        let mut all: Vec<_> = self.sockets.iter_mut().filter(lives).collect();
        if all.is_empty() {
            return;
        }
        let chosen = usize::from(at) % all.len();
        let written = all[chosen].mail.as_mut().map_or(Ok(()), |mail| mail.write(len));
        written.unwrap_or_else(|broken| self.note(broken));
    }

    /// Every send has been reported: what has come is what has gone.
    fn check_mail(&mut self) {
        for place in 0..self.sockets.len() {
            let socket = &mut self.sockets[place];
            if let Some(mail) = socket.mail.as_mut()
                && let Err(broken) = mail.check()
            {
                let handle = socket.handle;
                self.note(format!("{broken}: {handle:?}"));
            }
        }
    }

    /// The port has accepted a connection that it has made itself; `near` is the place of the other end.
    fn add_partner(&mut self, handle: SocketHandle, near: usize, raw: RawSocket) -> usize {
        let client = self.add_client_with(None);
        let near_client = self.of_sockets[near].0;
        let (outgoing, incoming) = (self.clients[near_client].incoming, self.clients[near_client].outgoing);
        let of = &mut self.clients[client];
        (of.outgoing, of.incoming, of.ours, of.disturbed) = (outgoing, incoming, true, true);
        of.partner = Some(near);
        let place = self.add_socket(handle, client, raw);
        self.clients[near_client].partner = Some(place);
        place
    }

    /// The network's own listener has taken a connection. True if that of a socket in the port, which it is, or may become.
    pub(crate) fn answered(&mut self, peer: Peer) -> bool {
        peer.set_nonblocking(true);
        match self.connecting.remove(&peer.peer_addr()) {
            Some(place) => self.clients[self.of_sockets[place].0].peer = Some(peer),
            None if self.dials => drop(self.attempts.insert(peer.peer_addr(), peer)),
            None => return false,
        }
        true
    }

    /// An attempt to connect to a host is a socket now, with this address.
    fn attempt_won(&mut self, place: usize, local: SocketAddr) {
        match self.attempts.remove(&local) {
            Some(peer) => self.clients[self.of_sockets[place].0].peer = Some(peer),
            None => drop(self.connecting.insert(local, place)),
        }
    }

    /// Takes a socket that was handed back and can be added again: its FIN has not gone.
    pub(crate) fn take_returned(&mut self, at: u8) -> Option<(usize, socket_iocp::Socket)> {
        let all: Vec<usize> =
            (0..self.returned.len()).filter(|at| !self.sockets[self.returned[*at].0].is_shut_down()).collect();
        (!all.is_empty()).then(|| self.returned.remove(all[usize::from(at) % all.len()]))
    }

    /// A socket has come into the port that was there before, at another place.
    pub(crate) fn add_again(&mut self, handle: SocketHandle, before: usize, raw: RawSocket) {
        let client = self.of_sockets[before].0;
        self.clients[client].place = Some(self.sockets.len());
        let (places, now_at) = (self.connecting.values_mut(), self.sockets.len());
        places.filter(|place| **place == before).for_each(|place| *place = now_at);
        if let Some(partner) = self.clients[client].partner {
            let partner = self.of_sockets[partner].0;
            self.clients[partner].partner = Some(self.sockets.len());
        }
        self.sockets.push(self.sockets[before].again(handle));
        self.of_sockets.push((client, false));
        self.raws.push(raw);
    }

    /// The place of the n-th socket that lives, or of the n-th that is dead.
    pub(crate) fn pick(&self, at: u8, alive: bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.sockets.len()).filter(|place| self.sockets[*place].ended != alive).collect();
        (!all.is_empty()).then(|| all[usize::from(at) % all.len()])
    }

    /// Closes a socket's number behind the library's back, unless that would have it read a stranger's bytes.
    pub(crate) fn close_behind(&mut self, place: usize) {
        let socket = &self.sockets[place];
        let waits = socket.is_waiting_for_recv() || socket.has_sends() || socket.is_connecting();
        let busy = waits || socket.ending().is_some() || socket.mail.is_some();
        if busy || self.around(place).may_fail || self.of_sockets[place].1 || self.deleted {
            return;
        }
        self.of_sockets[place].1 = true;
        self.network.close_behind(self.raws[place]);
    }

    /// Makes a call on a socket and shows its answer to the model.
    pub(crate) fn call(&mut self, port: &PortHandle<Tortured>, place: usize, call: Call) {
        let around = self.around(place);
        let moves_bytes = !matches!(call, Call::Close | Call::Abort | Call::Remove);
        if around.closed_behind && moves_bytes && !self.sockets[place].ended {
            // It might be answered with a stranger's bytes, as documented.
            return;
        }
        self.operations += 1;
        let queued = self.sockets.iter().filter(|socket| !socket.ended).map(Socket::queued_bytes).sum();
        let (handle, held) = (self.sockets[place].handle, self.held.clone());
        let socket = &mut self.sockets[place];
        let send = |len: u16, way: Way, limit_ms: Option<u16>| {
            let given = socket.give(len.into());
            let token = WriteToken::new(given.write, len.into(), &held);
            let address = socket.address_for(given.write).filter(|_| limit_ms.is_none());
            let issue = |bytes: SendBuffer| match (way, limit_ms, address) {
                (Way::Sync, None, None) => port.sync_send(handle, bytes, token),
                (Way::Sync, None, Some(address)) => port.sync_send_to(handle, address, bytes, token),
                (Way::Sync, Some(limit_ms), _) => port.sync_send_within(handle, bytes, token, ms(limit_ms)),
                (_, None, None) => port.send(handle, bytes, token),
                (_, None, Some(address)) => port.send_to(handle, address, bytes, token),
                (_, Some(limit_ms), _) => port.send_within(handle, bytes, token, ms(limit_ms)),
            };
            let answer = match way {
                Way::WithoutMemory => refusal::refuse(|| issue(given.bytes.into())),
                Way::Owned => issue(SendBuffer::from_owner(OwnedBytes::new(given.bytes, &held)).unwrap_or_default()),
                Way::Sync | Way::Async => issue(given.bytes.into()),
            };
            answer.map_err(|rejected| {
                let whole = rejected.write.len == rejected.buffer.len();
                (rejected.error, whole)
            })
        };
        let send_copy = |len: u16| {
            let given = socket.give(len.into());
            let token = WriteToken::new(given.write, len.into(), &held);
            let answer = port.send_copy(handle, &given.bytes, token);
            answer.map_err(|rejected| (rejected.error, rejected.write.len == usize::from(len)))
        };
        let send_parts = |len: u16| {
            let given = socket.give(len.into());
            let token = WriteToken::new(given.write, len.into(), &held);
            let answer = port.send_vectored(handle, in_parts(&given), token);
            answer.map_err(|rejected| {
                let bytes = rejected.buffer.iter().flat_map(SendBuffer::slices).flatten();
                (rejected.error, bytes.eq(&given.bytes))
            })
        };
        let send_file = |len: u16, whole: bool| {
            let given = socket.give(len.into());
            let token = WriteToken::new(given.write, len.into(), &held);
            let (file, range) = in_file(&given, whole);
            let answer = port.send_file(handle, file, range, token);
            answer.map_err(|rejected| (rejected.error, rejected.write.len == usize::from(len)))
        };
        let whole = |answer: Result<(), Error>| answer.map_err(|error| (error, true));
        let answer = match call {
            Call::Recv => whole(port.recv(handle)),
            Call::Send(len) => send(len, Way::Async, None),
            Call::SendWithoutMemory(len) => send(len, Way::WithoutMemory, None),
            Call::SyncSend(len) => send(len, Way::Sync, None),
            Call::SendWithin(len, limit_ms) => send(len, Way::Async, Some(limit_ms)),
            Call::SyncSendWithin(len, limit_ms) => send(len, Way::Sync, Some(limit_ms)),
            Call::Shutdown => whole(port.shutdown_send(handle)),
            Call::Close => whole(port.close(handle)),
            Call::Abort => whole(port.abort(handle)),
            Call::Remove => whole(port.remove(handle)),
            Call::SendCopy(len) => send_copy(len),
            Call::SendParts(len) => send_parts(len),
            Call::SendOwned(len) => send(len, Way::Owned, None),
            Call::RecvWithin(time_ms) => whole(port.recv_within(handle, ms(time_ms))),
            Call::CancelRecv => whole(port.cancel_recv(handle)),
            Call::CancelSends(odd) => whole(port.cancel_sends(handle, move |token| token.is_odd() == odd)),
            Call::Timer(delay_ms) => whole(port.timer(handle, ms(delay_ms))),
            Call::CancelTimer => whole(port.cancel_timer(handle)),
            Call::CancelConnect => whole(port.cancel_connect(handle)),
            Call::SendFile(len) => send_file(len, true),
            Call::SendShortFile(len) => send_file(len, false),
        };
        let limits = Limits::of(&self.setup, queued, self.unsettled);
        let checked = match answer {
            Err((_, false)) => Err("a refused send did not give its buffer back whole".into()),
            Err((error, true)) => self.sockets[place].called(call, limits, around, Err(error.code())),
            Ok(()) => self.sockets[place].called(call, limits, around, Ok(())),
        };
        checked.unwrap_or_else(|broken| self.note(broken));
    }

    /// What a callback does: calls on its own socket, and on others.
    pub(crate) fn react(&mut self, port: &PortHandle<Tortured>, place: usize) {
        if self.resting && self.clients[self.of_sockets[place].0].ours {
            return;
        }
        for _ in 0..self.reactions.u8(0..=2) {
            let own = self.reactions.u8(..) < 200;
            let other = self.reactions.u8(..);
            let target = if own { Some(place) } else { self.pick(other, true) };
            let call = program::call(&mut self.reactions);
            if let Some(target) = target {
                self.call(port, target, call);
            }
        }
    }

    // ---- callbacks ----

    pub(crate) fn accepted(
        &mut self,
        handle: SocketHandle,
        remote: Option<SocketAddr>,
        listener: usize,
        raw: RawSocket,
    ) -> Result<Option<usize>, Broken> {
        if self.listeners[listener].ended {
            return Err("an accept callback after the listener's farewell".into());
        }
        let Some(remote) = remote else {
            // The system does not name a peer that has gone. Whoever it was, it is refused.
            let gone = self.clients.iter().any(|client| client.disturbed && client.place.is_none());
            let gone = gone || !self.connecting.is_empty();
            return if gone { Ok(None) } else { Err("an accept callback without a remote address".into()) };
        };
        if let Some(near) = self.connecting.remove(&remote) {
            return Ok(Some(self.add_partner(handle, near, raw)));
        }
        let client = *self.by_address.get(&remote).ok_or("an accept callback for no client of ours")?;
        if self.clients[client].place.is_some() {
            return Err(format!("client {client} is accepted twice"));
        }
        Ok(Some(self.add_socket(handle, client, raw)))
    }

    /// Now and then an accept callback refuses its connection.
    pub(crate) fn keep_or_refuse(&mut self, place: usize) -> Option<SocketToken> {
        if self.reactions.u8(..) < 8 {
            self.sockets[place].ended = true;
            self.unsettled += self.sockets[place].queued_bytes();
            let client = self.of_sockets[place].0;
            self.clients[client].refused = true;
            return None;
        }
        Some(SocketToken::new(place, &self.held))
    }

    pub(crate) fn connected(
        &mut self,
        place: usize,
        ends: (Option<SocketAddr>, Option<SocketAddr>),
        raw: RawSocket,
    ) -> Result<(), Broken> {
        let now = self.network.now();
        if let (true, Some(local)) = (self.sockets[place].has_no_socket(), ends.0) {
            self.attempt_won(place, local);
            self.raws[place] = raw;
        }
        self.sockets[place].connected(ends, now)
    }

    /// A datagram's callback.
    pub(crate) fn mailed(&mut self, place: usize, result: &Result<Letter, Error>) -> Result<(), Broken> {
        let (size, around) = (self.setup.read_buffer_size, self.around(place));
        self.sockets[place].mailed(result, size, around)
    }

    pub(crate) fn received(&mut self, place: usize, result: &Result<Vec<u8>, Error>) -> Result<(), Broken> {
        let (size, mut from_client) = (self.setup.read_buffer_size, self.client_sent(place));
        if self.clients[self.of_sockets[place].0].ours && result.as_ref().is_ok_and(Vec::is_empty) {
            from_client.0 = self.sockets[place].received;
        }
        let around = self.around(place);
        self.sockets[place].received(result, size, from_client, around)
    }

    pub(crate) fn sent(&mut self, place: usize, sent: &Sent<WriteToken>) -> Result<(), Broken> {
        let around = self.around(place);
        let in_memory: usize = sent.buffer.slices().map(<[u8]>::len).sum();
        let is_whole = if sent.buffer.is_file() { in_memory == 0 } else { in_memory == sent.write.len };
        if !is_whole || sent.buffer.len() != sent.write.len {
            return Err("a send came back with another buffer".into());
        }
        self.sockets[place].sent(sent.write.write, sent.write.len, sent.result, sent.bytes, around)
    }

    pub(crate) fn crossed(&mut self, place: usize, mark: Watermark) -> Result<(), Broken> {
        let setup = self.setup;
        self.sockets[place].crossed(mark, &setup)
    }

    pub(crate) fn timer(&mut self, place: usize, result: Result<(), Error>) -> Result<(), Broken> {
        let around = self.around(place);
        self.sockets[place].timer_told(result, around)
    }

    pub(crate) fn farewell(&mut self, place: usize, farewell: Farewell) -> Result<(), Broken> {
        let around = self.around(place);
        self.sockets[place].farewell(farewell.reason, farewell.socket.is_some(), around)?;
        // One of datagrams is closed here, as any other that is not added again.
        let returned = farewell.socket.filter(|_| self.sockets[place].mail.is_none());
        self.returned.extend(returned.map(|socket| (place, socket)));
        Ok(())
    }

    pub(crate) fn listener_farewell(&mut self, place: usize, reason: Result<(), Error>) {
        let listener = &mut self.listeners[place];
        let code = reason.map_err(|error| error.code());
        let explained = match code {
            Ok(()) => listener.removed,
            Err(ErrorCode::Cancelled) => (self.deleted || self.shutdown.is_some()) && !listener.removed,
            Err(_) => false,
        };
        if std::mem::replace(&mut listener.ended, true) || !explained {
            self.note(format!("a listener's farewell of {code:?}"));
        }
    }

    /// Keeps a read buffer back, with a copy of what is in it: nobody may write to it meanwhile.
    pub(crate) fn keep_buffer(&mut self, buffer: ReadBuffer, copy: Vec<u8>) {
        if self.reactions.u8(..) < 64 {
            self.kept.push((buffer, copy));
        }
        if self.kept.len() > KEPT_BUFFERS {
            let (buffer, copy) = self.kept.remove(0);
            if *buffer != *copy {
                self.note("a read buffer was written to while the program had it".into());
            }
        }
    }

    pub(crate) fn listener_token(&self, place: usize) -> ListenerToken {
        ListenerToken::new(place, &self.held)
    }

    // ---- clients ----

    pub(crate) fn client_writes(&mut self, at: usize, len: usize) {
        let client = &mut self.clients[at];
        let Some(peer) = client.peer.as_ref().filter(|_| !client.fin) else { return };
        match peer.write(&client.outgoing.bytes(client.written, len)) {
            Ok(written) => client.written += written as u64,
            Err(error) => self.client_failed(at, &error),
        }
    }

    /// Reads what is there, at most so much. True if there was something.
    pub(crate) fn client_reads(&mut self, at: usize, len: usize) -> bool {
        let client = &mut self.clients[at];
        let Some(peer) = client.peer.as_ref().filter(|_| !client.saw_fin && !client.failed) else { return false };
        let mut bytes = vec![0; len];
        match peer.read(&mut bytes) {
            Ok(0) if len == 0 => false,
            Ok(0) => {
                client.saw_fin = true;
                self.check_fin(at);
                true
            }
            Ok(count) => {
                let (right, start) = (client.incoming.is_at(client.read, &bytes[..count]), client.read);
                client.read += count as u64;
                client.log.extend_from_slice(&bytes[..count]);
                let read = client.read;
                let (issued, cut) = client
                    .place
                    .map_or((0, false), |place| (self.sockets[place].issued(), self.sockets[place].is_cut()));
                // Where sends may end early, what was read is checked when all of them have been reported.
                if !(right || cut) || read > issued {
                    self.note(format!("client {at} read {count} wrong bytes at {start} of {issued}"));
                }
                true
            }
            Err(error) => {
                self.client_failed(at, &error);
                false
            }
        }
    }

    /// The port's FIN: only where one was asked for, behind everything.
    fn check_fin(&mut self, at: usize) {
        let client = &self.clients[at];
        let Some(place) = client.place else {
            if !self.deleted && self.shutdown.is_none() && !client.disturbed && !self.faulty {
                self.note(format!("client {at} saw a FIN before it was accepted"));
            }
            return;
        };
        let (socket, around) = (&self.sockets[place], self.around(place));
        let asked = socket.is_shut_down() || socket.ending().is_some() || client.refused || socket.ended;
        let excused = around.may_fail
            || around.closed_behind
            || around.shut_down
            || client.refused
            || socket.is_connecting()
            || socket.ending() == Some(Ending::Remove);
        let whole =
            client.read == socket.issued() || socket.is_cut() || matches!(socket.ending(), Some(Ending::Abort { .. }));
        if !(excused || asked && whole) {
            let (read, issued) = (client.read, socket.issued());
            self.note(format!("client {at} saw a FIN after {read} of {issued} bytes: {socket:?}"));
        }
    }

    /// A client's call failed; if by a reset, the port's end must have had a reason for it.
    fn client_failed(&mut self, at: usize, error: &std::io::Error) {
        if error.kind() == ErrorKind::WouldBlock {
            return;
        }
        let client = &mut self.clients[at];
        client.failed = true;
        let (refused, disturbed) = (client.refused, client.disturbed);
        client.disturbed = true;
        let explained = match client.place {
            None => true,
            Some(place) => {
                let around = self.around(place);
                let socket = &self.sockets[place];
                let asked = self.deleted || around.shut_down || socket.ending().is_some() || socket.may_be_in_vain();
                refused || disturbed || self.faulty || around.closed_behind || around.idle.is_some() || asked
            }
        };
        if !explained {
            self.note(format!("client {at} failed for no reason: {error}"));
        }
    }

    pub(crate) fn client_ends(&mut self, at: usize) {
        if let Some(peer) = &self.clients[at].peer {
            peer.shutdown_write();
            self.clients[at].fin = true;
        }
    }

    pub(crate) fn client_goes(&mut self, at: usize, by_reset: bool) {
        let client = &mut self.clients[at];
        let Some(peer) = client.peer.take() else { return };
        // Closing with input unread, or more to come, is a reset too.
        client.disturbed = true;
        client.fin = true;
        if by_reset {
            peer.reset();
        }
    }

    // ---- the end ----

    /// Nothing moves any more, and the clients have read everything.
    pub(crate) fn check_at_rest(&mut self) {
        if self.shutdown.is_some() && self.sockets.iter().any(|socket| !socket.ended) {
            self.note("at rest: a connection is there after the deadline of a shutdown".into());
        }
        let listening = self.shutdown.is_none() && self.listeners.iter().all(|listener| !listener.removed);
        let live = self.sockets.iter().filter(|socket| !socket.ended).count();
        let has_room = self.setup.max_sockets == 0 || live < self.setup.max_sockets;
        for place in 0..self.sockets.len() {
            let client = &self.clients[self.of_sockets[place].0];
            let reads = client.peer.is_some() && !client.failed;
            if self.of_sockets[place].1 {
                continue;
            }
            // One that was handed back and added again is at another place now.
            if client.place == Some(place) {
                let checked = self.sockets[place].check_read(&client.log, reads, self.around(place).may_fail);
                checked.unwrap_or_else(|broken| self.note(format!("at rest: {broken}")));
            }
            let client = &self.clients[self.of_sockets[place].0];
            let (from_client, may_fail) = ((client.written, client.fin), self.around(place).may_fail);
            if let Err(broken) = self.sockets[place].check_at_rest(from_client, reads, may_fail, &self.setup) {
                self.note(format!("at rest: {broken}"));
            }
        }
        self.check_mail();
        let goes_on = |peer: &Peer| peer.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        if let Some(local) = self.attempts.iter().find_map(|(local, peer)| goes_on(peer).then_some(*local)) {
            self.note(format!("at rest: an attempt from {local} that is no socket's is open"));
        }
        let waiting =
            self.clients.iter().position(|client| client.place.is_none() && client.peer.is_some() && !client.failed);
        if let (Some(client), true) = (waiting, listening && has_room) {
            self.note(format!("at rest: client {client} was never accepted"));
        }
    }

    /// The port is gone: nothing may be left.
    pub(crate) fn check_gone(&mut self) {
        if let Some(socket) = self.sockets.iter().find(|socket| !socket.ended) {
            self.note(format!("no farewell: {socket:?}"));
        }
        if self.listeners.iter().any(|listener| !listener.ended) {
            self.note("a listener without a farewell".into());
        }
        self.check_mail();
        self.sockets.iter_mut().for_each(|socket| socket.mail = None);
        self.returned.clear();
        self.kept.clear();
        self.attempts.clear();
        self.clients.iter_mut().for_each(|client| client.peer = None);
        let held = self.held.load(Ordering::Relaxed);
        let (open, live) = (self.network.open_sockets(), self.network.live_sockets());
        if (held, open, live) != (0, 0, 0) {
            self.note(format!("left over: {held} values of the program's, {open} numbers, {live} sockets"));
        }
    }
}
