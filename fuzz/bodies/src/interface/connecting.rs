//! Connects that a port makes.

use super::callbacks::user_of;
use super::peers;
use super::perform::{MAX_SOCKETS, answers_to_add, calling, judge_in};
use super::script::Step;
use super::world::{Connect, Far, Limit, NO_NUMBER, Socket, note, world};
use crate::c::{self, Handle};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use std::ffi::{CStr, CString, c_int};
use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::ptr;

/// `struct sockaddr_un` with an abstract name, or something that is none.
#[repr(C)]
struct Address {
    family: u16,
    path: [u8; 108],
}

/// Bytes of the family.
const FAMILY_SIZE: usize = 2;

impl Address {
    fn named(name: &[u8]) -> (Address, u32) {
        let mut address = Address { family: AddressFamily::UNIX.as_raw(), path: [0; 108] };
        address.path[1..=name.len()].copy_from_slice(name);
        (address, (FAMILY_SIZE + 1 + name.len()) as u32)
    }
}

/// Connects a new socket: to somebody, to nobody, to one who takes no more; or something that cannot be connected.
pub(super) fn connect(step: Step, port: Handle) {
    if world(|world| world.sockets.len()) >= MAX_SOCKETS {
        return;
    }
    let limit = Limit::of(step.amount / 16);
    let socket = || net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    match step.amount % 16 {
        6..8 => {
            let (listener, name) = peers::full_listener();
            connect_to(port, socket(), (Far::Full, Some(listener)), &name, limit);
        }
        0..6 => {
            let (listener, name) = peers::listener();
            connect_to(port, socket(), (Far::Listens, Some(listener)), &name, limit);
        }
        8 => connect_to(port, socket(), (Far::Nobody, None), &peers::named().1, limit),
        9 => refused(port, None, c::BAD_SOCKET),
        10 => refused(port, Some(File::open("/dev/null").expect("it is there").into()), c::NOT_SOCKET),
        11 => {
            let datagrams = net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).expect("a socket");
            refused(port, Some(datagrams), c::NOT_STREAM);
        }
        12 => refused(port, Some(peers::listener().0), c::LISTENING),
        13 => {
            let pair = net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
            refused(port, Some(pair.expect("a pair").0), c::ALREADY_CONNECTED);
        }
        choice => wrong_address(port, socket(), choice == 14),
    }
}

/// Issues a connect with which nothing is wrong, but for its time limit perhaps; 0 is none.
fn connect_to(port: Handle, number: OwnedFd, (to, listener): (Far, Option<OwnedFd>), name: &[u8], limit: Limit) {
    let at = world(|world| world.sockets.len());
    let (address, size) = Address::named(name);
    let mut handle = ptr::null_mut();
    let code = calling("connect", || {
        let address = (&raw const address).cast();
        // SAFETY: the address has so many bytes, and the place can be written.
        unsafe {
            c::socket_iocp_issue_connect(
                port,
                number.as_raw_fd(),
                address,
                size,
                limit.ms,
                user_of(at),
                &raw mut handle,
            )
        }
    });
    let wrong = limit.is_too_long();
    let mut expected = answers_to_add(port);
    if wrong {
        expected.retain(|code| *code != 0);
        expected.push(c::INVALID_ARGUMENT);
    }
    judge_in(port, "connect", code, &expected);
    if let (0, Some(known)) = (code, world(|world| world.port_of(port))) {
        let number = number.into_raw_fd();
        if handle.is_null() || c::socket_iocp_find_socket(port, number) != handle {
            note("a socket that is being connected is not found".into());
        }
        let limit = (limit.ms != 0).then_some(limit);
        // A connect that fails, or may be too late, takes with it what was issued.
        let may_fail = limit.is_some() || to == Far::Nobody;
        let connect = Some(Connect { to, listener, limit, lingers: false, cancelled: false });
        let socket = Socket { port: known, number, handle: handle.addr(), connect, may_fail, ..Socket::default() };
        world(|world| world.sockets.push(socket));
    }
}

