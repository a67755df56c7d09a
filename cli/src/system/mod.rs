//! What the tool asks of the operating system beyond std: one module a platform, of one shape.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
#[allow(unsafe_code, reason = "std has no way to ask for these")]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
