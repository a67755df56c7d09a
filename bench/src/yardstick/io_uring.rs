//! The yardstick of the io_uring backend: one-shot recvs into a ring of provided buffers, each sent back from where it
//! lies, one system call a turn.

use super::accept;
use crate::READ_BUFFER_SIZE;
use crate::child::Outcome;
use crate::error::{Doing, Error};
use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::alloc::{self, Layout};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// From one buffer to the next: a cache line more than their size, so that their first lines do not all fall into one
/// set of the cache.
const BUFFER_STRIDE: usize = READ_BUFFER_SIZE + 64;
const BUFFER_GROUP: u16 = 0;
/// As large as socket-iocp's own rings.
const SUBMISSION_ENTRIES: u32 = 1024;
const COMPLETION_ENTRIES: u32 = 16_384;
/// `user_data`: the connection, then the buffer that it sends from and this mark, if it sends.
const BUFFER_SHIFT: u32 = 32;
const SEND: u64 = 1 << 63;

/// One connection. It always has exactly one operation under way, a recv or a send.
struct Connection {
    fd: RawFd,
    /// Bytes that it is sending.
    len: u32,
}

/// Echoes over this many connections until each has ended.
pub(crate) fn serve(listener: &TcpListener, connections: usize) -> Result<Outcome, Error> {
    let sockets = accept(listener, connections)?;
    // Declared before the ring, so that it is there for longer.
    let mut buffers = Buffers::new(connections.next_power_of_two());
    let mut ring = build(connections)?;
    // SAFETY: the ring is dropped before the buffers.
    unsafe {
        ring.submitter().register_buf_ring_with_flags(buffers.ring_address(), buffers.entries as u16, BUFFER_GROUP, 0)
    }
    .needed("registering a buffer ring")?;
    let outcome = turns(&mut ring, &sockets, &mut buffers);
    if outcome.is_err() {
        // The kernel may still write to the buffers while it takes the ring down.
        std::mem::forget(buffers);
    }
    outcome
}

fn build(connections: usize) -> Result<IoUring, Error> {
    let entries = (connections.next_power_of_two() as u32).max(SUBMISSION_ENTRIES);
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(COMPLETION_ENTRIES.max(entries));
    let built = builder.setup_no_sqarray().build(entries);
    match built {
        // Before Linux 6.6 there is no NO_SQARRAY.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let mut builder = IoUring::builder();
            builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
            builder.setup_cqsize(COMPLETION_ENTRIES.max(entries)).build(entries)
        }
        built => built,
    }
    .needed("an io_uring for the yardstick")
}

fn turns(ring: &mut IoUring, sockets: &[TcpStream], buffers: &mut Buffers) -> Result<Outcome, Error> {
    let (mut submitter, mut submissions, mut completions) = ring.split();
    submitter.register_ring_fd().needed("registering the ring's descriptor")?;
    let mut table: Vec<Connection> =
        sockets.iter().map(|socket| Connection { fd: socket.as_raw_fd(), len: 0 }).collect();
    for (index, connection) in table.iter().enumerate() {
        push(&mut submissions, &recv(connection.fd, index as u64));
    }
    submissions.sync();
    let mut outcome = Outcome::default();
    let mut live = table.len();
    while live > 0 {
        match submitter.submit_and_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            submitted => submitted.doing("io_uring_enter")?,
        };
        outcome.waits += 1;
        submissions.sync();
        completions.sync();
        for completion in &mut completions {
            let index = completion.user_data() & u64::from(u32::MAX);
            let connection = &mut table[index as usize];
            let len = u32::try_from(completion.result())
                .map_err(|_| Error::failed(format!("recv or send: {}", os_error(&completion))))?;
            if completion.user_data() & SEND == 0 {
                let Some(id) = cqueue::buffer_select(completion.flags()) else {
                    live -= 1;
                    continue;
                };
                connection.len = len;
                let entry = opcode::Send::new(Fd(connection.fd), buffers.address(id), len).flags(libc::MSG_NOSIGNAL);
                let user_data = SEND | (u64::from(id) << BUFFER_SHIFT) | index;
                push(&mut submissions, &entry.build().user_data(user_data));
            } else {
                if len < connection.len {
                    return Err(Error::failed("an echo did not fit the socket's buffer"));
                }
                outcome.messages += 1;
                buffers.provide((completion.user_data() >> BUFFER_SHIFT) as u16);
                push(&mut submissions, &recv(connection.fd, index));
            }
        }
        buffers.publish();
        submissions.sync();
    }
    Ok(outcome)
}

