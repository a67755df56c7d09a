//! Sending from a file: a part of it is read into memory and sent at once.
//!
//! Not by sendfile(2): it has no MSG_DONTWAIT, so that it would block on a socket that the program has left blocking, and no
//! MSG_NOSIGNAL (docs/performance.md has what it would save). What a send leaves is read again later, since one chunk serves
//! all sockets of the worker; a socket is tried only when it is believed writable, which it is not again before the kernel has
//! room for a good part of its buffer.

use super::transfer::Gather;
use super::{Backend, enter, flags, pending, try_send};
use crate::RawSocket;
use crate::buffer::FilePart;
use crate::sys::{FILE_CHUNK, Failure, Key, SocketIo, Submitted};
use std::iter;

impl Backend {
    pub(crate) fn send_file(
        &mut self,
        io: &mut SocketIo,
        key: Key,
        socket: RawSocket,
        part: FilePart<'_>,
    ) -> Submitted<usize> {
        if let Err(failure) = enter(io, socket) {
            return Submitted::Done(Err(failure));
        }
        if io.flags & flags::WRITABLE != 0 {
            let bytes = match self.read(part) {
                Ok(bytes) => bytes,
                Err(failure) => return Submitted::Done(Err(failure)),
            };
            if let Some(result) = try_send(io, socket, &Gather::new(iter::once(bytes))) {
                return Submitted::Done(result);
            }
        }
        pending(self.watch(io, key, socket, flags::READ_WATCHED | flags::WRITE_WATCHED))
    }

    /// The beginning of a part of a file, at least one byte.
    fn read(&mut self, part: FilePart<'_>) -> Result<&[u8], Failure> {
        if self.chunk.is_empty() {
            self.chunk.try_reserve_exact(FILE_CHUNK).map_err(|_| Failure::Shortage)?;
            self.chunk.resize(FILE_CHUNK, 0);
        }
        let place = &mut self.chunk[..part.len.min(FILE_CHUNK)];
        match part.file.read_at(part.offset, place) {
            Ok(0) => Err(Failure::FileEnded),
            Ok(len) => Ok(&place[..len]),
            Err(error) => Err(Failure::File(error.raw_os_error().unwrap_or(libc::EIO))),
        }
    }
}
