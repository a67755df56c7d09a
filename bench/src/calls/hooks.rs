//! The functions whose calls are counted: in the program's import table each is replaced by one that counts and calls
//! it.
//!
//! That counts what the program's own code calls, std's and socket-iocp's included, and not what the system's modules
//! call of each other. Functions that a program asks for by name or by number, as AcceptEx, are not seen; none of them
//! is called for a message.

use super::counters::{Counters, Counts, Operation, are_counted};
use super::imports::{Import, imports};
use crate::error::Error;
use std::ffi::c_void;
use std::mem::transmute;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use windows_sys::Wdk::Storage::FileSystem::{self as native, FILE_INFORMATION_CLASS};
use windows_sys::Win32::Foundation::{GetLastError, HANDLE, NTSTATUS, SetLastError};
use windows_sys::Win32::Networking::WinSock::{self as winsock, *};
use windows_sys::Win32::Storage::FileSystem as files;
use windows_sys::Win32::System::IO::{self as ports, IO_STATUS_BLOCK, OVERLAPPED, OVERLAPPED_ENTRY};
use windows_sys::core::{BOOL, PCSTR, PSTR};

/// The type of a completion routine.
type Routine = LPWSAOVERLAPPED_COMPLETION_ROUTINE;

/// Makes the wrapper of each function: it counts, calls the function, and notes what that has started.
macro_rules! counted {
    ($(
        $module:ident::$name:ident($($argument:ident: $kind:ty),*) -> $result:ty
            $(, starts $operation:ident by $overlapped:ident)?;
    )+) => {
        /// Their places in tables.
        #[allow(non_camel_case_types, clippy::enum_variant_names, reason = "the functions' own names")]
        #[derive(Clone, Copy)]
        enum Place {
            GetQueuedCompletionStatusEx,
            $($name,)+
        }

        /// Their names, in the order of their places.
        pub(super) const NAMES: &[&str] = &["GetQueuedCompletionStatusEx", $(stringify!($name),)+];

        /// What the program finds in their stead, in the order of their places.
        fn wrappers() -> [usize; NAMES.len()] {
            [wait as *const () as usize, $(wrappers::$name as *const () as usize,)+]
        }

        #[allow(non_snake_case, clippy::too_many_arguments, reason = "as the functions are")]
        mod wrappers {
            use super::*;
            $(
                /// # Safety
                /// As the function itself.
                pub(super) unsafe extern "system" fn $name($($argument: $kind),*) -> $result {
                    type Function = unsafe extern "system" fn($($kind),*) -> $result;
                    const _: Function = $module::$name;
                    count(Place::$name);
                    // SAFETY: the address is that of the function, whose type is as checked above. Its conditions are
                    // the caller's to keep.
                    let result = unsafe { transmute::<usize, Function>(original(Place::$name))($($argument),*) };
                    $(started(Operation::$operation, $overlapped, result);)?
                    result
                }
            )+
        }
    };
}

