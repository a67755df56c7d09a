//! What differs by system: the calling thread's last error, sockets on their way in and out, and what keeps the library
//! loaded. Both files have the same shape.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;
