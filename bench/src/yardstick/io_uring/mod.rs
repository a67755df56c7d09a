//! The yardstick of the io_uring backend: one-shot recvs into a ring of provided buffers, one system call a turn, connections
//! that are no descriptors but places in the ring's own table of files, which spares each operation the way through the
//! process's.

mod answer_batched;
mod buffers;
mod echo;
mod ring;
mod sink;
mod source;

use crate::error::{Doing, Error};
use crate::works::{Outcome, Service, Serving};
use answer_batched::AnswerBatched;
use buffers::Buffers;
use echo::Echo;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};
use ring::{Kind, Ring, Socket, Tag};
use rustix::process::{Resource, getrlimit};
use sink::Sink;
use source::Source;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, BorrowedFd};

/// So few that the queues stay in the cache; a turn that wants more submissions makes a call more.
const SUBMISSION_ENTRIES: u32 = 256;
/// What does not fit, the kernel keeps.
const COMPLETION_ENTRIES: u32 = 1024;
/// The most connections at once.
const MAX_SOCKETS: u64 = 1 << 15;

/// What a server does with its connections. `Err` ends the server.
trait Work {
    fn accepted(&mut self, ring: &mut Ring<'_>, socket: Socket) -> Result<(), Error> {
        ring.recv(socket)
    }

    /// A buffer has been filled with so many bytes.
    fn received(&mut self, ring: &mut Ring<'_>, socket: Socket, buffer: u16, len: usize) -> Result<(), Error>;

    /// The peer's FIN has come.
    fn finished(&mut self, ring: &mut Ring<'_>, socket: Socket) -> Result<(), Error> {
        ring.close(socket)
    }

    /// A send has ended. `buffer` is the one named when it was queued; `all`: there was no error.
    fn sent(&mut self, ring: &mut Ring<'_>, socket: Socket, buffer: u16, all: bool) -> Result<(), Error>;
}

pub(super) fn serve(serving: Serving, listener: &TcpListener, end: BorrowedFd<'_>) -> Result<Outcome, Error> {
    let sockets = getrlimit(Resource::Nofile).current.unwrap_or(MAX_SOCKETS).min(MAX_SOCKETS) as u32;
    match serving.service {
        Service::Echo => run(Echo, serving, sockets, listener, end),
        Service::AnswerBatched => run(AnswerBatched::new(), serving, sockets, listener, end),
        Service::Sink => run(Sink::new(sockets), serving, sockets, listener, end),
        Service::Source => run(Source::new(serving.read_buffer), serving, sockets, listener, end),
        _ => unreachable!("not among the services"),
    }
}

fn run<W: Work>(
    work: W,
    serving: Serving,
    sockets: u32,
    listener: &TcpListener,
    end: BorrowedFd<'_>,
) -> Result<Outcome, Error> {
    // The kernel may still read what is being sent, and write to the last, while it takes the ring down.
    let mut work = ManuallyDrop::new(work);
    let end_bytes: &'static mut [u8; 64] = Box::leak(Box::new([0; 64]));
    let mut io_uring = build()?;
    let (mut submitter, submissions, mut completions) = io_uring.split();
    submitter.register_ring_fd().needed("registering the ring's descriptor")?;
    submitter.register_files_sparse(sockets).needed("a table of files")?;
    let buffers = Buffers::register(serving.read_buffer, &submitter)?;
    let mut ring = Ring { submitter, submissions, buffers };
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).allocate_file_index(true).build();
    let accept = accept.user_data(Tag::new(Kind::Accept, 0, 0).user_data());
    let read_end = opcode::Read::new(Fd(end.as_raw_fd()), end_bytes.as_mut_ptr(), end_bytes.len() as u32).build();
    let read_end = read_end.user_data(Tag::new(Kind::End, 0, 0).user_data());
    // SAFETY: the one has no pointer, the other's memory is never freed, and nobody else uses it.
    unsafe {
        ring.push(&accept)?;
        ring.push(&read_end)?;
    }
    let mut outcome = Outcome::default();
    loop {
        ring.submit_and_wait()?;
        outcome.waits += 1;
        completions.sync();
        for completion in &mut completions {
            outcome.completions += 1;
            let tag = Tag::of(completion.user_data());
            match tag.kind() {
                Kind::Recv => received(&mut *work, &mut ring, tag.socket(), &completion)?,
                Kind::Send => work.sent(&mut ring, tag.socket(), tag.buffer(), completion.result() >= 0)?,
                Kind::Accept => {
                    if !cqueue::more(completion.flags()) {
                        // There was no room for a completion.
                        // SAFETY: as above.
                        unsafe { ring.push(&accept)? };
                    }
                    work.accepted(&mut ring, accepted(&completion)?)?;
                }
                Kind::Close => return Err(error(&completion)).doing("close"),
                Kind::End if completion.result() == 0 => return Ok(outcome),
                // SAFETY: as above.
                Kind::End => unsafe { ring.push(&read_end)? },
            }
        }
    }
}

fn received<W: Work>(
    work: &mut W,
    ring: &mut Ring<'_>,
    socket: Socket,
    completion: &cqueue::Entry,
) -> Result<(), Error> {
    match (completion.result(), cqueue::buffer_select(completion.flags())) {
        (len @ 1.., Some(buffer)) => work.received(ring, socket, buffer, len as usize),
        (0, _) => work.finished(ring, socket),
        (error, _) if error == -libc::ENOBUFS => {
            ring.buffers.use_one_more()?;
            ring.recv(socket)
        }
        // Mostly a reset.
        _ => ring.close(socket),
    }
}

fn accepted(completion: &cqueue::Entry) -> Result<Socket, Error> {
    Socket::try_from(completion.result()).map_err(|_| error(completion)).doing("accept")
}

fn error(completion: &cqueue::Entry) -> io::Error {
    io::Error::from_raw_os_error(-completion.result())
}

fn build() -> Result<IoUring, Error> {
    let builder = || {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all().setup_cqsize(COMPLETION_ENTRIES);
        builder
    };
    match builder().setup_no_sqarray().build(SUBMISSION_ENTRIES) {
        // Before Linux 6.6 there is no NO_SQARRAY.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => builder().build(SUBMISSION_ENTRIES),
        built => built,
    }
    .needed("an io_uring for the yardstick")
}