counted! {
    ports::GetQueuedCompletionStatus(
        port: HANDLE, bytes: *mut u32, key: *mut usize, overlapped: *mut *mut OVERLAPPED, milliseconds: u32
    ) -> BOOL;
    ports::PostQueuedCompletionStatus(port: HANDLE, bytes: u32, key: usize, overlapped: *const OVERLAPPED) -> BOOL;
    ports::CreateIoCompletionPort(file: HANDLE, port: HANDLE, key: usize, threads: u32) -> HANDLE;
    ports::CancelIoEx(file: HANDLE, overlapped: *const OVERLAPPED) -> BOOL;
    ports::CancelIo(file: HANDLE) -> BOOL;
    files::SetFileCompletionNotificationModes(file: HANDLE, flags: u8) -> BOOL;
    native::NtSetInformationFile(
        file: HANDLE, status: *mut IO_STATUS_BLOCK, information: *const c_void, bytes: u32,
        class: FILE_INFORMATION_CLASS
    ) -> NTSTATUS;
    native::NtQueryInformationFile(
        file: HANDLE, status: *mut IO_STATUS_BLOCK, information: *mut c_void, bytes: u32, class: FILE_INFORMATION_CLASS
    ) -> NTSTATUS;
    winsock::WSARecv(
        socket: SOCKET, buffers: *const WSABUF, count: u32, bytes: *mut u32, flags: *mut u32,
        overlapped: *mut OVERLAPPED, routine: Routine
    ) -> i32, starts Recv by overlapped;
    winsock::WSASend(
        socket: SOCKET, buffers: *const WSABUF, count: u32, bytes: *mut u32, flags: u32, overlapped: *mut OVERLAPPED,
        routine: Routine
    ) -> i32, starts Send by overlapped;
    winsock::recv(socket: SOCKET, buffer: PSTR, bytes: i32, flags: SEND_RECV_FLAGS) -> i32;
    winsock::send(socket: SOCKET, buffer: PCSTR, bytes: i32, flags: SEND_RECV_FLAGS) -> i32;
    winsock::WSARecvFrom(
        socket: SOCKET, buffers: *const WSABUF, count: u32, bytes: *mut u32, flags: *mut u32, from: *mut SOCKADDR,
        from_bytes: *mut i32, overlapped: *mut OVERLAPPED, routine: Routine
    ) -> i32, starts Recv by overlapped;
    winsock::WSASendTo(
        socket: SOCKET, buffers: *const WSABUF, count: u32, bytes: *mut u32, flags: u32, to: *const SOCKADDR,
        to_bytes: i32, overlapped: *mut OVERLAPPED, routine: Routine
    ) -> i32, starts Send by overlapped;
    winsock::WSASendMsg(
        socket: SOCKET, message: *const WSAMSG, flags: u32, bytes: *mut u32, overlapped: *mut OVERLAPPED,
        routine: Routine
    ) -> i32, starts Send by overlapped;
    winsock::recvfrom(
        socket: SOCKET, buffer: PSTR, bytes: i32, flags: i32, from: *mut SOCKADDR, from_bytes: *mut i32
    ) -> i32;
    winsock::sendto(socket: SOCKET, buffer: PCSTR, bytes: i32, flags: i32, to: *const SOCKADDR, to_bytes: i32) -> i32;
    winsock::WSAGetOverlappedResult(
        socket: SOCKET, overlapped: *const OVERLAPPED, bytes: *mut u32, wait: BOOL, flags: *mut u32
    ) -> BOOL;
    winsock::WSAGetLastError() -> WSA_ERROR;
    winsock::WSAIoctl(
        socket: SOCKET, code: u32, input: *const c_void, input_bytes: u32, output: *mut c_void, output_bytes: u32,
        bytes: *mut u32, overlapped: *mut OVERLAPPED, routine: Routine
    ) -> i32;
    winsock::ioctlsocket(socket: SOCKET, command: i32, argument: *mut u32) -> i32;
    winsock::setsockopt(socket: SOCKET, level: i32, option: i32, value: PCSTR, bytes: i32) -> i32;
    winsock::getsockopt(socket: SOCKET, level: i32, option: i32, value: PSTR, bytes: *mut i32) -> i32;
    winsock::getsockname(socket: SOCKET, name: *mut SOCKADDR, bytes: *mut i32) -> i32;
    winsock::getpeername(socket: SOCKET, name: *mut SOCKADDR, bytes: *mut i32) -> i32;
    winsock::shutdown(socket: SOCKET, how: WINSOCK_SHUTDOWN_HOW) -> i32;
    winsock::closesocket(socket: SOCKET) -> i32;
    winsock::WSASocketW(
        family: i32, kind: i32, protocol: i32, info: *const WSAPROTOCOL_INFOW, group: u32, flags: u32
    ) -> SOCKET;
    winsock::select(
        count: i32, readable: *mut FD_SET, writable: *mut FD_SET, failed: *mut FD_SET, timeout: *const TIMEVAL
    ) -> i32;
    winsock::WSAPoll(sockets: *mut WSAPOLLFD, count: u32, milliseconds: i32) -> i32;
}

static COUNTERS: Counters<{ NAMES.len() }> = Counters::new();
/// Whether what is done at once sends no completion.
static SKIPS: AtomicBool = AtomicBool::new(false);
static ORIGINALS: [AtomicUsize; NAMES.len()] = [const { AtomicUsize::new(0) }; NAMES.len()];

fn original(place: Place) -> usize {
    ORIGINALS[place as usize].load(Ordering::Acquire)
}

/// Counts a call. Tells whether it is counted.
fn count(place: Place) -> bool {
    keeping_the_last_error(|| {
        let counted = are_counted();
        if counted {
            COUNTERS.add(place as usize);
        }
        counted
    })
}

/// Notes an operation whose completion will come.
fn started(operation: Operation, overlapped: *mut OVERLAPPED, answer: i32) {
    keeping_the_last_error(|| {
        // SAFETY: the call takes no memory.
        let pending = answer == SOCKET_ERROR && unsafe { GetLastError() } == WSA_IO_PENDING as u32;
        let completes = pending || answer != SOCKET_ERROR && !SKIPS.load(Ordering::Relaxed);
        if completes && are_counted() {
            COUNTERS.operation_begins(operation, overlapped.addr());
        }
    });
}

