//! `handover ADDRESS CONTROL`: an echo server that its successor replaces without losing a connection.
//!
//! The first one listens on ADDRESS, and on the Unix socket CONTROL for its successor. One that is started with the
//! same CONTROL gets the listening socket itself from the one before it, so that a connection in its queue, even one of
//! which the handshake is not complete, is never without a server:
//!
//! ```text
//! successor                                predecessor
//! makes its port, connects to CONTROL
//!                  <- the listening socket -
//!                  - ready ->              takes the listener out of its port, and waits for its farewell
//!                  <- yours -
//! adds the listener to its port,
//! is at CONTROL from now on
//!                  - serving ->            waits for its connections to end, and ends
//! ```
//!
//! Two never accept at once. Who stops first has given up its last accept when the other one asks for its first, which
//! finds whatever has come in between; the other way round the kernel may tell of a connection to an accept that is
//! being given up, and nobody looks. Between "ready" and "serving" connections wait in the kernel's queue, for less
//! than a millisecond where no callback blocks.
//!
//! Whichever of the two dies, the other one serves: until it has heard "serving" the predecessor takes the listener
//! back when the successor's end closes the control connection, and a successor that has the socket goes on without an
//! answer. A process that hangs is to be killed.
//!
//! Whoever may connect to CONTROL may take the server over: it belongs into a directory of the server's own user.

#![forbid(unsafe_code)]

#[cfg(unix)]
mod control;
#[cfg(unix)]
mod echo;
#[cfg(unix)]
mod predecessor;
#[cfg(unix)]
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    socket_iocp_examples::run("handover ADDRESS CONTROL", |[address, control]| {
        #[cfg(unix)]
        return server::serve(&address, control.as_ref());
        #[cfg(not(unix))]
        return Err(
            format!("no way to hand {} over at {}: Unix sockets do it", address.display(), control.display()).into()
        );
    })
}
