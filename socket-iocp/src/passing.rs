//! Passing an open socket to another process of the same machine, with a few bytes of the program's beside it.
//!
//! A socket goes as one message over a stream that both processes have: a head, what the system needs to make it out
//! (`sys::passing`), and the program's bytes. No port is involved: a connection that is to move is removed from its
//! port first, and added to one of the other process.

use crate::sys::{from_io, passing};
use crate::{Error, ErrorCode};
use socket2::SockRef;
use std::io::{self, Read};
#[cfg(unix)]
use std::os::fd::{AsFd as AsOs, OwnedFd as Owned};
#[cfg(windows)]
use std::os::windows::io::{AsSocket as AsOs, OwnedSocket as Owned};

/// The most bytes that [`pass_socket`] sends beside a socket.
pub const MAX_PASSED_DATA: usize = 4096;

/// What [`take_passed_socket`] has taken.
#[derive(Debug)]
#[non_exhaustive]
pub struct PassedSocket {
    /// The socket: another owner of the same connection, or of the same listener.
    pub socket: Owned,
    /// What the other process sent beside it.
    pub data: Vec<u8>,
}

/// Sends a socket to the process at the other end of `channel`, and up to [`MAX_PASSED_DATA`] bytes beside it, in one message.
/// The process gets it by [`take_passed_socket`].
///
/// To move a live connection, [`remove`](crate::PortHandle::remove) its socket from the port and pass what the farewell hands
/// back; what has been received and not answered yet goes in `data`, or over the channel as ordinary bytes. A listener is passed
/// likewise, after its own farewell. Both processes have the socket then, as with every duplicate: the caller's still is to be
/// dropped, which ends nothing while the other one is open. Drop it when the other process has said that it has its own: the
/// message is lost if that process ends before it reads it.
///
/// - `channel` is connected. On POSIX it is a stream socket of the Unix family
///   ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_RIGHTS`). On Windows it is any stream socket, since what
///   goes over it is a description that only the process with the number `process` can make a socket of
///   ([WSADuplicateSocketW](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsaduplicatesocketw)). Elsewhere
///   `process` is not used: 0 will do.
/// - Both processes use the same version of this library; whoever is at the other end of the channel is trusted with the socket.
/// - The call waits until the message is written, as a write to `channel` does. Several threads must not use one channel at once.
///
/// Errors: `InvalidArgument` (`data` is too long; on POSIX, `channel` is not of the Unix family; on Windows, there is no such
/// process), `BadSocket`, `BrokenPipe` or `Reset` (nobody reads from the channel any more), `Unsupported` (Windows: the socket's
/// provider has no way to share it), `Os` (Windows: no right to give that process a handle). If bytes of the message may have gone,
/// the channel is of no use any more.
pub fn pass_socket(channel: &impl AsOs, process: u32, socket: &impl AsOs, data: &[u8]) -> Result<(), Error> {
    if data.len() > MAX_PASSED_DATA {
        return Err(ErrorCode::InvalidArgument.into());
    }
    let mut message = Vec::with_capacity(HEAD_BYTES + passing::CARRIED_BYTES + data.len());
    message.extend(head(data.len()));
    message.resize(HEAD_BYTES + passing::CARRIED_BYTES, 0);
    message.extend(data);
    passing::send(&SockRef::from(channel), process, &SockRef::from(socket), &mut message)
}

/// Waits for a socket that another process sends by [`pass_socket`] over `channel`. It is open, is not inherited by programs that this
/// one starts, and can be added to a port.
///
/// Errors: `Eof` (the other process has closed the channel, perhaps in the middle of a message), `InvalidArgument` (what came is no
/// passed socket: the channel is of no use any more), `NoDescriptors` (this process can have no more descriptors; the message is
/// read, the sender still has its socket), and those of a read from `channel`.
pub fn take_passed_socket(channel: &impl AsOs) -> Result<PassedSocket, Error> {
    let channel = SockRef::from(channel);
    let mut message = [0; HEAD_BYTES + passing::CARRIED_BYTES];
    let carried = passing::receive(&channel, &mut message)?;
    let mut data = vec![0; length_in(&message)?];
    read_exact(&channel, &mut data)?;
    // When the message is read as a whole, so that the next one begins where this one ends.
    let socket = carried.into_socket(&message[HEAD_BYTES..])?;
    Ok(PassedSocket { socket, data })
}

/// A mark, the form of the message, and the number of the program's bytes.
pub(crate) const HEAD_BYTES: usize = 8;
/// What every message of this form begins with.
const MARK: [u8; 4] = *b"soc1";

fn head(data: usize) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = MARK;
    let [e, f, g, h] = (data as u32).to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The number of the program's bytes behind a head.
fn length_in(message: &[u8]) -> Result<usize, Error> {
    let &[a, b, c, d, e, f, g, h, ..] = message else { return Err(ErrorCode::InvalidArgument.into()) };
    let length = u32::from_le_bytes([e, f, g, h]) as usize;
    if [a, b, c, d] == MARK && length <= MAX_PASSED_DATA { Ok(length) } else { Err(ErrorCode::InvalidArgument.into()) }
}

/// Reads so many bytes of a channel.
pub(crate) fn read_exact(mut channel: &socket2::Socket, bytes: &mut [u8]) -> Result<(), Error> {
    channel.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ErrorCode::Eof.into(),
        _ => from_io(&error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_the_length() {
        for length in [0, 1, MAX_PASSED_DATA] {
            assert_eq!(length_in(&head(length)), Ok(length));
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let refused = Err(ErrorCode::InvalidArgument.into());
        assert_eq!(length_in(&head(MAX_PASSED_DATA + 1)), refused);
        assert_eq!(length_in(b"GET / HT"), refused);
        assert_eq!(length_in(&head(1)[..7]), refused);
    }
}
