//! The completion port itself, and how other threads reach it.

use crate::sys::windows::{from_io, last_error};
use crate::sys::{Key, SocketIo};
use crate::{Error, ErrorCode, RawSocket, SocketHandle};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_COMPLETION_INFORMATION, FileIoCompletionNotificationInformation, FileReplaceCompletionInformation,
    NtQueryInformationFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, HANDLE, INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
use windows_sys::Win32::Networking::WinSock::{self, IPPROTO_TCP, WSAEnumProtocolsW, WSAPROTOCOL_INFOW};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, IO_STATUS_BLOCK, OVERLAPPED_ENTRY, PostQueuedCompletionStatus,
};

/// `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS` of winbase.h. Its companion that spares the file object's event is not used: a
/// socket that is handed back would keep it.
const SKIP_ON_SUCCESS: u8 = 1;

/// What is kept of a socket in [`SocketIo`].
pub(super) mod flags {
    /// An operation that succeeds at once sends no completion.
    pub(in super::super) const SKIPS: u8 = 1;
    /// The next recv will find something.
    pub(in super::super) const READABLE: u8 = 1 << 1;
}

/// What a completion is about, from its completion key. A socket's key is its handle: even, and never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Waker,
    Listener,
    Socket(Key),
}

const WAKER: usize = 0;
const LISTENER: usize = 1;

impl Source {
    fn encode(self) -> usize {
        match self {
            Source::Waker => WAKER,
            Source::Listener => LISTENER,
            Source::Socket(key) => SocketHandle::new(key.index, key.generation).into_raw(),
        }
    }

    pub(super) fn of(entry: &OVERLAPPED_ENTRY) -> Option<Source> {
        match entry.lpCompletionKey {
            WAKER => Some(Source::Waker),
            LISTENER => Some(Source::Listener),
            other => SocketHandle::from_raw(other)
                .map(|handle| Source::Socket(Key { index: handle.index(), generation: handle.generation() })),
        }
    }
}

/// One worker's completion port. Other threads reach it by a clone.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    port: Arc<OwnedHandle>,
    skip_on_success: bool,
}

impl Waker {
    pub(super) fn new(skip_on_success: Option<bool>) -> Result<Waker, Error> {
        // One thread runs for a port at a time: its worker, or whoever drives it.
        // SAFETY: the call takes no memory.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() {
            return Err(last_error());
        }
        // SAFETY: the handle is new and nobody else's.
        let port = Arc::new(unsafe { OwnedHandle::from_raw_handle(port) });
        Ok(Waker { port, skip_on_success: skip_on_success.unwrap_or_else(every_provider_has_file_handles) })
    }

    fn raw(&self) -> HANDLE {
        self.port.as_raw_handle()
    }

    pub(crate) fn wake(&self) {
        // It is refused for want of memory only, and a wake-up must not be lost.
        // SAFETY: the port is open; the call takes no memory.
        while unsafe { PostQueuedCompletionStatus(self.raw(), 0, Source::Waker.encode(), ptr::null()) } == 0 {
            std::thread::yield_now();
        }
    }

    /// A datagram socket's operations send a completion, unless the program has set the mode: of a datagram that is longer than its
    /// buffer it is not said what the mode does.
    pub(crate) fn associate(&self, socket: RawSocket, key: Key, is_datagram: bool) -> Result<SocketIo, Error> {
        self.tie(socket, Source::Socket(key))?;
        let wanted = self.skip_on_success && !is_datagram;
        let skips = wanted && set_skip_on_success(socket) || skips_on_success(socket);
        Ok(SocketIo { flags: if skips { flags::SKIPS } else { 0 } })
    }

    /// A listener's accepts always send a completion: the mode would show on the program's own handle of it.
    pub(crate) fn associate_listener(&self, socket: RawSocket) -> Result<(), Error> {
        self.tie(socket, Source::Listener)
    }

    fn tie(&self, socket: RawSocket, source: Source) -> Result<(), Error> {
        // SAFETY: the call takes no memory; that the number is an open socket is the caller's promise.
        let tied = unsafe { CreateIoCompletionPort(socket as HANDLE, self.raw(), source.encode(), 0) };
        if !tied.is_null() {
            return Ok(());
        }
        let error = last_error();
        // How the call says that the file has a port already, or takes none.
        let refused = error.os_error() == Some(ERROR_INVALID_PARAMETER as i32);
        Err(if refused { Error::with_os(ErrorCode::Unsupported, ERROR_INVALID_PARAMETER as i32) } else { error })
    }

    /// Waits for completions, as many as fit. `Ok(0)`: the time has passed.
    pub(super) fn wait(&self, entries: &mut [OVERLAPPED_ENTRY], timeout: Option<Duration>) -> Result<usize, Error> {
        // Rounded up. The system may end a wait before its time all the same, by a tick of its clock: the worker looks at
        // its own clock.
        let timeout_ms = timeout.map_or(u32::MAX, |timeout| timeout.as_nanos().div_ceil(1_000_000) as u32);
        let mut found = 0;
        // SAFETY: the port is open, and the call writes at most so many entries.
        let taken = unsafe {
            GetQueuedCompletionStatusEx(
                self.raw(),
                entries.as_mut_ptr(),
                entries.len() as u32,
                &mut found,
                timeout_ms,
                0,
            )
        };
        if taken != 0 {
            return Ok(found as usize);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(WAIT_TIMEOUT as i32) { Ok(0) } else { Err(from_io(&error)) }
    }
}

