//! Connects by host name: names are looked up and their addresses raced off the workers.
//!
//! # Who does what
//! - A socket that is connected by host name has its slot, its handle and its user's state from the call on, and no number yet. Its
//!   state machine waits as for the kernel's connect, and is given a connected socket, or an error, by way of `connects.rs`.
//! - getaddrinfo(3) may take as long as it likes and cannot be cancelled. So names are looked up by threads of their own
//!   (`desk.rs`), of which a port starts up to eight as they are needed. They hold nothing of the port: one that hangs keeps nobody
//!   waiting, and what it finds too late is dropped.
//! - One more thread, the dialler (`dialler.rs`), makes the attempts for all hosts of the port. `race.rs` says which begins when;
//!   `attempt.rs` is one of them. Whoever wins is handed on as any connected socket; so no backend knows of hosts.
//!
//! # The end
//! A socket that ends takes its caller from the desk; the dialler then gives up its attempts. With the port's deletion all callers
//! go: the dialler ends, and is waited for, be it inside a callback: it waits for nobody. So does each thread that looks names up,
//! when its resolver lets it.
//!
//! On the simulated network there are no threads: the network runs the same races by its own clock (`sys/sim/dial.rs`).

mod attempt;
mod desk;
mod dialler;
mod issue;
pub(crate) mod race;

pub use issue::NotIssued;

use crate::connects::Connects;
use crate::handle::{Mailbox, SocketHandle};
use crate::options::Options;
use crate::sys::net::{CloseHow, Net};
#[cfg(feature = "sim")]
use crate::sys::sim::{Names, Network};
use crate::{Error, ErrorCode, Socket, sys};
use desk::{Desk, Resolve};
use std::ffi::CStr;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The longest host name, in bytes.
const MAX_NAME: usize = 255;

/// A host's name, with a zero behind it.
#[derive(Clone, Copy)]
pub(crate) struct HostName([u8; MAX_NAME + 1]);

impl HostName {
    /// Error: `InvalidArgument` (none, too long, or with a zero in it).
    fn new(name: &str) -> Result<HostName, Error> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let mut bytes = [0; MAX_NAME + 1];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(HostName(bytes))
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.as_c_str().to_str().unwrap_or_default()
    }

    /// The address, if the name is one: then nobody is asked.
    fn literal(&self, port: u16) -> Option<SocketAddr> {
        self.as_str().parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
    }
}

/// Whom to tell of a connection.
pub(crate) struct Caller {
    connects: Arc<Connects>,
    mailbox: Arc<Mailbox>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

impl Caller {
    /// Hands the outcome to the socket's worker.
    pub(crate) fn tell(self, handle: SocketHandle, net: &Net, result: Result<Socket, Error>) {
        match self.connects.made(handle, result) {
            None => self.mailbox.listeners_changed(),
            Some(socket) => give_up(net, socket),
        }
    }
}

/// Closes a connection that nobody wants any more. Its peer is to see no end of what it was never sent.
pub(crate) fn give_up(net: &Net, socket: Socket) {
    net.close(socket.into_raw(), CloseHow::Reset, None);
}

/// A port's connects by host name.
pub(crate) struct Hosts(Kind);

enum Kind {
    Threads(Arc<Desk>),
    #[cfg(feature = "sim")]
    Sim(Arc<Network>, Option<Arc<Names>>),
}

impl Hosts {
    pub(crate) fn new(options: &Options, net: &Net) -> Hosts {
        Hosts(match net {
            Net::Os => Kind::Threads(Arc::new(Desk::new(resolver(options)))),
            #[cfg(feature = "sim")]
            Net::Sim(network) => Kind::Sim(network.clone(), options.names.clone()),
        })
    }

    /// Begins to connect to a host. Errors: `Closed`, `NoMemory`, `NoDescriptors`, `Limit`, `Os`.
    fn begin(&self, handle: SocketHandle, host: &HostName, port: u16, caller: Caller) -> Result<(), Error> {
        match &self.0 {
            Kind::Threads(desk) => desk.begin(handle, host, port, caller),
            #[cfg(feature = "sim")]
            Kind::Sim(network, names) => {
                let known = host.literal(port).map(|address| Some(Ok(vec![address])));
                let found = known.unwrap_or_else(|| match names {
                    Some(names) => names.look_up(host.as_str()),
                    None => Some(Err(Names::unknown())),
                });
                network.dial(handle, found, caller);
                Ok(())
            }
        }
    }

    /// Nobody waits for this connection any more.
    pub(crate) fn cancel(&self, handle: SocketHandle) {
        match &self.0 {
            Kind::Threads(desk) => desk.cancel(handle),
            #[cfg(feature = "sim")]
            Kind::Sim(network, _) => network.give_up_dial(handle),
        }
    }

    /// The port is being deleted: every attempt is given up when this returns. Its sockets end by themselves.
    pub(crate) fn close(&self) {
        match &self.0 {
            Kind::Threads(desk) => desk.close(),
            #[cfg(feature = "sim")]
            Kind::Sim(..) => {}
        }
    }
}

/// The system's resolver, or a test's.
fn resolver(options: &Options) -> Box<Resolve> {
    #[cfg(feature = "sim")]
    if let Some(names) = options.names.clone() {
        return Box::new(move |host, _| names.wait_for(host.as_str()));
    }
    let _ = options;
    Box::new(|host, port| sys::resolve::look_up(host.as_c_str(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let long = "a".repeat(MAX_NAME);
        for name in ["localhost", "::1", long.as_str()] {
            assert_eq!(HostName::new(name).map(|host| host.as_str().to_owned()), Ok(name.to_owned()));
        }
        for name in ["", "a\0b", (long + "a").as_str()] {
            let refused = HostName::new(name).map(|host| host.as_str().to_owned());
            assert_eq!(refused, Err(ErrorCode::InvalidArgument.into()));
        }
    }

    #[test]
    fn an_address_is_no_name() {
        let literal = |name: &str| HostName::new(name).expect("a name").literal(80);
        assert_eq!(literal("192.0.2.1"), Some(SocketAddr::from(([192, 0, 2, 1], 80))));
        assert_eq!(literal("::1"), Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80))));
        assert_eq!((literal("192.0.2"), literal("example.org")), (None, None));
    }
}
