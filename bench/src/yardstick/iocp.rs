//! The yardstick of the IOCP backend: one thread, completions taken in batches, one overlapped operation under way on
//! each connection: the recv, then the send of what it brought from where it lies.

use crate::READ_BUFFER_SIZE;
use crate::calls::Mode;
use crate::error::{Doing, Error};
use std::io;
use std::net::TcpListener;
use std::os::windows::io::{
    AsRawHandle, AsRawSocket, FromRawHandle, FromRawSocket, OwnedHandle, OwnedSocket, RawSocket,
};
use std::ptr;
use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AcceptEx, INVALID_SOCKET, IPPROTO_TCP, SO_UPDATE_ACCEPT_CONTEXT, SOCK_STREAM, SOCKADDR_STORAGE, SOCKET,
    SOCKET_ERROR, SOL_SOCKET, WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED, WSA_IO_PENDING, WSABUF, WSAGetLastError,
    WSARecv, WSASend, WSASocketW, setsockopt,
};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED, OVERLAPPED_ENTRY,
};

/// Accepts under way at once.
const ACCEPTS: usize = 64;
/// Completions taken by one call.
const MAX_ENTRIES: usize = 128;
/// The room that AcceptEx wants for an address.
const ADDRESS_BYTES: usize = size_of::<SOCKADDR_STORAGE>() + 16;
/// `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS` of winbase.h.
const SKIP_ON_SUCCESS: u8 = 1;

/// What a connection has under way.
#[derive(Clone, Copy)]
enum UnderWay {
    Accept,
    /// A recv of no bytes, which ends when there are some.
    Wait,
    Recv,
    Send,
}

/// One connection, named by the address of its OVERLAPPED.
#[repr(C)]
struct Connection {
    overlapped: OVERLAPPED,
    under_way: UnderWay,
    socket: OwnedSocket,
    /// Bytes that it is sending.
    len: u32,
    /// What came in and goes out again; before, the addresses that an accept tells.
    buffer: [u8; READ_BUFFER_SIZE],
}

const _: () = assert!(READ_BUFFER_SIZE >= 2 * ADDRESS_BYTES);

struct Server<'a> {
    port: OwnedHandle,
    listener: &'a TcpListener,
    mode: Mode,
    /// Connections that have no accept yet.
    unaccepted: *mut Connection,
    end: *mut Connection,
    live: usize,
}

/// Echoes over this many connections until each has ended.
pub(crate) fn serve(listener: &TcpListener, connections: usize, mode: Mode) -> Result<(), Error> {
    let mut table: Vec<Connection> = (0..connections).map(|_| Connection::new()).collect::<Result<_, _>>()?;
    let range = table.as_mut_ptr_range();
    let port = new_port()?;
    tie(&port, listener.as_raw_socket())?;
    let mut server = Server { port, listener, mode, unaccepted: range.start, end: range.end, live: connections };
    let outcome = server.turns();
    if outcome.is_err() {
        // The system may still write to the connections' memory.
        std::mem::forget(table);
    }
    outcome
}

fn new_port() -> Result<OwnedHandle, Error> {
    // SAFETY: the call takes no memory.
    let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
    if port.is_null() {
        return last_error("a completion port");
    }
    // SAFETY: the handle is new and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(port) })
}

fn tie(port: &OwnedHandle, socket: RawSocket) -> Result<(), Error> {
    // SAFETY: the call takes no memory; both handles are open.
    let tied = unsafe { CreateIoCompletionPort(socket as HANDLE, port.as_raw_handle(), 0, 0) };
    if tied.is_null() { last_error("tying a socket to the port") } else { Ok(()) }
}

fn last_error<T>(what: &str) -> Result<T, Error> {
    Err(io::Error::last_os_error()).doing(what)
}

impl Connection {
    fn new() -> Result<Connection, Error> {
        let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
        // SAFETY: the call takes no memory.
        let socket = unsafe { WSASocketW(AF_INET.into(), SOCK_STREAM, IPPROTO_TCP, ptr::null(), 0, flags) };
        if socket == INVALID_SOCKET {
            return last_error("a socket");
        }
        Ok(Connection {
            overlapped: OVERLAPPED::default(),
            under_way: UnderWay::Accept,
            // SAFETY: the socket is new and nobody else's.
            socket: unsafe { OwnedSocket::from_raw_socket(socket as RawSocket) },
            len: 0,
            buffer: [0; READ_BUFFER_SIZE],
        })
    }
}

