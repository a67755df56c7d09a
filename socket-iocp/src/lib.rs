//! Completion ports for sockets, everywhere: issue an operation, get one callback when it has ended.
//!
//! A [`Port`] has worker threads and a [`Handler`] with the callbacks. Listening and connected sockets go in as owned
//! values and come back as owned values. Each call of [`PortHandle::recv`], [`PortHandle::send`] or
//! [`PortHandle::sync_send`] that was accepted brings exactly one callback; a socket's last callback is its farewell,
//! [`Handler::error`].
//!
//! ```no_run
//! use socket_iocp::{Context, Error, Farewell, Handler, Options, Port, ReadBuffer, Sent};
//!
//! struct Discard;
//!
//! impl Handler for Discard {
//!     type Listener = ();
//!     type Socket = u64; // the bytes received so far
//!     type Write = ();
//!
//!     fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<u64> {
//!         context.recv().ok().map(|()| 0)
//!     }
//!
//!     fn recv(&self, context: &Context<'_, Self>, total: &mut u64, received: Result<ReadBuffer, Error>) {
//!         match received {
//!             Ok(bytes) if !bytes.is_empty() => {
//!                 *total += bytes.len() as u64;
//!                 drop(context.recv());
//!             }
//!             _ => drop(context.close()),
//!         }
//!     }
//!
//!     fn send(&self, _: &Context<'_, Self>, _: &mut u64, _: Sent<()>) {}
//!
//!     fn error(&self, context: &Context<'_, Self>, total: u64, farewell: Farewell) {
//!         println!("{:?}: {total} bytes, {:?}", context.remote_addr(), farewell.reason);
//!     }
//! }
//!
//! let port = Port::new(Discard, Options::new(64 << 10))?;
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! port.add_listener(listener, 64, ()).map_err(|refused| refused.error)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threads
//! A socket stays with one worker: its callbacks never overlap and come in the order of the events. Those of sockets on
//! different workers run in parallel. Every call may be made from any thread and from inside any callback; none runs a
//! callback. A port made with [`Options::threads`]`(0)` has no workers and is driven by [`PortHandle::run`].
//!
//! # Endings
//! A failed operation, [`close`](PortHandle::close), [`abort`](PortHandle::abort), [`remove`](PortHandle::remove), the
//! deletion of the port and a panic in a callback end a socket; the peer's FIN does not. Sends still outstanding are
//! reported before the farewell; a recv still outstanding is reported by the farewell alone, unless its bytes had come.
//!
//! # Watching it
//! [`PortHandle::statistics`] and [`PortHandle::worker_statistics`] count. With the feature `tracing`, which is off by default, the
//! library reports events to the subscriber of the crate [tracing](https://docs.rs/tracing), all with the target `socket_iocp`
//! and the number of their `port`. A subscriber is called on the thread where it happens, the workers included: it must not
//! block, panic, or call the library.
//!
//! | level | event | fields |
//! |---|---|---|
//! | INFO | `port made` | `backend`, `workers` |
//! | INFO | `backend passed over` | `reason` |
//! | INFO | `port shuts down` | `within_ms` |
//! | INFO | `port deleted` | |
//! | WARN | `listener backs off` | `socket`, `worker`: descriptors or memory are short |
//! | INFO | `listener resumes` | `socket`, `worker` |
//! | DEBUG | `listener added`, `listener ended` | `socket`; `reason` |
//! | DEBUG | `socket added`, `socket ended` | `socket`, `handle`; `reason` |
//! | TRACE | `recv issued`, `send issued` | `handle`; `bytes`: the call has been accepted, and the completion may have come before |
//! | TRACE | `recv completed`, `send completed` | `handle`, `bytes`, `ok` |

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks, missing_docs)]

mod adding;
mod address;
mod buffer;
mod cancelling;
mod connects;
mod datagrams;
mod error;
mod handle;
mod handler;
mod hosts;
mod listener;
mod lists;
mod lock;
mod open;
mod options;
mod owned;
mod passing;
mod planted;
mod port;
mod send_file;
mod send_queue;
mod sending;
mod shared;
mod shutdown;
mod socket;
mod statistics;
mod sys;
mod time;
mod timer;
mod trace;
mod wheel;
mod worker;

pub use buffer::{RawFile, ReadBuffer, SendBuffer, SendFile};
pub use error::{Error, ErrorCode};
pub use handle::SocketHandle;
pub use handler::{Context, Datagram, Farewell, Handler, Sent, Watermark};
pub use hosts::NotIssued;
pub use options::{
    BackendKind, MAX_BUSY_POLL, MAX_IDLE_TIMEOUT, MAX_LINGER, MAX_READ_BUFFER_SIZE, MAX_SQPOLL, MAX_THREADS, Options,
};
pub use owned::Socket;
pub use passing::{MAX_PASSED_DATA, PassedSocket, pass_socket, take_passed_socket};
pub use port::{ListenerHandle, NotAdded, Port, PortHandle, Rejected};
pub use shutdown::Ended;
pub use statistics::Statistics;
#[doc(hidden)]
pub use sys::process::is_forked_child;
pub use time::MAX_TIME_LIMIT;

/// The in-process network of the `sim` backend, for tests of the engine.
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim {
    pub use crate::sys::sim::*;
}

/// Faults put under io_uring on purpose, for tests of the engine.
#[cfg(all(feature = "faults", target_os = "linux"))]
#[doc(hidden)]
pub mod faults {
    pub use crate::sys::faults::*;
}

/// Bugs planted on purpose, for the test of the torture.
#[cfg(socket_iocp_planted)]
#[doc(hidden)]
pub use planted::{Bug, plant};

/// The number of a socket: a descriptor on POSIX, a `SOCKET` on Windows.
#[cfg(unix)]
pub type RawSocket = std::os::fd::RawFd;
/// The number of a socket: a descriptor on POSIX, a `SOCKET` on Windows.
#[cfg(windows)]
pub type RawSocket = std::os::windows::io::RawSocket;
