//! The struct of options, of any size and with anything in it.

use crate::c;
use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is known of the struct.
const KNOWN: usize = size_of::<c::Options>();
/// Sizes that are believed.
const SIZES: std::ops::RangeInclusive<usize> = size_of::<usize>()..=4096;
/// More workers show nothing more, and take their time.
const MAX_WORKERS: i32 = 3;
const MAX_LINGER_MS: u32 = 86_400_000;
const MAX_IDLE_TIMEOUT_MS: u32 = 604_800_000;
const MAX_BUSY_POLL_US: u32 = 1_000_000;
const MAX_SQPOLL_MS: u32 = 60_000;
const MAX_READ_BUFFER_SIZE: u32 = 1 << 30;

/// A port is made exactly where the header says that the options are good, and then does its work.
///
/// The input is the read buffer size in 4 bytes, one bit for each callback that is NULL, and the struct as it lies in
/// memory, cut off or followed by whatever there is.
pub fn options(input: &[u8]) {
    let Some((read_buffer_size, rest)) = input.split_first_chunk() else { return };
    let Some((missing, bytes)) = rest.split_first() else { return };
    let given = Given::new(u32::from_le_bytes(*read_buffer_size), missing & 15, bytes);
    let mut port = ptr::null_mut();
    let code = given.make(&mut port);
    let wrong = given.wrong();
    if wrong.is_empty() {
        assert_eq!(code, 0, "{:?}", given.known);
        work(port, &given.known);
    } else {
        assert!(wrong.contains(&code) && port.is_null(), "{code} is none of {wrong:?}: {:?}", given.known);
    }
}

/// What is passed to the call.
struct Given {
    read_buffer_size: u32,
    missing: u8,
    /// The bytes that the call may read, and not one more: what its size says, or the size alone where it cannot be one.
    readable: Box<[u8]>,
    /// What the library should see in them.
    known: c::Options,
}

impl Given {
    fn new(read_buffer_size: u32, missing: u8, bytes: &[u8]) -> Given {
        let mut first = [0; size_of::<usize>()];
        let whole = bytes.len().min(first.len());
        first[..whole].copy_from_slice(&bytes[..whole]);
        let size = usize::from_ne_bytes(first);
        let mut readable = vec![0; if SIZES.contains(&size) { size } else { first.len() }].into_boxed_slice();
        let whole = bytes.len().min(readable.len());
        readable[..whole].copy_from_slice(&bytes[..whole]);
        let mut given = Given { read_buffer_size, missing, readable, known: c::Options::default() };
        given.make_sound();
        given
    }

    /// Callbacks are functions, as the caller must see to; and there are few workers.
    fn make_sound(&mut self) {
        let callbacks = [
            (offset_of!(c::Options, listen_error_callback_function), listen_ended as *const () as usize),
            (offset_of!(c::Options, watermark_callback_function), crossed as *const () as usize),
            (offset_of!(c::Options, timer_callback_function), timer_ended as *const () as usize),
            (offset_of!(c::Options, connect_callback_function), connected as *const () as usize),
            (offset_of!(c::Options, datagram_callback_function), datagram as *const () as usize),
        ];
        for (callback, function) in callbacks {
            if let Some(place) = self.readable.get_mut(callback..callback + size_of::<usize>()) {
                let address = if place.iter().all(|byte| *byte == 0) { 0 } else { function };
                place.copy_from_slice(&address.to_ne_bytes());
            } else if let Some(cut) = self.readable.get_mut(callback..) {
                // A part of an address is none.
                cut.fill(0);
            }
        }
        let threads = offset_of!(c::Options, threads);
        if let Some(place) = self.readable.get_mut(threads..threads + 4)
            && let Ok(number) = <[u8; 4]>::try_from(&*place).map(i32::from_ne_bytes)
            && (MAX_WORKERS + 1..=1024).contains(&number)
        {
            place.copy_from_slice(&(1 + number % MAX_WORKERS).to_ne_bytes());
        }
        let known = self.readable.len().min(KNOWN);
        // SAFETY: both have this many bytes, each member takes any bytes, and the function is NULL or one.
        unsafe { ptr::copy_nonoverlapping(self.readable.as_ptr(), (&raw mut self.known).cast(), known) };
    }

    fn make(&self, port: &mut c::Handle) -> c_int {
        let has = |bit: u8| self.missing & bit == 0;
        REPORTED.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        // SAFETY: the callbacks are sound; the struct has as many bytes as its size says, or the call must not look at more.
        unsafe {
            c::socket_iocp_new_with_options(
                port,
                self.read_buffer_size as usize,
                has(1).then_some(accepted as c::Accept),
                has(2).then_some(received as c::Recv),
                has(4).then_some(sent as c::Send),
                has(8).then_some(ended as c::Ended),
                self.readable.as_ptr().cast(),
            )
        }
    }

