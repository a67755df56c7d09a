//! One end of a connection: its bytes, FIN and RST, with the answers that Linux gives (each tried on a real kernel).
//!
//! - recv: the bytes that are there; then 0 once the peer's FIN has come; then the error of a reset, once; then 0.
//! - send: the error of a reset, once; then EPIPE after an own FIN or a reset.
//! - A close with unread bytes resets the peer; so does a send to a peer that has closed, after taking the bytes.
//! - A reset is ECONNRESET, or EPIPE if the FIN had come before it; it does nothing to an end with FINs both ways.
//!
//! Bytes are on the reader's side as soon as a send has moved them: what makes a network late and ragged is in how the
//! operations end (`attempt.rs`).

use super::state::{Kind, SocketId, State};
use crate::sys::errno;
use std::collections::VecDeque;
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The other end; `None` when it has closed, or the connection is reset.
    peer: Option<SocketId>,
    incoming: VecDeque<u8>,
    /// The most bytes in `incoming`.
    window: usize,
    fin_received: bool,
    fin_sent: bool,
    reset: bool,
    /// What a reset left for the next operation to report.
    error: Option<i32>,
}

/// What a send would meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// The send fails.
    Failed,
    /// The window is full.
    Full,
    /// The send can move this many bytes.
    Bytes(usize),
}

impl Stream {
    fn new(local: SocketAddr, remote: SocketAddr, window: usize) -> Stream {
        Stream {
            local,
            remote,
            peer: None,
            incoming: VecDeque::new(),
            window: window.max(1),
            fin_received: false,
            fin_sent: false,
            reset: false,
            error: None,
        }
    }

    /// Neither end will send any more: the connection is over as far as TCP is concerned.
    fn finished(&self) -> bool {
        self.fin_sent && self.fin_received
    }

    /// `getpeername` answers.
    pub(super) fn connected(&self) -> bool {
        !self.reset && !self.finished()
    }

    fn receivable(&self) -> bool {
        !self.incoming.is_empty() || self.fin_received || self.reset
    }

    /// Takes bytes out, in order, as many as fit.
    fn take(&mut self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.incoming.len());
        let (front, back) = self.incoming.as_slices();
        let split = len.min(front.len());
        out[..split].copy_from_slice(&front[..split]);
        out[split..len].copy_from_slice(&back[..len - split]);
        self.incoming.drain(..len);
        len
    }

    fn break_with(&mut self, error: Option<i32>) {
        self.reset = true;
        self.peer = None;
        self.error = error;
    }

    fn reset_error(&self) -> i32 {
        if self.fin_received { errno::EPIPE } else { errno::ECONNRESET }
    }
}

impl State {
    /// Two connected ends, each with one reference: the client's and the server's.
    pub(super) fn create_pair(&mut self, client: SocketAddr, server: SocketAddr) -> (SocketId, SocketId) {
        let window = self.behaviour.window_bytes;
        let near = self.create(Kind::Stream(Stream::new(client, server, window)));
        let far = self.create(Kind::Stream(Stream::new(server, client, window)));
        self.stream_mut(near).expect("just made").peer = Some(far);
        self.stream_mut(far).expect("just made").peer = Some(near);
        (near, far)
    }

    /// Connects a socket that is not connected yet; the other end is in the listener's queue then.
    ///
    /// Errors: ECONNREFUSED, EISCONN.
    pub(super) fn connect(&mut self, id: SocketId, address: SocketAddr) -> Result<(), i32> {
        let Kind::Fresh { local } = self.socket(id).kind else { return Err(errno::EISCONN) };
        let listener = self.listener_at(address).ok_or(errno::ECONNREFUSED)?;
        let window = self.behaviour.window_bytes;
        let mut far = Stream::new(address, local, window);
        far.peer = Some(id);
        let far = self.create(Kind::Stream(far));
        let near = Stream { peer: Some(far), ..Stream::new(local, address, window) };
        self.sockets.get_mut(&id).expect("it is referred to").kind = Kind::Stream(near);
        self.queue(listener).expect("a listener has one").push_back(far);
        Ok(())
    }

    /// The connection's end, if the socket is one.
    pub(super) fn stream(&self, id: SocketId) -> Option<&Stream> {
        match &self.socket(id).kind {
            Kind::Stream(stream) => Some(stream),
            Kind::Fresh { .. } | Kind::Listener { .. } | Kind::Datagram(_) => None,
        }
    }

