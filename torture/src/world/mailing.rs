//! The datagram sockets, and the correspondents that write to them.

use super::State;
use crate::bytes::Stream;
use crate::mail::{Letter, Mail};
use crate::model::{Broken, Socket};
use socket_iocp::{Error, RawSocket, SocketHandle};

impl State {
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

    /// A datagram's callback.
    pub(crate) fn mailed(&mut self, place: usize, result: &Result<Letter, Error>) -> Result<(), Broken> {
        let (size, around) = (self.setup.read_buffer_size, self.around(place));
        self.sockets[place].mailed(result, size, around)
    }

    /// Every send has been reported: what has come is what has gone.
    pub(super) fn check_mail(&mut self) {
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
}
