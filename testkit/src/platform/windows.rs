//! Windows, and Wine.

use socket_iocp::{RawSocket, Socket};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::windows::io::{AsRawHandle, AsRawSocket, FromRawSocket, IntoRawHandle, IntoRawSocket};
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_NETNAME_DELETED, GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, HANDLE_FLAGS,
};
use windows_sys::Win32::Networking::WinSock::{
    POLLERR, POLLIN, SOCKET, WSAECONNRESET, WSAPOLLFD, WSAPoll, closesocket,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::SystemInformation::GROUP_AFFINITY;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, GetThreadGroupAffinity};
use windows_sys::core::s;

/// A socket that is closed when it is dropped.
pub type OwnedSocket = std::os::windows::io::OwnedSocket;

/// The system's codes of a reset: that of a call, and that of a completion.
pub const RESET_CODES: &[i32] = &[WSAECONNRESET, ERROR_NETNAME_DELETED as i32];

/// The system's socket; `None` of a simulated one.
pub fn owned(socket: Socket) -> Option<OwnedSocket> {
    socket.into_socket().ok()
}

/// A second owner of a number. The test lets go of it with [`forget`].
pub fn second_owner(number: RawSocket) -> Socket {
    // SAFETY: the number is open; that it has two owners is what such a test is about, and only one of them closes it.
    unsafe { Socket::from_raw_socket(number) }
}

/// Lets go of a socket without closing it.
pub fn forget(socket: Socket) {
    match socket.into_socket() {
        Ok(socket) => drop(socket.into_raw_socket()),
        Err(simulated) => std::mem::forget(simulated),
    }
}

/// Closes a number, whoever owns it. False if it was not open.
pub fn close(number: RawSocket) -> bool {
    // SAFETY: the number was a port's; that its owner does not notice is what such a test is about.
    unsafe { closesocket(number as SOCKET) == 0 }
}

/// The flags of a handle; `None` if it is not open.
fn flags_of(number: RawSocket) -> Option<HANDLE_FLAGS> {
    let mut flags = 0;
    // SAFETY: the call writes one u32, and fails for a number that is not open.
    let is_open = unsafe { GetHandleInformation(number as HANDLE, &mut flags) != 0 };
    is_open.then_some(flags)
}

/// The numbers that handles have: multiples of four, small ones first.
fn numbers() -> impl Iterator<Item = RawSocket> {
    (4..0x2_0000).step_by(4)
}

/// The process's open handles. (GetProcessHandleCount says 0 under Wine 8.)
pub fn open_descriptors() -> usize {
    numbers().filter_map(flags_of).count()
}

/// The process's working set, in KiB.
pub fn resident_kib() -> usize {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let bytes = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: the call writes at most so many bytes.
    let asked = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, bytes) };
    assert_ne!(asked, 0, "GetProcessMemoryInfo");
    counters.WorkingSetSize / 1024
}

/// The processors on which the calling thread may run, in order, of its group.
pub fn processors() -> Vec<usize> {
    let mut affinity = GROUP_AFFINITY::default();
    // SAFETY: the handle names the calling thread, and the call writes one GROUP_AFFINITY.
    let asked = unsafe { GetThreadGroupAffinity(GetCurrentThread(), &mut affinity) };
    assert_ne!(asked, 0, "GetThreadGroupAffinity");
    (0..usize::BITS as usize).filter(|processor| affinity.Mask >> processor & 1 == 1).collect()
}

/// Whether this is Wine: its ntdll says so, see `wine_get_version`.
pub fn is_wine() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        // SAFETY: the names are zero-terminated; ntdll is in every process.
        unsafe { GetProcAddress(GetModuleHandleA(s!("ntdll.dll")), s!("wine_get_version")).is_some() }
    })
}

/// A file that is no socket.
pub fn null_device() -> File {
    File::options().read(true).write(true).open("NUL").expect("NUL")
}

/// A file's number.
pub fn number_of(file: &File) -> RawSocket {
    file.as_raw_handle().addr() as RawSocket
}

/// So many zeros. Those of a large block come from the system as they are.
pub fn zeros(len: usize) -> &'static [u8] {
    vec![0; len].leak()
}

/// The length of a listen socket's queue: the system does not tell, and the tests that ask are left out.
pub fn queued_connections(_: &OwnedSocket) -> usize {
    unreachable!("not on Windows, see left_out.rs")
}

/// Whether the end of input that a read has just found is in truth a reset: Wine 8 reads so of a reset that came before
/// the read began, and remembers it for `WSAPoll` alone.
pub fn hides_reset(stream: &TcpStream) -> bool {
    // A connection that is over has no peer, by a reset or by the FINs of both ends. While it lasts it must not be polled:
    // Wine would end a send that another thread waits for.
    let is_over = stream.peer_addr().is_err();
    if !is_over || !is_wine() {
        return false;
    }
    let mut entry = WSAPOLLFD { fd: stream.as_raw_socket() as SOCKET, events: POLLIN, revents: 0 };
    // SAFETY: one entry, alive during the call.
    let count = unsafe { WSAPoll(&mut entry, 1, 0) };
    count == 1 && entry.revents & POLLERR != 0
}

/// Whether a number is open, whoever owns it.
pub fn is_open(number: RawSocket) -> bool {
    flags_of(number).is_some()
}

/// Closes a file by its number. False if somebody else has closed it already.
pub fn close_file(file: File) -> bool {
    // SAFETY: the handle is the test's own.
    unsafe { CloseHandle(file.into_raw_handle()) != 0 }
}

/// Closes a number behind its owner's back, and makes things until one has got it.
fn make_under<T>(number: RawSocket, mut make: impl FnMut() -> T, has: impl Fn(&T, RawSocket) -> bool) -> T {
    assert!(close(number), "{number} was not open");
    // They are kept meanwhile, so that each gets another number.
    let mut others = Vec::new();
    for _ in 0..1_000 {
        let made = make();
        if has(&made, number) {
            return made;
        }
        others.push(made);
    }
    panic!("{number} is never given out again");
}

/// Closes a number behind its owner's back and gives it to one end of a new connection; and the connection's other end.
pub fn stream_under(number: RawSocket) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    let has = |stream: &TcpStream, number| stream.as_raw_socket() == number;
    let pair = || {
        let one = TcpStream::connect(address).expect("a listener");
        (one, listener.accept().expect("the other end").0)
    };
    let (one, other) = make_under(number, pair, |(one, other), number| has(one, number) || has(other, number));
    if has(&one, number) { (one, other) } else { (other, one) }
}

/// Closes a number behind its owner's back and gives it to a file that is no socket.
pub fn file_under(number: RawSocket) -> File {
    make_under(number, null_device, |file, number| number_of(file) == number)
}

/// What a program that is started now inherits of this one: the handles that say so.
pub fn inherited() -> String {
    let is_inherited = |number: &RawSocket| flags_of(*number).is_some_and(|flags| flags & HANDLE_FLAG_INHERIT != 0);
    let numbers: Vec<RawSocket> = numbers().filter(is_inherited).collect();
    format!("{numbers:?}")
}

/// Allows as many descriptors as the system lets the process have; how many that is. No limit is set here.
pub fn raise_descriptor_limit() -> usize {
    1 << 24
}

/// A connected stream.
pub type Stream = TcpStream;

/// So many connected pairs.
pub fn pairs(count: usize) -> Vec<(Stream, Stream)> {
    // One listener: each pair takes one port of loopback's.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    let pair = |_| (TcpStream::connect(address).expect("a listener"), listener.accept().expect("the other end").0);
    (0..count).map(pair).collect()
}
