//! POSIX.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use socket2::{SockAddr, Socket};
use std::io;
use std::path::Path;
use std::time::Duration;

/// The CPU time of the calling thread so far.
pub fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Lets the calling thread's waits end when they are to. Linux lets a sleep last 50 us longer than asked, which would
/// show in every latency. A refusal costs only that precision.
pub fn sharpen_waits() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

/// The most descriptors that this process may have at once; `None` is no limit.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the soft limit of descriptors to the hard one, if the system lets it.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// The address of a Unix socket.
pub fn unix_address(path: &Path) -> io::Result<SockAddr> {
    SockAddr::unix(path)
}

/// The number that listen(2) takes for a queue of so many connections.
pub fn listen_queue(connections: i32) -> i32 {
    connections
}

/// Lets other processes of this user listen on the address of a socket too; the kernel spreads connections over them.
/// Elsewhere the option of this name sends all of them to one, or does not exist.
#[cfg(target_os = "linux")]
pub fn share_address(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Lets other processes listen on the address of a socket too: Linux spreads connections over them, nobody else.
#[cfg(not(target_os = "linux"))]
pub fn share_address(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "connections are spread over processes by Linux only"))
}

/// Whether a connect that does not wait has begun, by the error that it gave.
pub fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

/// Whether a connect that does not wait was refused because the listener's queue is full, with nothing to wait for: so
/// it is with Unix sockets.
pub fn is_queue_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        raise_descriptor_limit();
        assert_eq!(descriptor_limit(), getrlimit(Resource::Nofile).maximum);
    }
}
