//! Connects the load's sockets, many at a time.

use crate::address::Endpoint;
use crate::failure::Failure;
use crate::system;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// Connections under way at once: enough to fill a round trip, few enough for the usual accept queues.
const BURST: usize = 256;
/// A Unix listener with a full queue refuses a non-blocking connect, with nothing to wait for: try again after this.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// Connects `count` blocking sockets to the first endpoint that answers, TCP_NODELAY set. Returns that endpoint too.
pub fn connect_all(
    endpoints: &[Endpoint],
    count: usize,
    timeout: Duration,
) -> Result<(Endpoint, Vec<Socket>), Failure> {
    let deadline = Instant::now() + timeout;
    let (endpoint, first) = connect_first(endpoints, timeout)?;
    let mut burst =
        Burst { endpoint: &endpoint, address: endpoint.socket_address()?, under_way: Vec::new(), ready: vec![first] };
    while burst.ready.len() < count {
        burst
            .start_some(count)
            .and_then(|queue_full| burst.wait(queue_full, deadline))
            .map_err(|error| cannot_connect(&endpoint, burst.ready.len() + 1, count, &error))?;
    }
    let ready = std::mem::take(&mut burst.ready);
    Ok((endpoint, ready))
}

fn connect_first(endpoints: &[Endpoint], timeout: Duration) -> Result<(Endpoint, Socket), Failure> {
    let mut refusal = Failure::cannot_start("no address to connect to");
    for endpoint in endpoints {
        let address = endpoint.socket_address()?;
        let connected = new_socket(endpoint, &address).and_then(|socket| {
            socket.connect_timeout(&address, timeout)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => return Ok((endpoint.clone(), socket)),
            Err(error) => refusal = Failure::cannot_start(format!("cannot connect to {endpoint}: {error}")),
        }
    }
    Err(refusal)
}

fn cannot_connect(endpoint: &Endpoint, number: usize, count: usize, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::AddrNotAvailable => " (every local port is in use; more loopback addresses give more)",
        _ => "",
    };
    Failure::cannot_start(format!("cannot connect to {endpoint}: connection {number} of {count}: {error}{hint}"))
}

fn new_socket(endpoint: &Endpoint, address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?;
    if endpoint.is_internet() {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(socket)
}

/// The connects under way and the sockets that are connected.
struct Burst<'a> {
    endpoint: &'a Endpoint,
    address: SockAddr,
    under_way: Vec<Socket>,
    ready: Vec<Socket>,
}

impl Burst<'_> {
    /// Starts connects until there are enough, or as many as may be under way. Tells whether the server's queue is
    /// full.
    fn start_some(&mut self, count: usize) -> io::Result<bool> {
        while self.under_way.len() < BURST && self.under_way.len() + self.ready.len() < count {
            let socket = new_socket(self.endpoint, &self.address)?;
            socket.set_nonblocking(true)?;
            match socket.connect(&self.address) {
                Ok(()) => self.keep(socket)?,
                Err(error) if system::is_connecting(&error) => self.under_way.push(socket),
                Err(error) if system::is_queue_full(&error) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Waits until some of the connects under way have ended.
    fn wait(&mut self, queue_full: bool, deadline: Instant) -> io::Result<()> {
        if self.under_way.is_empty() && !queue_full {
            return Ok(());
        }
        let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
            return Err(self.late());
        };
        let rest = if queue_full { rest.min(FULL_QUEUE_PAUSE) } else { rest };
        let limit = Timespec::try_from(rest).map_err(io::Error::other)?;
        let mut descriptors: Vec<PollFd<'_>> =
            self.under_way.iter().map(|socket| PollFd::new(socket, PollFlags::OUT)).collect();
        match poll(&mut descriptors, Some(&limit)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let ended: Vec<bool> = descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()).collect();
        for (socket, ended) in std::mem::take(&mut self.under_way).into_iter().zip(ended) {
            if !ended {
                self.under_way.push(socket);
            } else if let Some(error) = socket.take_error()? {
                return Err(error);
            } else {
                self.keep(socket)?;
            }
        }
        Ok(())
    }

    /// Why there are not enough when the time has passed. Before Windows 10, version 2004, a connect that has failed
    /// [does not wake a poll](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsapoll).
    fn late(&self) -> io::Error {
        let mut failures = self.under_way.iter().filter_map(|socket| socket.take_error().ok().flatten());
        failures.next().unwrap_or_else(|| io::Error::new(ErrorKind::TimedOut, "the server took too long to accept"))
    }

    fn keep(&mut self, socket: Socket) -> io::Result<()> {
        // The port gets a socket as a plain connect makes it.
        socket.set_nonblocking(false)?;
        self.ready.push(socket);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;
    use std::net::TcpListener;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn a_burst_connects_every_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let endpoint = Endpoint::Internet(listener.local_addr().expect("address"));
        // Fewer than std's listen queue holds, since nobody accepts.
        let (answered, sockets) = connect_all(std::slice::from_ref(&endpoint), 50, TIMEOUT).expect("connected");
        assert_eq!((answered, sockets.len()), (endpoint, 50));
        for socket in &sockets {
            assert!(socket.tcp_nodelay().expect("option"));
            #[cfg(unix)]
            assert!(!socket.nonblocking().expect("flag"));
            assert!(socket.peer_addr().is_ok());
        }
    }

    #[test]
    fn a_refusal_is_one_clear_error_and_the_next_address_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let good = Endpoint::Internet(listener.local_addr().expect("address"));
        let refusing = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
        let refusing = Endpoint::Internet(refusing);
        let failure = connect_all(std::slice::from_ref(&refusing), 3, TIMEOUT).expect_err("refused");
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().starts_with(&format!("cannot connect to {refusing}: ")), "{failure}");
        let (answered, _) = connect_all(&[refusing, good.clone()], 3, TIMEOUT).expect("the second answers");
        assert_eq!(answered, good);
    }

    #[test]
    #[cfg(unix)]
    fn a_full_queue_of_a_unix_listener_is_waited_for_until_the_timeout() {
        let path = std::env::temp_dir().join(format!("socket-iocp-connect-{}", std::process::id()));
        let endpoint = Endpoint::Unix(path.clone());
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
        listener.bind(&endpoint.socket_address().expect("short path")).expect("bind");
        listener.listen(1).expect("listen");
        let failure = connect_all(&[endpoint], 10, Duration::from_millis(50)).expect_err("nobody accepts");
        std::fs::remove_file(path).expect("remove");
        assert!(failure.to_string().contains("took too long"), "{failure}");
    }

    #[test]
    fn loopback_has_no_port_to_connect_to() {
        assert!(connect_all(&[address::loopback()], 1, TIMEOUT).is_err());
    }
}
