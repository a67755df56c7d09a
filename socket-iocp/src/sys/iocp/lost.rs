//! Cancels of sends from files that have found nothing, and are made again until the completion has come.
//!
//! A cancel that finds nothing has come too late: the completion is on its way. Not so in Wine 8, which goes on with a TransmitFile
//! each time that the socket has room; in the moment before it does, it finds nothing to cancel, and what it goes on with stays for
//! as long as the peer does not read. To make the cancel once more does no harm anywhere: it names the socket and the OVERLAPPED.

use super::memory::SocketMemory;
use crate::RawSocket;
use crate::sys::Direction;
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::IO::CancelIoEx;

/// How long a wait may take while one is to be made again.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Default)]
pub(super) struct LostCancels(Vec<(RawSocket, &'static SocketMemory)>);

// SAFETY: the OVERLAPPEDs in the memories are no thread's; a backend is used by one thread at a time, and its sockets' memories with it.
unsafe impl Send for LostCancels {}

impl LostCancels {
    /// A cancel of this socket's send has found nothing. Without memory it is left at that.
    pub(super) fn note(&mut self, socket: RawSocket, memory: &'static SocketMemory) {
        if memory.is_file_cancelling() && self.0.try_reserve(1).is_ok() {
            self.0.push((socket, memory));
        }
    }

    /// Makes again what is to be made again; how long the wait that follows may take.
    pub(super) fn repeat(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        if self.0.is_empty() {
            return timeout;
        }
        self.0.retain(|(socket, memory)| {
            // SAFETY: the OVERLAPPED only names the operation, and is in a slot, which stays. A socket that has come into the slot
            // has another number, or is cancelling too.
            let lost = || unsafe { CancelIoEx(*socket as HANDLE, memory.overlapped(Direction::Send)) == 0 };
            memory.is_file_cancelling() && lost()
        });
        if self.0.is_empty() { timeout } else { Some(timeout.map_or(PAUSE, |timeout| timeout.min(PAUSE))) }
    }
}
