//! The yardsticks: the least code that can echo. What they do for a message anybody has to do; what socket-iocp takes
//! beyond it is the price of its promises.

pub(crate) mod epoll;
pub(crate) mod io_uring;

use crate::error::{Doing, Error};
use std::net::{TcpListener, TcpStream};

/// Takes exactly this many connections; there is no accepting while the loops run.
fn accept(listener: &TcpListener, connections: usize) -> Result<Vec<TcpStream>, Error> {
    let accept = |_| listener.accept().map(|(stream, _)| stream);
    (0..connections).map(accept).collect::<Result<_, _>>().doing("accepting")
}