fn set_skip_on_success(socket: RawSocket) -> bool {
    // SAFETY: the call takes no memory; a number that is no socket makes it fail.
    unsafe { SetFileCompletionNotificationModes(socket as HANDLE, SKIP_ON_SUCCESS) != 0 }
}

/// Whether somebody has set the mode before: it cannot be taken off again. A socket that was in a port may have it.
pub(super) fn skips_on_success(socket: RawSocket) -> bool {
    let mut status = IO_STATUS_BLOCK::default();
    let mut modes = 0u32;
    // SAFETY: the information of this class is one u32 of flags, for which there is room; the file is not written to.
    let answer = unsafe {
        NtQueryInformationFile(
            socket as HANDLE,
            &mut status,
            (&raw mut modes).cast(),
            size_of::<u32>() as u32,
            FileIoCompletionNotificationInformation,
        )
    };
    answer >= 0 && modes & u32::from(SKIP_ON_SUCCESS) != 0
}

/// Takes a socket off its completion port, if the system can (Windows 8.1 and later): it can then be added to another.
pub(in crate::sys) fn dissociate(socket: RawSocket) {
    let none = FILE_COMPLETION_INFORMATION { Port: ptr::null_mut(), Key: ptr::null_mut() };
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: the information of this class is as given, borrowed for the call.
    let _ = unsafe {
        NtSetInformationFile(
            socket as HANDLE,
            &mut status,
            (&raw const none).cast(),
            size_of::<FILE_COMPLETION_INFORMATION>() as u32,
            FileReplaceCompletionInformation,
        )
    };
}

/// Whether every provider of TCP sockets makes handles of the file system's. Where one does not (a layered provider of
/// the old kind), completions would be lost if they were skipped: see
/// [KB2568167](https://support.microsoft.com/kb/2568167).
fn every_provider_has_file_handles() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| providers().is_some_and(|providers| providers.iter().all(has_file_handles)))
}

fn has_file_handles(provider: &WSAPROTOCOL_INFOW) -> bool {
    provider.dwServiceFlags1 & WinSock::XP1_IFS_HANDLES != 0
}

/// The providers of TCP sockets; `None` if the system does not tell.
fn providers() -> Option<Vec<WSAPROTOCOL_INFOW>> {
    let tcp = [IPPROTO_TCP, 0];
    let mut bytes = 0u32;
    // SAFETY: without a buffer the call only tells how many bytes it needs.
    unsafe { WSAEnumProtocolsW(tcp.as_ptr(), ptr::null_mut(), &mut bytes) };
    let room = (bytes as usize).div_ceil(size_of::<WSAPROTOCOL_INFOW>());
    let mut found = Vec::new();
    found.try_reserve_exact(room).ok()?;
    // SAFETY: the call writes at most `bytes` bytes, for which there is room.
    let count = unsafe { WSAEnumProtocolsW(tcp.as_ptr(), found.as_mut_ptr(), &mut bytes) };
    let count = usize::try_from(count).ok().filter(|count| *count <= room)?;
    // SAFETY: the call has written so many.
    unsafe { found.set_len(count) };
    Some(found)
}
