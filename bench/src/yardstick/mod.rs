//! The yardsticks: the least code that can echo. What they do for a message anybody has to do; what socket-iocp takes
//! beyond it is the price of its promises.

#[cfg(target_os = "linux")]
pub(crate) mod epoll;
#[cfg(target_os = "linux")]
pub(crate) mod io_uring;
#[cfg(windows)]
pub(crate) mod iocp;

#[cfg(target_os = "linux")]
use {
    crate::error::{Doing, Error},
    std::net::{TcpListener, TcpStream},
};

/// Takes exactly this many connections; there is no accepting while the loops run.
#[cfg(target_os = "linux")]
fn accept(listener: &TcpListener, connections: usize) -> Result<Vec<TcpStream>, Error> {
    let accept = |_| listener.accept().map(|(stream, _)| stream);
    (0..connections).map(accept).collect::<Result<_, _>>().doing("accepting")
}
