//! What a library in somebody else's process has to mind here: that Winsock is started. Processes do not fork, and
//! threads get no signals.

use crate::Error;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};
use std::{fmt, io};
use windows_sys::Win32::Networking::WinSock;

/// What has to be done before the first port: starts Winsock, once. It is never cleaned up: sockets may outlive every
/// port. See
/// [WSAStartup](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsastartup).
pub(crate) fn prepare() -> Result<(), Error> {
    const VERSION: u16 = 0x0202;
    static ANSWER: OnceLock<i32> = OnceLock::new();
    let refused = *ANSWER.get_or_init(|| {
        let mut data = MaybeUninit::uninit();
        // SAFETY: the call writes one WSADATA, for which there is room; nobody reads it.
        unsafe { WinSock::WSAStartup(VERSION, data.as_mut_ptr()) }
    });
    if refused == 0 { Ok(()) } else { Err(Error::from_os(refused)) }
}

/// No process is a forked child here.
pub const fn is_forked_child() -> bool {
    false
}

/// A worker thread.
#[derive(Debug)]
pub(crate) struct Thread(JoinHandle<()>);

impl Thread {
    /// Waits for its end.
    pub(crate) fn join(self) {
        // A worker never panics but for a failed assertion, which has been printed.
        let _ = self.0.join();
    }
}

/// Starts a worker thread.
pub(crate) fn spawn_worker(name: fmt::Arguments<'_>, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    Builder::new().name(name.to_string()).spawn(body).map(Thread)
}
