//! The successor's side of the hand-over.

use crate::control::{Word, hear, say};
use socket_iocp::take_passed_socket;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The server that is to be replaced.
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Whoever is at this place; `None`: nobody, or the file of one that has gone.
    pub fn find(place: &Path) -> io::Result<Option<Predecessor>> {
        match UnixStream::connect(place) {
            Ok(stream) => Ok(Some(Predecessor(stream))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The listening socket. It serves on: this one may still give up.
    pub fn listener(&self) -> io::Result<TcpListener> {
        Ok(TcpListener::from(take_passed_socket(&self.0)?.socket))
    }

    /// Returns when it accepts nothing any more. If it has died, that is so too.
    pub fn stop(&self) {
        let _ = say(&self.0, Word::Ready).and_then(|()| hear(&self.0, Word::Yours));
    }

    /// Connections are taken here now: it may end. If it has, good.
    pub fn release(&self) {
        let _ = say(&self.0, Word::Serving);
    }
}
