//! What the port connects, and the network's own listener.

use super::Stage;
use crate::handler::SocketToken;
use crate::model::Connect;
use crate::program::{Host, Whither};
use crate::world::State;
use socket_iocp::sim::SimSocket;
use socket_iocp::{Error, ErrorCode, RawSocket, SocketHandle};
use std::time::Duration;

/// The number of a socket that there is not yet.
const NO_SOCKET: RawSocket = !0;

/// What comes of two addresses: a connection if one can be had, else the wait for the one that does not answer.
fn best_of(first: Whither, second: Whither) -> Whither {
    let any = |whither| (first == whither || second == whither).then_some(whither);
    any(Whither::Far).or(any(Whither::Silent)).unwrap_or(Whither::Nobody)
}

/// A connect has been issued, or was refused.
fn begun(state: &mut State, answer: Result<SocketHandle, Error>, raw: RawSocket, connect: Connect) {
    match answer {
        Ok(handle) => state.add_connecting(handle, raw, connect),
        Err(error) if state.setup.max_sockets != 0 && error.code() == ErrorCode::Limit => {}
        Err(error) if state.shutdown.is_some() && error.code() == ErrorCode::Closed => {}
        Err(error) => state.note(format!("a socket was not connected: {error}")),
    }
}

impl Stage {
    pub(super) fn connect_out(&self, whither: Whither, limit_ms: u16) {
        if self.port.is_none() {
            return;
        }
        let socket = self.network.socket();
        let target = match whither {
            Whither::Far => self.far.as_ref().and_then(SimSocket::local_addr),
            // Its own: a socket does not listen.
            Whither::Nobody => socket.local_addr(),
            Whither::Silent => Some(self.network.silent_address()),
            Whither::Own(at) => {
                let Some((place, _)) = self.pick_listener(at) else { return };
                Some(self.world.enter().listeners[place].address)
            }
        };
        let (raw, ends) = (socket.as_raw(), (socket.local_addr(), target));
        let limit = (limit_ms != 0).then(|| Duration::from_millis(limit_ms.into()));
        let mut state = self.world.enter();
        state.operations += 1;
        let token = SocketToken::new(state.sockets.len(), &state.held);
        let address = target.expect("a listener has an address").into();
        let connect = Connect {
            whither,
            host: None,
            ends,
            limit: limit.map(|limit| self.network.now() + limit),
            cancelled: false,
        };
        let answer = match limit {
            Some(limit) => self.handle.connect_within(socket, &address, limit, token),
            None => self.handle.connect(socket, &address, token),
        };
        begun(&mut state, answer.map_err(|refused| refused.error), raw, connect);
    }

    pub(super) fn connect_host(&self, host: Host, limit_ms: u16) {
        if self.port.is_none() {
            return;
        }
        let Some(far) = self.far.as_ref().and_then(SimSocket::local_addr) else { return };
        let address = |whither| match whither {
            Whither::Silent => self.network.silent_address(),
            // A socket does not listen, and this one is gone at once.
            Whither::Nobody => self.network.socket().local_addr().expect("a socket has an address"),
            Whither::Far | Whither::Own(_) => far,
        };
        let (name, port) = (if host == Host::Literal { far.ip().to_string() } else { "host".into() }, far.port());
        self.names.forget(&name);
        let whither = match host {
            Host::Unknown => Whither::Nobody,
            Host::Literal => Whither::Far,
            Host::Hangs => {
                self.names.add_hanging(&name);
                Whither::Silent
            }
            Host::Known(first, second) => {
                self.names.add(&name, &[address(first), address(second)]);
                best_of(first, second)
            }
        };
        let limit = (limit_ms != 0).then(|| Duration::from_millis(limit_ms.into()));
        let mut state = self.world.enter();
        state.operations += 1;
        let token = SocketToken::new(state.sockets.len(), &state.held);
        let (ends, limit_at) = ((None, Some(far)), limit.map(|limit| self.network.now() + limit));
        let connect = Connect { whither, host: Some(host), ends, limit: limit_at, cancelled: false };
        let answer = match limit {
            Some(limit) => self.handle.connect_host_within(&name, port, limit, token),
            None => self.handle.connect_host(&name, port, token),
        };
        begun(&mut state, answer.map_err(|refused| refused.error), NO_SOCKET, connect);
    }

    /// The network's own listener takes what is in its queue. True if there was something.
    pub(super) fn answer(&self) -> bool {
        let mut any = false;
        while let Some(peer) = self.far.as_ref().and_then(SimSocket::try_accept) {
            any = true;
            let mut state = self.world.enter();
            state.operations += 1;
            if !state.answered(peer) {
                state.note("a connection that no socket of the port has made".into());
            }
        }
        any
    }
}
