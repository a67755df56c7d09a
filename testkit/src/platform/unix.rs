//! Linux, macOS, the BSDs.

use crate::lab::tcp_pair;
use socket_iocp::{RawSocket, Socket};
use std::fs::{self, File};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::{ptr, slice};

/// A socket that is closed when it is dropped.
pub type OwnedSocket = OwnedFd;

/// The system's codes of a reset.
pub const RESET_CODES: &[i32] = &[libc::ECONNRESET];

/// The system's socket; `None` of a simulated one.
pub fn owned(socket: Socket) -> Option<OwnedSocket> {
    socket.into_fd().ok()
}

/// A second owner of a number. The test lets go of it with [`forget`].
pub fn second_owner(number: RawSocket) -> Socket {
    // SAFETY: the number is open; that it has two owners is what such a test is about, and only one of them closes it.
    unsafe { Socket::from_raw_fd(number) }
}

/// Lets go of a socket without closing it.
pub fn forget(socket: Socket) {
    match socket.into_fd() {
        Ok(socket) => drop(socket.into_raw_fd()),
        Err(simulated) => std::mem::forget(simulated),
    }
}

/// Closes a number, whoever owns it. False if it was not open.
pub fn close(number: RawSocket) -> bool {
    // SAFETY: the number was a port's; that its owner does not notice is what such a test is about.
    unsafe { libc::close(number) == 0 }
}

/// Has the system put datagrams of one sender together on this socket (`UDP_GRO`); whether it can.
#[cfg(target_os = "linux")]
pub fn coalesce_datagrams(socket: RawSocket) -> bool {
    let on: libc::c_int = 1;
    let size = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the option is an int, and the socket the test's.
    unsafe { libc::setsockopt(socket, libc::SOL_UDP, libc::UDP_GRO, (&raw const on).cast(), size) == 0 }
}

/// The process's open descriptors.
pub fn open_descriptors() -> usize {
    // One of them is that of the directory being read.
    fs::read_dir("/proc/self/fd").expect("procfs").count() - 1
}

/// The process's resident memory, in KiB.
pub fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// The processors on which the calling thread may run, in order; none where the system does not tell.
pub fn processors() -> Vec<usize> {
    if cfg!(not(target_os = "linux")) {
        return Vec::new();
    }
    let status = fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("Cpus_allowed_list");
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        number(first)..=number(last)
    };
    line.trim().split(',').flat_map(range).collect()
}

/// A file that is no socket.
pub fn null_device() -> File {
    File::options().read(true).write(true).open("/dev/null").expect("/dev/null")
}

/// A file's number.
pub fn number_of(file: &File) -> RawSocket {
    file.as_raw_fd()
}

/// So many zeros, of which no page is ever made: reading them gives the kernel's one page of zeros.
pub fn zeros(len: usize) -> &'static [u8] {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at a place of the kernel's choice.
    let mapping = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, flags, -1, 0) };
    assert_ne!(mapping, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    // SAFETY: the mapping is readable, all zeros, nobody writes to it, and it is never unmapped.
    unsafe { slice::from_raw_parts(mapping.cast(), len) }
}

/// The length of a listen socket's queue: what TCP_INFO calls unacked for one that listens, see tcp(7).
pub fn queued_connections(listener: &OwnedSocket) -> usize {
    const UNACKED: usize = 6;
    let mut info = [0u32; 64];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the call writes at most `len` bytes to `info`, which has as many.
    let asked = unsafe {
        libc::getsockopt(listener.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut len)
    };
    assert_eq!(asked, 0, "TCP_INFO");
    info[UNACKED] as usize
}

/// Whether the end of input that a read has just found is in truth a reset: here a read says so itself.
pub fn hides_reset(_: &TcpStream) -> bool {
    false
}

/// Whether a number is open, whoever owns it.
pub fn is_open(number: RawSocket) -> bool {
    // SAFETY: the call reads a descriptor's flags, and fails for a number that is not open.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Closes a file by its number. False if somebody else has closed it already.
pub fn close_file(file: File) -> bool {
    close(file.into_raw_fd())
}

/// Puts what has `file` under `number` too, closing what was there: what a caller's mistake comes to.
fn put_under(number: RawSocket, file: OwnedFd) -> OwnedFd {
    // SAFETY: `number` is a port's; that its owner does not notice is what such a test is about.
    let found = unsafe { libc::dup2(file.as_raw_fd(), number) };
    assert_eq!(found, number, "dup2");
    // SAFETY: dup2 has just opened it, and nobody else knows of that.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Closes a number behind its owner's back and gives it to one end of a new connection; and the connection's other end.
pub fn stream_under(number: RawSocket) -> (TcpStream, TcpStream) {
    let (near, far) = tcp_pair();
    (put_under(number, near.into()).into(), far)
}

/// Closes a number behind its owner's back and gives it to a file that is no socket.
pub fn file_under(number: RawSocket) -> File {
    put_under(number, null_device().into()).into()
}

/// What a program that is started now inherits of this one.
pub fn inherited() -> String {
    let output = Command::new("ls").arg("/proc/self/fd").output().expect("ls");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("numbers")
}

/// Allows as many descriptors as the system lets the process have; how many that is.
pub fn raise_descriptor_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is alive during the calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    limit.rlim_cur as usize
}

/// A connected stream, of a kind that takes no port of loopback's.
pub type Stream = UnixStream;

/// So many connected pairs.
pub fn pairs(count: usize) -> Vec<(Stream, Stream)> {
    (0..count).map(|_| UnixStream::pair().expect("descriptors")).collect()
}

/// This is no Windows, not even Wine's.
pub fn is_wine() -> bool {
    false
}
