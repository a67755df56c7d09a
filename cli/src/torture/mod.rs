//! `socket-iocp torture`: seeded random programs against the engine on a simulated network.
//!
//! It is in builds with the feature `torture` alone, since what users build has no simulated network in it.

#[cfg(not(feature = "torture"))]
mod absent;
#[cfg(feature = "torture")]
mod command;
#[cfg(feature = "torture")]
mod summary;

#[cfg(not(feature = "torture"))]
pub use absent::{TortureArgs, command};
#[cfg(feature = "torture")]
pub use command::{TortureArgs, command};

/// Memory is refused to programs that ask for it.
#[cfg(feature = "torture")]
#[global_allocator]
static ALLOCATOR: socket_iocp_torture::Allocator = socket_iocp_torture::Allocator;
