//! The system's resolver, getaddrinfo: it may take as long as it likes.

use super::platform;
use crate::{Error, ErrorCode};
#[cfg(unix)]
use libc::{addrinfo, freeaddrinfo, getaddrinfo};
use socket2::{SockAddr, SockAddrStorage};
use std::ffi::CStr;
use std::mem;
use std::net::SocketAddr;
use std::ptr;
#[cfg(windows)]
use windows_sys::Win32::Networking::WinSock::{ADDRINFOA as addrinfo, freeaddrinfo, getaddrinfo};

/// The most addresses that are taken of one name.
const MAX_FOUND: usize = 128;

/// What getaddrinfo has found, to be given back to it.
struct List(*mut addrinfo);

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the list is getaddrinfo's, and is given back once.
            unsafe { freeaddrinfo(self.0) };
        }
    }
}

/// The addresses of a host for TCP, in the order that the resolver gives them, each once. Error: `Unresolved` with the resolver's
/// code, `NoMemory`, or what the system says.
pub(crate) fn look_up(host: &CStr, port: u16) -> Result<Vec<SocketAddr>, Error> {
    // SAFETY: zeros are an `addrinfo` without wishes.
    let mut wishes: addrinfo = unsafe { mem::zeroed() };
    wishes.ai_socktype = stream();
    let mut list = List(ptr::null_mut());
    // SAFETY: the name ends with a zero, no service is asked for, and the wishes are set; the call writes one pointer.
    let answer = unsafe { getaddrinfo(host.as_ptr().cast(), ptr::null(), &raw const wishes, &raw mut list.0) };
    if answer != 0 {
        return Err(platform::resolver_error(answer));
    }
    let mut found = Vec::new();
    let mut next = list.0;
    while !next.is_null() && found.len() < MAX_FOUND {
        // SAFETY: it is one of the list, which stays until it is dropped.
        let entry = unsafe { &*next };
        // SAFETY: the entry's address has as many bytes as it says.
        let address = unsafe { address_of(entry.ai_addr.cast(), entry.ai_addrlen as usize) };
        if let Some(mut address) = address.filter(|address| !found.contains(&with_port(*address, port))) {
            address.set_port(port);
            found.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
            found.push(address);
        }
        next = entry.ai_next;
    }
    Ok(found)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

#[cfg(unix)]
fn stream() -> i32 {
    libc::SOCK_STREAM
}

#[cfg(windows)]
fn stream() -> i32 {
    windows_sys::Win32::Networking::WinSock::SOCK_STREAM
}

/// An internet address of the system's form; `None` for one of another family.
///
/// # Safety
/// `address` points to `length` readable bytes, or is null.
unsafe fn address_of(address: *const u8, length: usize) -> Option<SocketAddr> {
    if address.is_null() || length > size_of::<SockAddrStorage>() {
        return None;
    }
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: the caller's promise; the storage has room for so many bytes.
    unsafe { ptr::copy_nonoverlapping(address, (&raw mut storage).cast(), length) };
    // SAFETY: the storage has an address of that length, and zeros behind it.
    unsafe { SockAddr::new(storage, length as _) }.as_socket()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_as_it_is() {
        assert_eq!(look_up(c"127.0.0.1", 80), Ok(vec![SocketAddr::from(([127, 0, 0, 1], 80))]));
        assert_eq!(look_up(c"::1", 9), Ok(vec![SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9))]));
    }

    #[test]
    fn this_host_is_known_and_each_address_told_once() {
        let found = look_up(c"localhost", 80).expect("every system has it");
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        let twice = (1..found.len()).find(|at| found[..*at].contains(&found[*at]));
        assert_eq!(twice, None, "{found:?}");
    }

    #[test]
    fn what_is_no_name_is_told_with_the_resolvers_words() {
        // A space is in no name: nobody is asked for it.
        let error = look_up(c"no name", 80).expect_err("a name with a space");
        assert_eq!(error.code(), ErrorCode::Unresolved, "{error}");
        assert!(error.os_error().is_some());
        let text = error.to_string();
        assert!(text.len() > ErrorCode::Unresolved.text().len() + 2, "{text}");
    }
}
