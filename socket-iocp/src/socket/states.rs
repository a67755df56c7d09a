//! The states that a socket's parts have, one by one.

use crate::time::Limit;
use crate::{Error, ErrorCode};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Arriving,
    Open,
    Closing,
    Ending,
    Ended,
    /// The farewell has returned.
    Gone,
}

/// The socket's recv.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecvState {
    /// None is issued.
    Idle,
    /// To be given to the kernel.
    Wanted,
    /// With the kernel.
    Pending,
    /// With the kernel, and to be cancelled, the socket going on.
    Unwanted,
    /// With the kernel, and cancelled.
    Cancelling,
    /// Ended with bytes or FIN; its callback is due.
    Ready,
    /// Cancelled, timed out or (of a datagram socket) failed, the socket going on; its callback is due.
    Stopped,
}

/// Why a recv ends alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Cancelled,
    TimedOut,
    /// The recv of a datagram socket has failed. The worker keeps the error.
    Failed,
}

impl Stop {
    pub(super) fn code(self) -> ErrorCode {
        match self {
            Stop::Cancelled => ErrorCode::Cancelled,
            Stop::TimedOut => ErrorCode::TimedOut,
            Stop::Failed => ErrorCode::Os,
        }
    }
}

/// The socket's timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// None is issued.
    Idle,
    Running,
    /// Its time has passed; its callback is due.
    Passed,
    /// Its callback is due.
    Cancelled,
}

/// The connect of a socket that came unconnected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Connect {
    /// None: it is connected, or never will be.
    Over,
    /// Being made elsewhere, to a host: there is no socket yet.
    Elsewhere,
    /// To be given to the kernel.
    Wanted,
    /// With the kernel.
    Pending,
    /// With the kernel, and to be cancelled: unless it succeeds before, the socket ends.
    Unwanted,
    /// With the kernel, and cancelled.
    Cancelling,
    /// Connected; its callback is due.
    Ready,
}

/// The FIN to the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fin {
    NotWanted,
    Wanted,
    Sent,
}

/// What is to become of the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It goes on. Kept for the worker: when to look whether its peer keeps it waiting; before it is connected, the limit of that;
    /// while closing, the linger limit.
    GoesOn(Limit),
    /// It ends, for this cause (`None`: all is well).
    Ends(Option<Error>),
}

/// How the descriptor ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Close {
    /// By `close`: FIN, if it has not gone yet.
    Background,
    /// By reset.
    Reset,
    /// It is handed back.
    HandBack,
    /// It is somebody else's by now.
    Never,
}

/// How a socket comes into the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// From a listener: its accept callback is due.
    Accepted,
    Connected,
    /// Its connect is to be started.
    Unconnected,
    /// It is being connected elsewhere, to a host.
    ByHost,
    /// It is one of datagrams, connected or not.
    Datagram,
}

/// What kind of socket it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A stream of the internet.
    Internet,
    /// A stream within the machine.
    Unix,
    Datagram,
}
