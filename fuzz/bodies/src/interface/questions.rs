//! Calls that change nothing: what cannot be added, NULL where a pointer is needed, and what can be asked.

use super::peers;
use super::perform::{calling, judge_in};
use super::script::Step;
use super::world::{NO_NUMBER, note, world};
use crate::c::{self, Handle};
use rustix::net::{self, AddressFamily, SocketType};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

/// Members of `struct socket_iocp_counters`, each of 8 bytes; some of them by their places.
const COUNTERS: usize = 28;
const TAKEN_BUFFERS_NOW: usize = 3;
const WAKEUPS: usize = 16;
const FAREWELLS: usize = 9;
const PANICS: usize = 10;

/// Something is added that cannot be.
pub(super) fn add_wrong(step: Step, port: Handle) {
    let unconnected = || net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    let (number, listens, code): (Option<OwnedFd>, bool, _) = match step.amount % 9 {
        0 => (None, false, c::BAD_SOCKET),
        1 => (None, true, c::BAD_SOCKET),
        2 => (Some(File::open("/dev/null").expect("it is there").into()), false, c::NOT_SOCKET),
        3 => (Some(File::open("/dev/null").expect("it is there").into()), true, c::NOT_SOCKET),
        4 => {
            let datagrams = net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).expect("a socket");
            (Some(datagrams), false, c::NOT_STREAM)
        }
        5 => (Some(unconnected()), false, c::NOT_CONNECTED),
        6 => (Some(unconnected()), true, c::NOT_LISTENING),
        7 => (Some(peers::listener().0), false, c::LISTENING),
        _ => return add_again(port),
    };
    let raw = number.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    let answer = calling("add", || {
        if listens {
            c::socket_iocp_add_listen_socket(port, raw, 1, ptr::null_mut())
        } else {
            c::socket_iocp_add_connected_socket(port, raw, ptr::null_mut())
        }
    });
    let mut expected = wrong_or_full(port);
    expected.push(code);
    judge_in(port, "add, of what cannot be", answer, &expected);
}

/// The codes of a port to which nothing can be added, or where nothing may be.
fn wrong_or_full(port: Handle) -> Vec<i32> {
    world(|world| {
        let limited = world.port_of(port).is_some_and(|at| world.ports[at].given.max_sockets != 0);
        let mut codes = world.wrong_port(port);
        codes.extend(limited.then_some(c::LIMIT));
        codes
    })
}

/// A socket that is in a port is added to this one.
fn add_again(port: Handle) {
    let live = world(|world| {
        let streams = world.sockets.iter().filter(|socket| !socket.ended && socket.mail.is_none());
        streams.map(|socket| socket.number).find(|number| *number != NO_NUMBER)
    });
    let Some(number) = live else { return };
    let answer = calling("add", || c::socket_iocp_add_connected_socket(port, number, ptr::null_mut()));
    let mut expected = wrong_or_full(port);
    // The connection may be none any more.
    expected.extend([c::ALREADY_ADDED, c::NOT_CONNECTED]);
    judge_in(port, "add, again", answer, &expected);
}

/// Outside of callbacks of this port there is no result.
pub(super) fn result_of(port: Handle) {
    let mut bytes = [0usize; 16];
    bytes[0] = size_of_val(&bytes);
    // SAFETY: there are as many bytes as the first member says.
    let answer = unsafe { c::socket_iocp_result(port, bytes.as_mut_ptr().cast()) };
    let inside = world(|world| {
        let known = world.port_of(port);
        known.is_some() && world.callbacks.last().map(|callback| callback.port) == known
    });
    let mut expected = world(|world| world.wrong_port(port));
    expected.push(if inside { 0 } else { c::WRONG_CONTEXT });
    judge_in(port, "result", answer, &expected);
}

/// NULL where a pointer is needed.
pub(super) fn null_pointer(port: Handle, choice: u8) {
    // SAFETY: NULL is an error of each call.
    let answer = unsafe {
        match choice % 7 {
            0 => c::socket_iocp_new(ptr::null_mut(), 1, None, None, None, None),
            1 => c::socket_iocp_result(port, ptr::null_mut()),
            2 => c::socket_iocp_pollable(port, ptr::null_mut()),
            3 => c::socket_iocp_backend(port, ptr::null_mut(), ptr::null_mut(), 0),
            4 => c::socket_iocp_statistics(port, ptr::null_mut()),
            5 => c::socket_iocp_release_buffer(ptr::null_mut()),
            _ => c::socket_iocp_take_buffer(port, ptr::null_mut(), ptr::null_mut()),
        }
    };
    let mut expected = world(|world| world.wrong_port(port));
    expected.push(c::NULL_POINTER);
    judge_in(port, "a call with NULL", answer, &expected);
}