fn recv(fd: RawFd, user_data: u64) -> squeue::Entry {
    opcode::Recv::new(Fd(fd), std::ptr::null_mut(), READ_BUFFER_SIZE as u32)
        .buf_group(BUFFER_GROUP)
        .build()
        .flags(squeue::Flags::BUFFER_SELECT)
        .user_data(user_data)
}

fn push(submissions: &mut squeue::SubmissionQueue<'_>, entry: &squeue::Entry) {
    // SAFETY: a send's bytes are in a buffer that is not provided again before the send has completed; a recv has no
    // pointer.
    let pushed = unsafe { submissions.push(entry) };
    assert!(pushed.is_ok(), "the queue has an entry for each connection");
}

fn os_error(completion: &cqueue::Entry) -> io::Error {
    io::Error::from_raw_os_error(-completion.result())
}

/// A ring of provided buffers with one buffer for each of its entries. A connection holds at most one, so it never runs
/// out.
struct Buffers {
    entries: usize,
    tail: u16,
    ring: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
}

impl Buffers {
    /// `entries`: a power of two, at most 2^14.
    fn new(entries: usize) -> Buffers {
        let (ring_layout, bytes_layout) = layouts(entries);
        // SAFETY: neither layout is of size zero.
        let (ring, bytes) = unsafe { (alloc::alloc_zeroed(ring_layout), alloc::alloc_zeroed(bytes_layout)) };
        let (Some(ring), Some(bytes)) = (NonNull::new(ring), NonNull::new(bytes)) else {
            alloc::handle_alloc_error(bytes_layout);
        };
        let mut buffers = Buffers { entries, tail: 0, ring: ring.cast(), bytes };
        (0..entries).for_each(|id| buffers.provide(id as u16));
        buffers.publish();
        buffers
    }

    fn ring_address(&self) -> u64 {
        self.ring.as_ptr() as u64
    }

    fn address(&self, id: u16) -> *const u8 {
        // SAFETY: ids are below `entries`, as the kernel was given them.
        unsafe { self.bytes.add(usize::from(id) * BUFFER_STRIDE).as_ptr() }
    }

    fn provide(&mut self, id: u16) {
        let place = usize::from(self.tail) & (self.entries - 1);
        // SAFETY: the place is in the ring. A buffer that comes back leaves the kernel with one entry less than the
        // ring holds, so it has consumed what was here.
        let entry = unsafe { &mut *self.ring.as_ptr().add(place) };
        entry.set_addr(self.address(id) as u64);
        entry.set_len(READ_BUFFER_SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        // SAFETY: the tail is in the ring's first entry, and after `provide` only atomics touch it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let (ring_layout, bytes_layout) = layouts(self.entries);
        // SAFETY: allocated with these layouts; nothing is under way that would use them (see `serve`).
        unsafe {
            alloc::dealloc(self.ring.as_ptr().cast(), ring_layout);
            alloc::dealloc(self.bytes.as_ptr(), bytes_layout);
        }
    }
}

fn layouts(entries: usize) -> (Layout, Layout) {
    // The kernel wants the ring to start a page.
    const PAGE: usize = 4096;
    let layout = |size: usize| Layout::from_size_align(size, PAGE).expect("far below the address space");
    (layout(entries * size_of::<BufRingEntry>()), layout(entries * BUFFER_STRIDE))
}
