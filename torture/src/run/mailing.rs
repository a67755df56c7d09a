//! Datagram sockets.

use super::Stage;
use crate::bytes::Stream;
use crate::handler::SocketToken;
use crate::mail::{Connection, Mail};
use socket_iocp::ErrorCode;

impl Stage {
    pub(super) fn add_datagram(&self, how: u8) {
        if self.port.is_none() {
            return;
        }
        let correspondent = self.network.datagram_socket(None);
        let connection = match how % 4 {
            0 => Connection::Correspondent,
            1 => Connection::Nobody,
            _ => Connection::None,
        };
        let remote = match connection {
            Connection::None => None,
            Connection::Correspondent => correspondent.local_addr(),
            // That of one that has gone.
            Connection::Nobody => self.network.datagram_socket(None).local_addr(),
        };
        let socket = self.network.datagram_socket(remote);
        let (raw, local) = (socket.as_raw(), socket.local_addr().expect("it has one"));
        let mut state = self.world.enter();
        state.operations += 1;
        let token = SocketToken::new(state.sockets.len(), &state.held);
        match self.handle.add_datagram(socket, token).map_err(|refused| refused.error) {
            Ok(handle) => {
                let stream = |stream: Stream| Mail::new(correspondent, local, connection, stream);
                state.add_mailing(handle, raw, stream);
            }
            Err(error) if state.setup.max_sockets != 0 && error.code() == ErrorCode::Limit => {}
            Err(error) if state.shutdown.is_some() && error.code() == ErrorCode::Closed => {}
            Err(error) => state.note(format!("a datagram socket was not added: {error}")),
        }
    }

    /// A correspondent writes to the socket.
    pub(super) fn write_mail(&self, at: u8, len: usize) {
        let mut state = self.world.enter();
        state.operations += 1;
        state.write_mail(at, len);
    }
}
