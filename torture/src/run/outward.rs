//! What the port connects, and the network's own listener.

use super::Stage;
use crate::handler::SocketToken;
use crate::model::Connect;
use crate::program::Whither;
use socket_iocp::ErrorCode;
use socket_iocp::sim::SimSocket;
use std::time::Duration;

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
        let connect = Connect { whither, ends, limit: limit.map(|limit| self.network.now() + limit), cancelled: false };
        let answer = match limit {
            Some(limit) => self.handle.connect_within(socket, &address, limit, token),
            None => self.handle.connect(socket, &address, token),
        };
        match answer.map_err(|refused| refused.error) {
            Ok(handle) => state.add_connecting(handle, raw, connect),
            Err(error) if state.setup.max_sockets != 0 && error.code() == ErrorCode::Limit => {}
            Err(error) if state.shutdown.is_some() && error.code() == ErrorCode::Closed => {}
            Err(error) => state.note(format!("a socket was not connected: {error}")),
        }
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