/// The questions that a port, or nothing, answers.
pub(super) fn ask(port: Handle, choice: u8) {
    let wrong = world(|world| world.wrong_port(port));
    let expected = if wrong.is_empty() { vec![0] } else { wrong };
    // In a callback of a port that is being deleted it still tells.
    let or_told: Vec<_> = expected.iter().copied().chain([0]).collect();
    let inside = world(|world| !world.callbacks.is_empty());
    let expected = if inside { &or_told } else { &expected };
    match choice % 4 {
        0 => {
            let mut descriptor = -1;
            // SAFETY: the place can be written.
            judge_in(port, "pollable", unsafe { c::socket_iocp_pollable(port, &raw mut descriptor) }, expected);
        }
        1 => {
            let (mut backend, mut reason) = (0, [1; 8]);
            let size = usize::from(choice) % (reason.len() + 1);
            // SAFETY: the places can be written, and the text has so much room.
            let code = unsafe { c::socket_iocp_backend(port, &raw mut backend, reason.as_mut_ptr(), size) };
            judge_in(port, "backend", code, expected);
            if code == 0 && size > 0 && !reason[..size].contains(&0) || reason[size..].iter().any(|byte| *byte != 1) {
                note(format!("a reason in {size} bytes without an end, or beyond them: {reason:?}"));
            }
        }
        2 => statistics(port, expected),
        _ => texts(choice),
    }
}

/// The counters of a port and those of its only worker, which has none of the buffers taken.
fn statistics(port: Handle, expected: &[i32]) {
    let mut counters = [0u64; COUNTERS];
    counters[0] = size_of_val(&counters) as u64;
    // SAFETY: there are as many bytes as the first member says.
    let code = unsafe { c::socket_iocp_statistics(port, counters.as_mut_ptr().cast()) };
    judge_in(port, "statistics", code, expected);
    let mut of_worker = [0u64; COUNTERS];
    of_worker[0] = size_of_val(&of_worker) as u64;
    // SAFETY: likewise.
    let code_of_worker = unsafe { c::socket_iocp_worker_statistics(port, 0, of_worker.as_mut_ptr().cast()) };
    // SAFETY: likewise.
    let other = unsafe { c::socket_iocp_worker_statistics(port, u32::MAX, of_worker.as_mut_ptr().cast()) };
    judge_in(port, "worker_statistics", code_of_worker, &[code]);
    judge_in(port, "worker_statistics, of no worker", other, &[if code == 0 { c::INVALID_ARGUMENT } else { code }]);
    let known = world(|world| world.port_of(port));
    let (Some(at), 0) = (known, code) else { return };
    of_worker[TAKEN_BUFFERS_NOW] = counters[TAKEN_BUFFERS_NOW];
    // The thread that connects to hosts may wake it at any time.
    of_worker[WAKEUPS] = counters[WAKEUPS];
    if of_worker != counters {
        note(format!("the only worker has counted {of_worker:?}, its port {counters:?}"));
    }
    let right = world(|world| {
        let taken = world.taken.iter().filter(|taken| taken.port == at).count() as u64;
        let outside = world.callbacks.is_empty();
        counters[PANICS] == 0
            && counters[TAKEN_BUFFERS_NOW] == taken
            && (!outside || counters[FAREWELLS] == world.ports[at].farewells)
    });
    if !right {
        note(format!("wrong counters: {counters:?}"));
    }
}

fn texts(choice: u8) {
    let code = -i32::from(choice >> 2);
    let texts = [
        c::socket_iocp_strerror(code),
        c::socket_iocp_strerror(i32::MIN ^ code),
        c::socket_iocp_version(),
        c::socket_iocp_backend_name(choice.into()),
    ];
    for text in texts {
        // SAFETY: each is valid for ever, by the header.
        if unsafe { CStr::from_ptr(text) }.is_empty() {
            note("a text that says nothing".into());
        }
    }
}
