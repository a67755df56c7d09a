//! Addresses kept with a socket, in the space that an idle socket can afford.

use socket2::SockAddr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The internet addresses of a socket's two ends, in 44 bytes. A Unix name is not kept: it is looked up again where it
/// is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Addresses {
    /// Local, remote; an IPv4 address in the first four bytes.
    ips: [[u8; 16]; 2],
    ports: [u16; 2],
    /// Of both ends: where it matters (link-local addresses) they are on the same interface.
    scope: u32,
    families: [Family; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Other,
    V4,
    V6,
}

const LOCAL: usize = 0;
const REMOTE: usize = 1;

impl Addresses {
    /// Of no internet socket.
    pub(crate) const NONE: Addresses =
        Addresses { ips: [[0; 16]; 2], ports: [0; 2], scope: 0, families: [Family::Other; 2] };

    pub(crate) fn of(local: &SockAddr, remote: &SockAddr) -> Addresses {
        let mut addresses = Addresses::NONE;
        addresses.set(LOCAL, local);
        addresses.set(REMOTE, remote);
        addresses
    }

    fn set(&mut self, end: usize, address: &SockAddr) {
        match address.as_socket() {
            None => {}
            Some(SocketAddr::V4(v4)) => {
                self.families[end] = Family::V4;
                self.ips[end][..4].copy_from_slice(&v4.ip().octets());
                self.ports[end] = v4.port();
            }
            Some(SocketAddr::V6(v6)) => {
                self.families[end] = Family::V6;
                self.ips[end] = v6.ip().octets();
                self.ports[end] = v6.port();
                self.scope = self.scope.max(v6.scope_id());
            }
        }
    }

    pub(crate) fn is_internet(&self) -> bool {
        self.families[LOCAL] != Family::Other
    }

    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.get(LOCAL)
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.get(REMOTE)
    }

    fn get(&self, end: usize) -> Option<SocketAddr> {
        let (ip, port) = (self.ips[end], self.ports[end]);
        match self.families[end] {
            Family::Other => None,
            Family::V4 => Some(SocketAddrV4::new(Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]), port).into()),
            Family::V6 => Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, self.scope).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internet_addresses_survive() {
        for (local, remote) in
            [("1.2.3.4:5", "6.7.8.9:65535"), ("[fe80::1%7]:1", "[fe80::2%7]:2"), ("[::]:0", "[::1]:9")]
        {
            let (local, remote): (SocketAddr, SocketAddr) = (local.parse().expect("one"), remote.parse().expect("one"));
            let addresses = Addresses::of(&local.into(), &remote.into());
            assert_eq!((addresses.local(), addresses.remote()), (Some(local), Some(remote)));
        }
    }

    #[test]
    fn one_end_may_be_unknown() {
        let (local, name): (SocketAddr, _) =
            ("1.2.3.4:5".parse().expect("one"), SockAddr::unix("/name").expect("short"));
        let addresses = Addresses::of(&local.into(), &name);
        assert_eq!((addresses.local(), addresses.remote()), (Some(local), None));
    }

    #[test]
    fn they_are_small() {
        assert_eq!(size_of::<Addresses>(), 44);
    }
}
