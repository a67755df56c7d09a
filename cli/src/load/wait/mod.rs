//! How a lane waits for the next completion or the next due time, whichever is first.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::Wait;
#[cfg(windows)]
pub use windows::Wait;
