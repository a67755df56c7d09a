//! Makes listen sockets.

use crate::address::Endpoint;
use crate::failure::Failure;
use crate::system;
use socket2::{Domain, Socket, Type};
use std::io;
use std::path::Path;

/// A listen socket and the address that it got.
#[derive(Debug)]
pub struct Listening {
    pub socket: Socket,
    pub endpoint: Endpoint,
}

impl Listening {
    /// Listens on the first of the endpoints that the system allows; if it is `shared`, beside other processes.
    pub fn open(endpoints: &[Endpoint], queue: i32, shared: bool) -> Result<Listening, Failure> {
        let mut refusal = Failure::cannot_start("no address to listen on");
        for endpoint in endpoints {
            let address = endpoint.socket_address()?;
            match listen(endpoint, &address, queue, shared) {
                Ok(listening) => return Ok(listening),
                Err(error) => refusal = cannot_listen(endpoint, &error),
            }
        }
        Err(refusal)
    }
}

fn listen(endpoint: &Endpoint, address: &socket2::SockAddr, queue: i32, shared: bool) -> io::Result<Listening> {
    let socket = Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?;
    if endpoint.is_internet() {
        // On POSIX: connections of an earlier run that are in TIME_WAIT do not keep the port. On Windows they never do,
        // and the option would let two servers have one port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit it: an answer is not held back for the acknowledgement of the one before.
        socket.set_tcp_nodelay(true)?;
    }
    if shared {
        system::share_address(&socket)?;
    }
    socket.bind(address)?;
    socket.listen(system::listen_queue(queue))?;
    // Port 0 became a real one; a Unix path stays as it was given.
    let endpoint = socket.local_addr()?.as_socket().map_or(endpoint.clone(), Endpoint::Internet);
    Ok(Listening { socket, endpoint })
}

fn cannot_listen(endpoint: &Endpoint, error: &io::Error) -> Failure {
    let hint = match endpoint {
        Endpoint::Unix(path) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            " (no server is behind it: remove the file)"
        }
        _ => "",
    };
    Failure::cannot_start(format!("cannot listen on {endpoint}: {error}{hint}"))
}

/// Whether a Unix socket's file is one that a server has left behind.
fn is_stale(path: &Path) -> bool {
    let connected = socket2::SockAddr::unix(path)
        .and_then(|address| Socket::new(Domain::UNIX, Type::STREAM, None)?.connect(&address));
    connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl Endpoint {
    /// Removes the file of a Unix socket whose server ends, for the next one to bind. If it is gone, good.
    pub fn remove_file(&self) {
        if let Endpoint::Unix(path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;

    #[test]
    fn port_zero_becomes_a_real_one() {
        let listening = Listening::open(&[address::loopback()], 16, false).expect("loopback");
        let Endpoint::Internet(real) = listening.endpoint else { panic!("an internet address") };
        assert_ne!(real.port(), 0);
        std::net::TcpStream::connect(real).expect("somebody listens");
    }

    #[test]
    fn an_address_in_use_is_an_error_of_the_start() {
        let first = Listening::open(&[address::loopback()], 16, false).expect("loopback");
        let failure = Listening::open(std::slice::from_ref(&first.endpoint), 16, false).expect_err("in use");
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().starts_with(&format!("cannot listen on {}: ", first.endpoint)), "{failure}");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_left_behind_is_told_from_a_server() {
        let path = std::env::temp_dir().join(format!("socket-iocp-listen-{}", std::process::id()));
        let endpoints = [Endpoint::Unix(path)];
        let first = Listening::open(&endpoints, 16, false).expect("bind");
        let alive = Listening::open(&endpoints, 16, false).expect_err("in use").to_string();
        drop(first);
        let stale = Listening::open(&endpoints, 16, false).expect_err("still in use").to_string();
        endpoints[0].remove_file();
        assert!(!alive.contains("remove the file"), "{alive}");
        assert!(stale.contains("remove the file"), "{stale}");
        Listening::open(&endpoints, 16, false).expect("free again");
        endpoints[0].remove_file();
    }
}