    fn stream_mut(&mut self, id: SocketId) -> Option<&mut Stream> {
        match self.sockets.get_mut(&id).map(|socket| &mut socket.kind) {
            Some(Kind::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    fn peer_mut(&mut self, id: SocketId) -> Option<&mut Stream> {
        let peer = self.stream(id)?.peer?;
        self.stream_mut(peer)
    }

    /// A recv would end now. On a listener it fails, which is an end too.
    pub(super) fn receivable(&self, id: SocketId) -> bool {
        self.stream(id).is_none_or(Stream::receivable)
    }

    /// The bytes that a recv could bring now.
    pub(super) fn readable_bytes(&self, id: SocketId) -> usize {
        self.stream(id).map_or(0, |stream| stream.incoming.len())
    }

    /// Receives; `None` when there is nothing to receive yet.
    pub(super) fn receive(&mut self, id: SocketId, out: &mut [u8]) -> Option<Result<usize, i32>> {
        let Some(stream) = self.stream_mut(id) else {
            return Some(Err(errno::ENOTCONN));
        };
        if !stream.incoming.is_empty() {
            return Some(Ok(stream.take(out)));
        }
        if stream.fin_received {
            return Some(Ok(0));
        }
        if let Some(error) = stream.error.take() {
            return Some(Err(error));
        }
        stream.reset.then_some(Ok(0))
    }

    /// What a send would meet.
    pub(super) fn room(&self, id: SocketId) -> Room {
        let Some(stream) = self.stream(id) else {
            return Room::Failed;
        };
        if stream.fin_sent || stream.reset {
            return Room::Failed;
        }
        let Some(peer) = stream.peer.and_then(|peer| self.stream(peer)) else {
            // The peer has closed: the bytes leave, and a reset comes back.
            return Room::Bytes(stream.window);
        };
        match peer.window - peer.incoming.len() {
            0 => Room::Full,
            bytes => Room::Bytes(bytes),
        }
    }

    /// Sends the first `limit` bytes of these slices, or fewer if the window is smaller; `None` when it is full.
    pub(super) fn transmit<'b>(
        &mut self,
        id: SocketId,
        slices: impl Iterator<Item = &'b [u8]>,
        limit: usize,
    ) -> Option<Result<usize, i32>> {
        let bytes = match self.room(id) {
            Room::Full => return None,
            Room::Failed => return Some(Err(self.take_send_error(id))),
            Room::Bytes(bytes) => bytes.min(limit),
        };
        let mut rest = bytes;
        if let Some(peer) = self.peer_mut(id) {
            for slice in slices {
                let part = rest.min(slice.len());
                peer.incoming.extend(&slice[..part]);
                rest -= part;
            }
            return Some(Ok(bytes - rest));
        }
        if let Some(stream) = self.stream_mut(id) {
            stream.break_with(Some(stream.reset_error()));
        }
        Some(Ok(bytes))
    }

    fn take_send_error(&mut self, id: SocketId) -> i32 {
        match self.stream_mut(id) {
            Some(stream) => stream.error.take().unwrap_or(errno::EPIPE),
            None => errno::ENOTCONN,
        }
    }

    /// Sends FIN.
    pub(super) fn shut_down(&mut self, id: SocketId) {
        if let Some(stream) = self.stream_mut(id) {
            stream.fin_sent = true;
        }
        if let Some(peer) = self.peer_mut(id) {
            peer.fin_received = true;
        }
    }

    /// The connection fails: this end's operation reports why, the other end meets a reset.
    pub(super) fn break_connection(&mut self, id: SocketId) {
        let peer = self.stream(id).and_then(|stream| stream.peer);
        if let Some(stream) = self.stream_mut(id) {
            stream.break_with(None);
        }
        if let Some(peer) = peer {
            self.reset(peer);
        }
    }

    /// RST arrives at this end.
    fn reset(&mut self, id: SocketId) {
        let State { behaviour, random, .. } = self;
        let loses = random.chance(behaviour.reset_loss_probability);
        let Some(Kind::Stream(stream)) = self.sockets.get_mut(&id).map(|socket| &mut socket.kind) else {
            return;
        };
        stream.peer = None;
        if stream.finished() {
            return;
        }
        stream.break_with(Some(stream.reset_error()));
        if loses {
            let kept = self.random.below(stream.incoming.len() + 1);
            stream.incoming.truncate(kept);
        }
    }

    /// The last reference to an end has gone.
    pub(super) fn end_stream(&mut self, stream: Stream, by_reset: bool) {
        let Some(peer) = stream.peer else {
            return;
        };
        if by_reset || !stream.incoming.is_empty() {
            self.reset(peer);
        } else if let Some(peer) = self.stream_mut(peer) {
            peer.fin_received = true;
            peer.peer = None;
        }
    }
}
