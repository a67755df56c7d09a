//! The connect of a socket that came unconnected, made by the kernel or elsewhere: how it ends, and how it is called off.

use super::{Close, Connect, Machine, Phase};
use crate::planted::planted;
use crate::sys::Failure;
use crate::time::Limit;
use crate::{Error, ErrorCode};

impl<W> Machine<W> {
    /// The connect is to end the socket, unless it succeeds before.
    pub(crate) fn cancel_connect(&mut self) {
        match self.connect {
            _ if planted!(ConnectCancelForgotten) => {}
            Connect::Wanted | Connect::Elsewhere => self.connect_called_off(),
            Connect::Pending => self.connect = Connect::Unwanted,
            _ => {}
        }
    }

    /// By reset, for the reason of [`connect_timed_out`](Machine::connect_timed_out).
    fn connect_called_off(&mut self) {
        self.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    }

    /// The kernel's connect has ended.
    pub(crate) fn connect_ended(&mut self, result: Result<(), Failure>) {
        assert!(self.connect_is_in_kernel(), "a completion of no connect");
        let called_off = self.connect != Connect::Pending;
        self.connect = if called_off || self.is_ending() { Connect::Over } else { Connect::Wanted };
        match result {
            // Also when it was cancelled or the socket is ending: it was connected before that took effect, and is told.
            Ok(()) => self.succeed(),
            Err(Failure::Again | Failure::NoBuffer | Failure::Shortage | Failure::Cancelled) => {
                if called_off {
                    self.connect_called_off();
                }
            }
            Err(Failure::Os(os)) => {
                self.connect = Connect::Over;
                self.end(Some(Error::from_os(os)), Close::Background);
            }
            Err(Failure::File(_) | Failure::FileEnded) => unreachable!("a connect reads no file"),
        }
    }

    /// The limit of the connect is reached. By reset, since it may be connected yet: its peer is to see no end of what it was never
    /// sent.
    pub(crate) fn connect_timed_out(&mut self) {
        if !self.is_connected() && !planted!(ConnectForEver) {
            self.end(Some(ErrorCode::TimedOut.into()), Close::Reset);
        }
    }

    fn succeed(&mut self) {
        self.connect = if planted!(ConnectUntold) { Connect::Over } else { Connect::Ready };
        self.sends.begin();
        if self.phase == Phase::Open {
            self.set_watch(Limit::NONE);
        }
    }

    /// Whether it waits for a connection to a host.
    pub(crate) fn awaits_host(&self) -> bool {
        self.connect == Connect::Elsewhere && !self.is_ending()
    }

    /// What it has waited for: it has a connected socket now, or never will.
    pub(crate) fn host_ended(&mut self, result: Result<(), Error>) {
        assert!(self.awaits_host(), "a connection to no host");
        match result {
            Ok(()) => self.succeed(),
            Err(error) => {
                self.connect = Connect::Over;
                self.end(Some(error), Close::Background);
            }
        }
    }

    /// Whether it has been connected, or came so.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.connect, Connect::Over | Connect::Ready)
    }

    /// Whether a connect waits to be started.
    pub(crate) fn wants_connect(&self) -> bool {
        self.connect == Connect::Wanted
    }

    pub(super) fn connect_is_in_kernel(&self) -> bool {
        matches!(self.connect, Connect::Pending | Connect::Unwanted | Connect::Cancelling)
    }
}