    /// The codes that the call may answer with, by the header; none if it must succeed.
    fn wrong(&self) -> Vec<c_int> {
        let (known, mut codes) = (&self.known, Vec::new());
        let behind = self.readable.get(KNOWN..).unwrap_or_default();
        let invalid = !SIZES.contains(&known.size)
            || behind.iter().any(|byte| *byte != 0)
            || !(c::THREADS_NONE..=1024).contains(&known.threads)
            || known.backend > 3
            || known.linger_ms > MAX_LINGER_MS
            || known.idle_timeout_ms > MAX_IDLE_TIMEOUT_MS
            || known.idle_reads > 2
            || known.skip_on_success > 2
            || known.pin_workers > 2
            || known.busy_poll_us > MAX_BUSY_POLL_US
            || known.sqpoll_idle_ms > MAX_SQPOLL_MS
            || known.shutdown_closes_idle > 2
            || known.multishot_recv > 2
            || known.low_watermark > known.high_watermark
            || known.watermark_callback_function.is_some() && known.high_watermark == 0;
        let conditions = [
            (invalid, c::INVALID_ARGUMENT),
            (self.missing != 0, c::NULL_POINTER),
            (!(1..=MAX_READ_BUFFER_SIZE).contains(&self.read_buffer_size), c::BUFFER_SIZE),
            // It is for Windows.
            (known.backend == 3, c::BACKEND_UNAVAILABLE),
        ];
        codes.extend(conditions.iter().filter(|(holds, _)| *holds).map(|(_, code)| *code));
        codes
    }
}

/// Two connections and a listener do what the options allow, and the port is deleted: everything accepted is reported.
fn work(port: c::Handle, options: &c::Options) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port").into_raw_fd();
    assert_eq!(c::socket_iocp_add_listen_socket(port, listener, 2, ptr::null_mut()), 0);
    let pairs = [(); 2].map(|()| UnixStream::pair().expect("a pair"));
    let (mut added, mut sends) = (0, 0);
    let mut data = *b"data";
    let ours = pairs.map(|(socket, peer)| {
        let socket = OwnedFd::from(socket);
        let code = c::socket_iocp_add_connected_socket(port, socket.as_raw_fd(), ptr::null_mut());
        if options.max_sockets == 1 && added == 1 {
            assert_eq!(code, c::LIMIT);
            return peer;
        }
        assert_eq!(code, 0);
        let handle = c::socket_iocp_find_socket(port, socket.into_raw_fd());
        added += 1;
        assert_eq!(c::socket_iocp_issue_recv(port, handle), 0);
        // SAFETY: the bytes are there until the port has gone.
        let code = unsafe {
            c::socket_iocp_issue_async_send(port, handle, data.as_mut_ptr().cast(), data.len() as u32, ptr::null_mut())
        };
        let full = options.max_queued_bytes != 0 && (options.max_queued_bytes as usize) < data.len();
        // Of the two sends the first may have been reported.
        let over = (1..2 * data.len()).contains(&options.max_port_queued_bytes);
        // The shortest time that a peer may take is over soon.
        let timed_out = options.idle_timeout_ms != 0 && code == c::CLOSED;
        match code {
            c::CLOSED => assert!(timed_out),
            c::LIMIT => assert!(over),
            c::QUEUE_FULL => assert!(full),
            _ => assert!(code == 0 && !full && options.max_port_queued_bytes.wrapping_sub(1) >= data.len() - 1),
        }
        sends += u32::from(code == 0);
        peer
    });
    let driven = options.threads == c::THREADS_NONE;
    assert_eq!(c::socket_iocp_run(port, 0), if driven { 0 } else { c::WRONG_CONTEXT });
    c::socket_iocp_delete(port);
    drop(ours);
    let listen_farewells = u32::from(options.listen_error_callback_function.is_some());
    assert_eq!(REPORTED.each_ref().map(|count| count.load(Ordering::Relaxed)), [sends, added, listen_farewells]);
}

/// Send callbacks, farewells, and farewells of listeners.
static REPORTED: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

extern "C" fn accepted(_: RawFd, _: *mut c_void, _: *mut c_void, _: c::Handle, _: *mut c::Handle) {}
extern "C" fn received(_: RawFd, _: *mut c_void, _: u32, _: c::Handle) {}
extern "C" fn sent(_: RawFd, _: c::Handle, _: c::Handle) {
    REPORTED[0].fetch_add(1, Ordering::Relaxed);
}
extern "C" fn ended(_: RawFd, _: c::Handle) {
    REPORTED[1].fetch_add(1, Ordering::Relaxed);
}
extern "C" fn listen_ended(_: RawFd, _: c::Handle) {
    REPORTED[2].fetch_add(1, Ordering::Relaxed);
}
extern "C" fn crossed(_: RawFd, _: c::Handle, _: c_int) {}
extern "C" fn connected(_: RawFd, _: *mut c_void, _: *mut c_void, _: c::Handle) {
    unreachable!("no connect is issued")
}
extern "C" fn datagram(_: RawFd, _: *mut c_void, _: u32, _: *mut c_void, _: c_int, _: c::Handle) {
    unreachable!("no datagram socket is added")
}
extern "C" fn timer_ended(_: RawFd, _: c::Handle, _: c::Handle) {
    unreachable!("no timer is issued")
}