/// Does something of ours between the program and its functions. A thread's own data is enough to set its last error,
/// and one of the functions reads it.
fn keeping_the_last_error<T>(ours: impl FnOnce() -> T) -> T {
    // SAFETY: the call takes no memory.
    let error = unsafe { GetLastError() };
    let result = ours();
    // SAFETY: as above.
    unsafe { SetLastError(error) };
    result
}

/// GetQueuedCompletionStatusEx, which also tells when the server is at rest.
///
/// # Safety
/// As the function itself.
unsafe extern "system" fn wait(
    port: HANDLE,
    entries: *mut OVERLAPPED_ENTRY,
    room: u32,
    found: *mut u32,
    milliseconds: u32,
    alertable: BOOL,
) -> BOOL {
    type Function = unsafe extern "system" fn(HANDLE, *mut OVERLAPPED_ENTRY, u32, *mut u32, u32, BOOL) -> BOOL;
    const _: Function = ports::GetQueuedCompletionStatusEx;
    // SAFETY: the address is that of the function, whose type is as checked above.
    let function: Function = unsafe { transmute(original(Place::GetQueuedCompletionStatusEx)) };
    let counted = count(Place::GetQueuedCompletionStatusEx);
    if counted {
        COUNTERS.wait_begins();
    }
    // SAFETY: the function's conditions are the caller's to keep.
    let taken = unsafe { function(port, entries, room, found, milliseconds, alertable) };
    if counted {
        // SAFETY: on success the function has written the number and as many entries, which are the caller's.
        let entries =
            if taken == 0 { &[][..] } else { unsafe { slice::from_raw_parts(entries, found.read() as usize) } };
        keeping_the_last_error(|| COUNTERS.wait_ends(entries.iter().map(|entry| entry.lpOverlapped.addr())));
    }
    taken
}

/// The right to count: one server at a time.
#[derive(Debug)]
pub(super) struct Session {
    _alone: MutexGuard<'static, ()>,
}

impl Session {
    /// Waits until nobody else counts; the first one changes the import table. `skip_on_success`: what the server does
    /// at once sends no completion.
    pub(super) fn begin(skip_on_success: bool) -> Result<Session, Error> {
        static ALONE: Mutex<()> = Mutex::new(());
        let session = Session { _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner) };
        if original(Place::GetQueuedCompletionStatusEx) == 0 {
            install()?;
        }
        SKIPS.store(skip_on_success, Ordering::Relaxed);
        COUNTERS.begin();
        Ok(session)
    }

    /// The counts so far, at a moment at which the server has nothing to do on any of so many connections.
    pub(super) fn at_rest(&self, connections: usize) -> Result<Counts<{ NAMES.len() }>, Error> {
        COUNTERS.at_rest(connections)
    }
}

/// The modules that the functions come from.
const MODULES: [&str; 4] = ["ws2_32.dll", "mswsock.dll", "kernel32.dll", "ntdll.dll"];

/// The place of what is imported, if it is counted.
fn place_of(import: &Import) -> Option<usize> {
    let is_of = |module: &&str| module.eq_ignore_ascii_case(import.module);
    if MODULES.iter().any(is_of) { NAMES.iter().position(|name| *name == import.name) } else { None }
}

fn install() -> Result<(), Error> {
    let wrappers = wrappers();
    for import in imports() {
        let Some(place) = place_of(&import) else { continue };
        if import.address() == wrappers[place] {
            continue;
        }
        ORIGINALS[place].store(import.address(), Ordering::Release);
        // SAFETY: the wrapper has the function's signature (`counted` checks it) and calls it.
        unsafe { import.replace(wrappers[place]) }?;
    }
    Ok(())
}

/// Functions of Winsock that are not counted, since nobody calls them for a message: they belong to its start, to
/// names, and to how connections come to be.
const NOT_FOR_MESSAGES: [&str; 14] = [
    "AcceptEx",
    "GetAcceptExSockaddrs",
    "GetHostNameW",
    "WSACleanup",
    "WSADuplicateSocketW",
    "WSAEnumProtocolsW",
    "WSAStartup",
    "accept",
    "bind",
    "connect",
    "freeaddrinfo",
    "getaddrinfo",
    "gethostname",
    "listen",
];

/// What this program imports of Winsock and of completion ports beside these. A count that misses it may be too low.
pub(super) fn missed() -> Vec<String> {
    let is_ours = |import: &Import| {
        let of_winsock = MODULES[..2].iter().any(|module| module.eq_ignore_ascii_case(import.module));
        of_winsock || import.name.contains("Completion") || import.name.starts_with("CancelIo")
    };
    let is_missed = |import: &Import| place_of(import).is_none() && !NOT_FOR_MESSAGES.contains(&import.name);
    imports()
        .iter()
        .filter(|import| is_ours(import) && is_missed(import))
        .map(|import| import.name.to_owned())
        .collect()
}