/// The address of this machine, and a port of it at which nobody listens.
const NOBODY: (&CStr, u32) = (c"127.0.0.1", 1);

/// Connects to a host where nobody listens; or one that is none. Names are not looked up: what comes of that is not the same
/// everywhere.
pub(super) fn connect_host(step: Step, port: Handle) {
    if world(|world| world.sockets.len()) >= MAX_SOCKETS {
        return;
    }
    let limit = Limit::of(step.amount / 16);
    let long = CString::new("a".repeat(256)).expect("no zero in it");
    let (host, tcp_port, wrong) = match step.amount % 16 {
        0 => (Some(c""), 80, Some(c::INVALID_ARGUMENT)),
        1 => (Some(long.as_c_str()), 80, Some(c::INVALID_ARGUMENT)),
        2 => (Some(c"\xff"), 80, Some(c::INVALID_ARGUMENT)),
        3 => (None, 80, Some(c::NULL_POINTER)),
        4 => (Some(NOBODY.0), 0, Some(c::INVALID_ARGUMENT)),
        5 => (Some(NOBODY.0), 65_536, Some(c::INVALID_ARGUMENT)),
        _ => (Some(NOBODY.0), NOBODY.1, None),
    };
    let wrong = wrong.or(limit.is_too_long().then_some(c::INVALID_ARGUMENT));
    let (at, mut handle) = (world(|world| world.sockets.len()), ptr::null_mut());
    let code = calling("connect_host", || {
        let host = host.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: the name ends with a zero or is NULL, and the place can be written.
        unsafe { c::socket_iocp_issue_connect_host(port, host, tcp_port, limit.ms, user_of(at), &raw mut handle) }
    });
    let mut expected = answers_to_add(port);
    if let Some(wrong) = wrong {
        expected.retain(|code| *code != 0);
        expected.push(wrong);
    }
    judge_in(port, "connect_host", code, &expected);
    if let (0, Some(known)) = (code, world(|world| world.port_of(port))) {
        let limit = (limit.ms != 0).then_some(limit);
        let connect = Some(Connect { to: Far::Nobody, listener: None, limit, lingers: false, cancelled: false });
        let socket = Socket {
            port: known,
            number: NO_NUMBER,
            handle: handle.addr(),
            connect,
            may_fail: true,
            ..Socket::default()
        };
        world(|world| world.sockets.push(socket));
    }
}

/// Something that cannot be connected, to an address of the right kind.
fn refused(port: Handle, number: Option<OwnedFd>, code: c_int) {
    let raw = number.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    let (address, size) = Address::named(b"nobody");
    let answer = calling("connect", || {
        let address = (&raw const address).cast();
        // SAFETY: the address has so many bytes.
        unsafe { c::socket_iocp_issue_connect(port, raw, address, size, 0, ptr::null_mut(), ptr::null_mut()) }
    });
    judge_refusal(port, answer, code);
}

/// A good socket with no address, or with one that is none of its family.
fn wrong_address(port: Handle, number: OwnedFd, missing: bool) {
    let (mut address, size) = Address::named(b"nobody");
    address.family = AddressFamily::INET.as_raw();
    let place = if missing { ptr::null() } else { (&raw const address).cast() };
    let answer = calling("connect", || {
        // SAFETY: it is NULL, or has so many bytes.
        unsafe {
            c::socket_iocp_issue_connect(port, number.as_raw_fd(), place, size, 0, ptr::null_mut(), ptr::null_mut())
        }
    });
    judge_refusal(port, answer, if missing { c::NULL_POINTER } else { c::INVALID_ARGUMENT });
}

fn judge_refusal(port: Handle, answer: c_int, code: c_int) {
    let mut expected = answers_to_add(port);
    expected.retain(|code| *code != 0);
    expected.push(code);
    judge_in(port, "connect, of what cannot be", answer, &expected);
}
