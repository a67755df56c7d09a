//! Addresses as a user writes them: `host:port`, `[v6]:port` and `unix:PATH`.

use crate::failure::Failure;
use crate::system;
use socket2::SockAddr;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// An address that has been parsed and not looked up yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A host name or an internet address, and a port.
    Internet { host: String, port: u16 },
    /// A Unix socket's path.
    Unix(PathBuf),
}

/// What an address was looked up to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    Internet(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err("unix: needs a path".into()) } else { Ok(Address::Unix(path.into())) };
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => split_bracketed(rest)?,
            None => split_plain(text)?,
        };
        let port = port.parse().map_err(|_| format!("'{port}' is not a port (0 to 65535)"))?;
        Ok(Address::Internet { host: host.into(), port })
    }
}

fn split_bracketed(rest: &str) -> Result<(&str, &str), String> {
    let (host, port) = rest.split_once("]:").ok_or("expected [ADDRESS]:PORT")?;
    // A scope (`fe80::1%eth0`) is for the resolver to judge.
    let address = host.split('%').next().unwrap_or(host);
    address.parse::<Ipv6Addr>().map_err(|_| format!("'{host}' is not an IPv6 address"))?;
    Ok((host, port))
}

fn split_plain(text: &str) -> Result<(&str, &str), String> {
    let (host, port) = text.rsplit_once(':').ok_or("expected HOST:PORT, [IPV6]:PORT or unix:PATH")?;
    if host.is_empty() {
        return Err("the host is missing (0.0.0.0 and [::] stand for every interface)".into());
    }
    if host.contains(':') {
        return Err(format!("an IPv6 address goes into brackets: [{host}]:{port}"));
    }
    Ok((host, port))
}

impl Address {
    /// Looks the address up: at least one endpoint, in the order of preference.
    pub fn resolve(&self) -> Result<Vec<Endpoint>, Failure> {
        let (host, port) = match self {
            Address::Unix(path) => return Ok(vec![Endpoint::Unix(path.clone())]),
            Address::Internet { host, port } => (host, *port),
        };
        let found: Vec<Endpoint> = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|error| Failure::cannot_start(format!("cannot resolve {self}: {error}")))?
            .map(Endpoint::Internet)
            .collect();
        if found.is_empty() {
            return Err(Failure::cannot_start(format!("cannot resolve {self}: the name has no address")));
        }
        Ok(found)
    }
}

impl Endpoint {
    /// The form that socket calls take. A Unix path may be too long for one, and Windows takes none.
    pub fn socket_address(&self) -> Result<SockAddr, Failure> {
        match self {
            Endpoint::Internet(address) => Ok((*address).into()),
            Endpoint::Unix(path) => {
                system::unix_address(path).map_err(|error| Failure::cannot_start(format!("cannot use {self}: {error}")))
            }
        }
    }

    /// Whether TCP runs on it.
    pub fn is_internet(&self) -> bool {
        matches!(self, Endpoint::Internet(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Internet { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Internet { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Internet(address) => write!(f, "{address}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A loopback endpoint on a port that the system chooses.
pub fn loopback() -> Endpoint {
    Endpoint::Internet(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn internet(host: &str, port: u16) -> Address {
        Address::Internet { host: host.into(), port }
    }

    #[test]
    fn the_three_forms_are_parsed() {
        assert_eq!("127.0.0.1:80".parse(), Ok(internet("127.0.0.1", 80)));
        assert_eq!("example.org:0".parse(), Ok(internet("example.org", 0)));
        assert_eq!("[::1]:65535".parse(), Ok(internet("::1", 65535)));
        assert_eq!("[fe80::1%lo]:7".parse(), Ok(internet("fe80::1%lo", 7)));
        assert_eq!("unix:/tmp/a:b".parse(), Ok(Address::Unix("/tmp/a:b".into())));
    }

    #[test]
    fn what_is_parsed_prints_as_it_was_written() {
        for text in ["127.0.0.1:80", "localhost:0", "[::1]:443", "unix:relative/path"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "expected HOST:PORT"),
            ("localhost", "expected HOST:PORT"),
            (":80", "host is missing"),
            ("localhost:", "not a port"),
            ("localhost:65536", "not a port"),
            ("localhost:-1", "not a port"),
            ("::1:80", "brackets"),
            ("[::1]", "[ADDRESS]:PORT"),
            ("[::1]80", "[ADDRESS]:PORT"),
            ("[localhost]:80", "not an IPv6 address"),
            ("unix:", "needs a path"),
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.contains(reason), "'{text}' said '{error}', not '{reason}'");
        }
    }

    #[test]
    fn numeric_addresses_resolve_to_themselves() {
        for text in ["127.0.0.1:80", "[::1]:80"] {
            let found = text.parse::<Address>().expect(text).resolve().expect(text);
            assert_eq!(found.iter().map(Endpoint::to_string).collect::<Vec<_>>(), [text]);
        }
    }

    #[test]
    fn a_unix_path_that_is_no_address_is_an_error_of_the_start() {
        let endpoint = Endpoint::Unix("x".repeat(4096).into());
        assert_eq!(endpoint.socket_address().expect_err("too long").code(), 2);
    }
}