impl Server<'_> {
    fn turns(&mut self) -> Result<(), Error> {
        for _ in 0..ACCEPTS {
            self.accept_next()?;
        }
        let mut entries = [OVERLAPPED_ENTRY::default(); MAX_ENTRIES];
        while self.live > 0 {
            let mut found = 0;
            // SAFETY: the port is open, and the call writes at most so many entries.
            let taken = unsafe {
                let (port, room) = (self.port.as_raw_handle(), MAX_ENTRIES as u32);
                GetQueuedCompletionStatusEx(port, entries.as_mut_ptr(), room, &mut found, u32::MAX, 0)
            };
            if taken == 0 {
                return last_error("GetQueuedCompletionStatusEx");
            }
            for entry in &entries[..found as usize] {
                let connection = entry.lpOverlapped.cast::<Connection>();
                // SAFETY: whatever completes here is a connection's operation, which is now over: the memory is ours.
                let connection = unsafe { &mut *connection };
                if connection.overlapped.Internal != 0 {
                    return Err(Error::failed(format!(
                        "an operation ended with {:#x}",
                        connection.overlapped.Internal
                    )));
                }
                self.go_on(connection, entry.dwNumberOfBytesTransferred)?;
            }
        }
        Ok(())
    }

    /// Starts one operation after the other, until one is under way or the connection has ended.
    fn go_on(&mut self, connection: &mut Connection, mut bytes: u32) -> Result<(), Error> {
        loop {
            let started = match connection.under_way {
                UnderWay::Accept => {
                    self.accepted(connection)?;
                    self.read(connection)
                }
                UnderWay::Wait => recv(connection),
                UnderWay::Recv if bytes == 0 => {
                    self.live -= 1;
                    return Ok(());
                }
                UnderWay::Recv => send(connection, bytes),
                UnderWay::Send => {
                    if bytes < connection.len {
                        return Err(Error::failed("an echo was sent in part"));
                    }
                    self.read(connection)
                }
            }?;
            match started {
                Some(done) if self.mode.skip_on_success => bytes = done,
                _ => return Ok(()),
            }
        }
    }

    /// Starts what waits for the next message.
    fn read(&self, connection: &mut Connection) -> Result<Option<u32>, Error> {
        if self.mode.idle_reads { wait(connection) } else { recv(connection) }
    }

    fn accept_next(&mut self) -> Result<(), Error> {
        if self.unaccepted == self.end {
            return Ok(());
        }
        let connection = self.unaccepted;
        // SAFETY: it is in the table, before its end, and nothing is under way on it.
        let (next, connection) = unsafe { (connection.add(1), &mut *connection) };
        self.unaccepted = next;
        let (room, mut received) = (ADDRESS_BYTES as u32, 0);
        let overlapped = ptr::from_mut(connection).cast();
        // SAFETY: the buffer has room for two addresses; it and the OVERLAPPED are left alone until the completion.
        let done = unsafe {
            AcceptEx(
                self.listener.as_raw_socket() as SOCKET,
                raw(connection),
                connection.buffer.as_mut_ptr().cast(),
                0,
                room,
                room,
                &mut received,
                overlapped,
            )
        };
        // SAFETY: the call takes no memory.
        if done == 0 && unsafe { WSAGetLastError() } != ERROR_IO_PENDING as i32 {
            last_error("AcceptEx")
        } else {
            Ok(())
        }
    }

    /// Makes an accepted socket one of the port's.
    fn accepted(&mut self, connection: &mut Connection) -> Result<(), Error> {
        self.accept_next()?;
        let listener = self.listener.as_raw_socket() as SOCKET;
        // SAFETY: the option's value is one SOCKET, borrowed for the call.
        let updated = unsafe {
            let value = (&raw const listener).cast();
            setsockopt(raw(connection), SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, value, size_of::<SOCKET>() as i32)
        };
        if updated == SOCKET_ERROR {
            return last_error("SO_UPDATE_ACCEPT_CONTEXT");
        }
        tie(&self.port, connection.socket.as_raw_socket())?;
        // SAFETY: the call takes no memory, and the socket is open.
        let set = !self.mode.skip_on_success
            || unsafe { SetFileCompletionNotificationModes(raw(connection) as HANDLE, SKIP_ON_SUCCESS) } != 0;
        if set { Ok(()) } else { last_error("SetFileCompletionNotificationModes") }
    }
}

fn raw(connection: &Connection) -> SOCKET {
    connection.socket.as_raw_socket() as SOCKET
}

fn wait(connection: &mut Connection) -> Result<Option<u32>, Error> {
    start_recv(connection, UnderWay::Wait, 0)
}

fn recv(connection: &mut Connection) -> Result<Option<u32>, Error> {
    start_recv(connection, UnderWay::Recv, READ_BUFFER_SIZE as u32)
}

/// The bytes, if it is done at once. Its completion comes all the same, where completions are not skipped.
fn start_recv(connection: &mut Connection, under_way: UnderWay, room: u32) -> Result<Option<u32>, Error> {
    connection.under_way = under_way;
    let buffer = WSABUF { len: room, buf: connection.buffer.as_mut_ptr() };
    let (mut bytes, mut flags) = (0, 0);
    let overlapped = ptr::from_mut(connection).cast();
    // SAFETY: the buffer and the OVERLAPPED are in the table, and are left alone until the completion.
    let answer = unsafe { WSARecv(raw(connection), &buffer, 1, &mut bytes, &mut flags, overlapped, None) };
    started(answer, bytes, "WSARecv")
}

/// As [`start_recv`].
fn send(connection: &mut Connection, len: u32) -> Result<Option<u32>, Error> {
    (connection.under_way, connection.len) = (UnderWay::Send, len);
    let buffer = WSABUF { len, buf: connection.buffer.as_mut_ptr() };
    let mut bytes = 0;
    let overlapped = ptr::from_mut(connection).cast();
    // SAFETY: as in `start_recv`.
    let answer = unsafe { WSASend(raw(connection), &buffer, 1, &mut bytes, 0, overlapped, None) };
    started(answer, bytes, "WSASend")
}

fn started(answer: i32, bytes: u32, what: &str) -> Result<Option<u32>, Error> {
    if answer != SOCKET_ERROR {
        return Ok(Some(bytes));
    }
    // SAFETY: the call takes no memory.
    match unsafe { WSAGetLastError() } {
        WSA_IO_PENDING => Ok(None),
        code => Err(io::Error::from_raw_os_error(code)).doing(what),
    }
}
