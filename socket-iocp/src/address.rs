//! Addresses kept with a socket, in the space that an idle socket can afford.

use socket2::SockAddr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// An internet address in 24 bytes, or the fact that it is of another family. A Unix name is not kept: it is looked up
/// again where it is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    Other,
    V4 { ip: [u8; 4], port: u16 },
    V6 { ip: [u8; 16], port: u16, scope: u32 },
}

impl Address {
    pub(crate) fn of(address: &SockAddr) -> Address {
        match address.as_socket() {
            None => Address::Other,
            Some(SocketAddr::V4(v4)) => Address::V4 { ip: v4.ip().octets(), port: v4.port() },
            Some(SocketAddr::V6(v6)) => Address::V6 { ip: v6.ip().octets(), port: v6.port(), scope: v6.scope_id() },
        }
    }

    pub(crate) fn internet(self) -> Option<SocketAddr> {
        match self {
            Address::Other => None,
            Address::V4 { ip, port } => Some(SocketAddrV4::new(Ipv4Addr::from(ip), port).into()),
            Address::V6 { ip, port, scope } => Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internet_addresses_survive() {
        for text in ["1.2.3.4:5", "[fe80::1%7]:65535", "[::]:0"] {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(Address::of(&address.into()).internet(), Some(address));
        }
    }

    #[test]
    fn they_are_small() {
        assert_eq!(size_of::<Address>(), 24);
    }

    #[test]
    fn a_unix_name_is_not_kept() {
        let name = SockAddr::unix("/some/name").expect("a short name");
        assert_eq!(Address::of(&name).internet(), None);
    }
}
