//! Windows.

mod facts;

pub use facts::{leaves_its_port, machine, skips_on_success, tcp_providers, version, wine_version};

use socket2::{SockAddr, Socket};
use std::io;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Media::timeBeginPeriod;
use windows_sys::Win32::System::Threading::{GetCurrentThread, GetThreadTimes};

/// The CPU time of the calling thread so far; the system counts it in ticks of its clock.
pub fn thread_cpu_time() -> Duration {
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the four are writable for the call.
    let told = unsafe { GetThreadTimes(GetCurrentThread(), &mut created, &mut ended, &mut kernel, &mut user) };
    if told == 0 {
        return Duration::ZERO;
    }
    // In units of 100 ns.
    let time = |time: FILETIME| (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime);
    Duration::from_nanos((time(kernel) + time(user)).saturating_mul(100))
}

/// Lets the waits of this process end within a millisecond of their time, where the system would wait for the next of
/// its 64 ticks a second. A refusal costs only that precision. It ends with the process.
pub fn sharpen_waits() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the call takes no memory.
        unsafe { timeBeginPeriod(1) };
    });
}

/// The most descriptors that this process may have at once: there is no limit but memory.
pub fn descriptor_limit() -> Option<u64> {
    None
}

/// There is nothing to raise.
pub fn raise_descriptor_limit() {}

/// Completion ports and Unix sockets do not go together here.
pub fn unix_address(_: &Path) -> io::Result<SockAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Unix sockets are not supported on Windows"))
}

/// The number that [listen](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-listen) takes for a
/// queue of so many connections: a positive one is cut to 200, a negative one to 65,535.
pub fn listen_queue(connections: i32) -> i32 {
    const MOST_PLAIN: i32 = 200;
    match connections {
        ..=MOST_PLAIN => connections,
        _ => -connections.min(u16::MAX.into()),
    }
}

/// Lets other processes listen on the address of a socket too: the system spreads no connections over them.
pub fn share_address(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "connections are spread over processes by Linux only"))
}

/// Whether a connect that does not wait has begun, by the error that it gave.
pub fn is_connecting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Whether a connect that does not wait was refused because the listener's queue is full: there is no such refusal.
pub fn is_queue_full(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_long_queue_is_asked_for_in_the_systems_own_way() {
        assert_eq!([1, 200, 201, 4096, i32::MAX].map(listen_queue), [1, 200, -201, -4096, -65_535]);
    }

    #[test]
    fn the_cpu_time_of_a_thread_grows() {
        let (before, start) = (thread_cpu_time(), Instant::now());
        while thread_cpu_time() == before {
            assert!(start.elapsed() < Duration::from_secs(60), "it stays at {before:?}");
        }
    }
}
