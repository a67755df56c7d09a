//! Completion ports for sockets, everywhere.

#![doc = include_str!("../README.md")]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks, missing_docs)]

mod address;
mod buffer;
mod error;
mod handle;
mod handler;
mod listener;
mod lists;
mod open;
mod options;
mod owned;
mod port;
mod send_queue;
mod shared;
mod socket;
mod statistics;
mod sys;
mod worker;

pub use buffer::{ReadBuffer, SendBuffer};
pub use error::{Error, ErrorCode};
pub use handle::SocketHandle;
pub use handler::{Context, Farewell, Handler, Sent};
pub use options::{BackendKind, MAX_LINGER, MAX_READ_BUFFER_SIZE, MAX_THREADS, Options};
pub use owned::Socket;
pub use port::{ListenerHandle, NotAdded, Port, PortHandle, Rejected};
pub use statistics::Statistics;
#[doc(hidden)]
pub use sys::process::is_forked_child;

/// The in-process network of the `sim` backend, for tests of the engine.
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim {
    pub use crate::sys::sim::*;
}

/// The number of a socket: a descriptor on POSIX.
pub type RawSocket = std::os::fd::RawFd;
