//! What a port is made with.

use crate::sys::net::Net;
use crate::{Error, ErrorCode};
use std::time::Duration;
#[cfg(feature = "sim")]
use {
    crate::sys::sim::{Names, Network},
    std::sync::Arc,
};

/// The facility under a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
#[repr(u32)]
pub enum BackendKind {
    /// Linux io_uring.
    IoUring = 1,
    /// epoll on Linux, kqueue on macOS and the BSDs.
    Readiness = 2,
    /// Windows I/O completion ports.
    Iocp = 3,
    /// The deterministic in-process network (feature `sim`), for tests.
    Sim = 4,
}

impl BackendKind {
    /// The name that `SOCKET_IOCP_BACKEND` takes.
    pub const fn name(self) -> &'static str {
        match self {
            BackendKind::IoUring => "io_uring",
            BackendKind::Readiness => "readiness",
            BackendKind::Iocp => "iocp",
            BackendKind::Sim => "sim",
        }
    }

    /// Tells whether this machine offers the backend, by making one and dropping it; the error says why not.
    pub fn probe(self) -> Result<(), Error> {
        crate::sys::probe(self)
    }

    /// The backend of a name, as `SOCKET_IOCP_BACKEND` spells it.
    pub fn from_name(name: &str) -> Option<BackendKind> {
        [BackendKind::IoUring, BackendKind::Readiness, BackendKind::Iocp, BackendKind::Sim]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// The largest read buffer size: 1 GiB.
pub const MAX_READ_BUFFER_SIZE: usize = 1 << 30;
/// The most worker threads of one port.
pub const MAX_THREADS: usize = 1024;
/// The longest linger: one day.
pub const MAX_LINGER: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest idle time-out: seven days.
pub const MAX_IDLE_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest that a worker looks before it sleeps: one second.
pub const MAX_BUSY_POLL: Duration = Duration::from_secs(1);

/// The longest that a thread of the kernel looks for submissions before it sleeps: one minute.
pub const MAX_SQPOLL: Duration = Duration::from_secs(60);

/// The options of a port. Everything but the read buffer size has a default.
///
/// The environment overrides two of them for the whole process: `SOCKET_IOCP_BACKEND` (`io_uring`, `readiness`,
/// `iocp`) and `SOCKET_IOCP_THREADS` (1 to 1024; it does not touch a port made with [`threads(0)`](Options::threads)).
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) read_buffer_size: usize,
    pub(crate) threads: Option<usize>,
    pub(crate) backend: Option<BackendKind>,
    pub(crate) linger: Duration,
    pub(crate) max_sockets: usize,
    pub(crate) max_queued_sends: u32,
    pub(crate) max_queued_bytes: u32,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) idle_reads: bool,
    pub(crate) skip_on_success: Option<bool>,
    pub(crate) pin_workers: bool,
    pub(crate) busy_poll: Duration,
    pub(crate) zero_copy_from: u32,
    pub(crate) sqpoll: Option<Duration>,
    pub(crate) high_watermark: Option<u32>,
    pub(crate) low_watermark: u32,
    pub(crate) max_port_queued_bytes: usize,
    pub(crate) shutdown_closes_idle: bool,
    pub(crate) multishot_recv: bool,
    #[cfg(feature = "sim")]
    pub(crate) network: Option<Arc<Network>>,
    /// Workers of a port that its caller drives.
    #[cfg(feature = "sim")]
    pub(crate) stepped: usize,
    /// Who is asked for host names, in the place of the system.
    #[cfg(feature = "sim")]
    pub(crate) names: Option<Arc<Names>>,
}

impl Options {
    /// The defaults, with read buffers of `read_buffer_size` bytes (1 to [`MAX_READ_BUFFER_SIZE`]).
    pub fn new(read_buffer_size: usize) -> Options {
        Options {
            read_buffer_size,
            threads: None,
            backend: None,
            linger: Duration::from_secs(5),
            max_sockets: usize::MAX,
            max_queued_sends: u32::MAX,
            max_queued_bytes: u32::MAX,
            idle_timeout: None,
            idle_reads: false,
            skip_on_success: None,
            pin_workers: false,
            busy_poll: Duration::ZERO,
            zero_copy_from: 0,
            sqpoll: None,
            high_watermark: None,
            low_watermark: 0,
            max_port_queued_bytes: usize::MAX,
            shutdown_closes_idle: true,
            multishot_recv: false,
            #[cfg(feature = "sim")]
            network: None,
            #[cfg(feature = "sim")]
            stepped: 1,
            #[cfg(feature = "sim")]
            names: None,
        }
    }

    /// Worker threads, 0 to [`MAX_THREADS`]. Default: the parallelism available to the process. With 0 the port has
    /// none and the caller drives it by [`PortHandle::run`](crate::PortHandle::run).
    pub fn threads(mut self, threads: usize) -> Options {
        self.threads = Some(threads);
        self
    }

    /// Forces a backend: if it is not to be had, making the port fails. Default: the best that the machine offers.
    pub fn backend(mut self, backend: BackendKind) -> Options {
        self.backend = Some(backend);
        self
    }

    /// How long a graceful close may take, counted from the call, before it becomes an abort. Default 5 s, at least
    /// 1 ms, at most [`MAX_LINGER`].
    pub fn linger(mut self, linger: Duration) -> Options {
        self.linger = linger;
        self
    }

    /// The most connected sockets in the port at once. An add above it is [`ErrorCode::Limit`]; connections above it wait
    /// in the kernel, but for those that accepts pending at that moment bring (at most the accept backlog): they wait in
    /// the library. Default: no limit.
    pub fn max_sockets(mut self, sockets: usize) -> Options {
        self.max_sockets = sockets;
        self
    }

    /// The most async sends outstanding on one socket; one more is [`ErrorCode::QueueFull`]. Default: no limit but memory.
    pub fn max_queued_sends(mut self, sends: u32) -> Options {
        self.max_queued_sends = sends;
        self
    }

    /// The most bytes in the async sends outstanding on one socket, each counted whole from its issue to its callback, one from a
    /// file with 65,536 at most; a send that would make it more, be it the only one, is [`ErrorCode::QueueFull`], and nothing is
    /// queued. Default: no limit but memory.
    pub fn max_queued_bytes(mut self, bytes: u32) -> Options {
        self.max_queued_bytes = bytes;
        self
    }

    /// How long the peer may keep a socket waiting: while a recv is outstanding, without a byte moving either way;
    /// while a send is outstanding, without a byte of it leaving, whatever is received meanwhile. The socket is then
    /// aborted: its farewell says [`ErrorCode::TimedOut`], its sends [`ErrorCode::Cancelled`]. That comes when this
    /// time has passed, and at the latest a quarter of it and 20 ms later (more if callbacks hold the worker up). A
    /// socket on which nothing is outstanding waits for its own program, and a closing one has its
    /// [`linger`](Options::linger): neither is idle. At least 1 ms, at most [`MAX_IDLE_TIMEOUT`]. Default: none.
    ///
    /// On Windows a byte leaves when the system reports its part of the send, which is at most 64 KiB then.
    pub fn idle_timeout(mut self, timeout: Duration) -> Options {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Whether a recv waits for data with a read of no bytes, and takes a read buffer when there is some: so that an idle
    /// connection costs no buffer and pins no page of memory, for one call more a recv. It is for Windows, where a buffer
    /// has to be given to the system before there is data; elsewhere it is always so, and this changes nothing. Default:
    /// false.
    ///
    /// See [WSARecv](https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsarecv).
    pub fn idle_reads(mut self, idle_reads: bool) -> Options {
        self.idle_reads = idle_reads;
        self
    }

    /// Whether an operation that is done at once is reported without a turn through the completion port
    /// (`FILE_SKIP_COMPLETION_PORT_ON_SUCCESS`). By default it is wherever it works: not where a provider of TCP sockets
    /// without file handles is installed. Only Windows has it; elsewhere this changes nothing. A socket that is handed
    /// back keeps the mode.
    ///
    /// See [SetFileCompletionNotificationModes](https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setfilecompletionnotificationmodes).
    pub fn skip_on_success(mut self, skip: bool) -> Options {
        self.skip_on_success = Some(skip);
        self
    }

    /// Whether each worker stays on one processor: worker n on the n-th of those on which the thread that makes the port may
    /// run, which are mostly the process's; with more workers than processors, counted round. Default: false.
    ///
    /// It helps where the processors are the program's alone: a worker's sockets stay in one processor's caches, and the
    /// worst latencies come down. It hurts where they are shared: a worker whose processor is busy with something else
    /// waits for it, while another processor is idle; and two ports with this option pin their workers to the same.
    ///
    /// A hint: Linux, Android and Windows have it, elsewhere it changes nothing, as it does on a port made with
    /// [`threads(0)`](Options::threads), which has no workers. A refusal of the system is not reported. Windows counts
    /// processors beyond 64 in groups: each worker stays in the group in which the system has started it.
    ///
    /// See [`sched_setaffinity(2)`](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html),
    /// [SetThreadAffinityMask](https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setthreadaffinitymask).
    pub fn pin_workers(mut self, pin: bool) -> Options {
        self.pin_workers = pin;
        self
    }

    /// How long a worker that has nothing to do looks for something, without sleeping, before it sleeps; at most
    /// [`MAX_BUSY_POLL`]. Default: zero, it sleeps at once.
    ///
    /// It helps where latency is worth a processor for each worker: what comes within this time meets a worker that is
    /// awake, and a call of another thread needs no system call to wake it. It hurts everywhere else: a worker that looks
    /// uses all of its processor, takes it from the program's other threads, and with more workers than processors one
    /// takes it from the next, so that all of them are later than without. Linger, idle time-outs and pauses come in time.
    ///
    /// A port made with [`threads(0)`](Options::threads) waits as its caller says, and this changes nothing.
    pub fn busy_poll(mut self, time: Duration) -> Options {
        self.busy_poll = time;
        self
    }

    /// From how many bytes on what is sent to a socket at once is read by the system where it lies, without a copy; 0 (the
    /// default) for never. Queued sends that leave together count together.
    ///
    /// It helps where a program sends large buffers, from some 16 KiB on, to a network card: a processor that copies nothing
    /// has time for more. It hurts on loopback, where there is a copy all the same, and later; with small sends, since
    /// the bookkeeping costs more than the copy; and on long ways: such a send is done, its callback called and its buffer
    /// free, when the peer's system has acknowledged it, and the next send of that socket starts then. With an
    /// [`idle_timeout`](Options::idle_timeout) a send goes in parts, of at most 256 KiB or this many bytes, each of which
    /// the peer's system has to take in that time.
    ///
    /// Whatever ends such a socket but [`remove`](crate::PortHandle::remove) resets the connection if a send is outstanding;
    /// what is removed is handed back when the peer's system has acknowledged what was sent, or reset if the port is
    /// deleted before.
    ///
    /// A hint: io_uring has it for TCP, from Linux 6.1 on. On other backends and sockets, and on a socket of which the system
    /// has refused such a send (for want of `RLIMIT_MEMLOCK`, above all), sends are as without it.
    ///
    /// See [`io_uring_prep_send_zc(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_send_zc.3.html).
    pub fn zero_copy_from(mut self, bytes: u32) -> Options {
        self.zero_copy_from = bytes;
        self
    }

    /// Gives each worker a thread of the kernel that takes its submissions, so that the worker makes no system call for them;
    /// the thread sleeps when it has found none for this time, 1 ms to [`MAX_SQPOLL`]. Default: none.
    ///
    /// It helps workers that never stand still, each with a second processor for its kernel's thread: with
    /// [`busy_poll`](Options::busy_poll) as well, a worker under load makes hardly any system call. It hurts everybody else:
    /// the kernel's thread uses all of a processor while it looks, each operation goes through another processor's hands, and
    /// what DEFER_TASKRUN spares a worker (completions are made in its own call, and wake nobody) is lost.
    ///
    /// A hint: io_uring alone has it. Where the kernel refuses the thread, the port works without; in the list of the
    /// process's threads it is `iou-sqp-` and a number. A port made with [`threads(0)`](Options::threads) has none.
    ///
    /// See [`io_uring_setup(2)`](https://man7.org/linux/man-pages/man2/io_uring_setup.2.html), `IORING_SETUP_SQPOLL`.
    pub fn sqpoll(mut self, idle: Duration) -> Options {
        self.sqpoll = Some(idle);
        self
    }

    /// How many bytes in the async sends outstanding on one socket are many: when they rise above this,
    /// [`Handler::watermark`](crate::Handler::watermark) says so, and again when they have fallen to the
    /// [low mark](Options::low_watermark). At least 1. Default: none, and nothing is counted for it.
    ///
    /// They are counted as for [`max_queued_bytes`](Options::max_queued_bytes), which refuses where this only tells. A port
    /// that counts takes at most 4 GiB - 1 in the async sends of one socket; more is [`ErrorCode::QueueFull`].
    pub fn high_watermark(mut self, bytes: u32) -> Options {
        self.high_watermark = Some(bytes);
        self
    }

    /// How many bytes in the async sends outstanding on one socket are few again, after they were above the
    /// [high mark](Options::high_watermark); at most that. Default: 0, all of them have gone.
    pub fn low_watermark(mut self, bytes: u32) -> Options {
        self.low_watermark = bytes;
        self
    }

    /// The most bytes in the async sends outstanding on all sockets of the port together, counted as for
    /// [`max_queued_bytes`](Options::max_queued_bytes); a send that would make it more is [`ErrorCode::Limit`], also where its
    /// own socket's queue is full, and nothing is queued. So many slow peers cannot take the memory that each alone is
    /// allowed. All threads that send share one count for it. At least 1. Default: no limit, and nothing is counted.
    pub fn max_port_queued_bytes(mut self, bytes: usize) -> Options {
        self.max_port_queued_bytes = bytes;
        self
    }

    /// Whether [`Port::shutdown`](crate::Port::shutdown) closes connections that are idle, gracefully, those that become so later
    /// included: those on which a recv is outstanding and nothing else, between two requests of their peer. Default: true.
    ///
    /// The library does not know what a recv is waiting for. A program for which the middle of a request, or an answer that is
    /// still being made, looks like that sets this to false, and closes its connections itself when each has finished.
    pub fn shutdown_closes_idle(mut self, closes: bool) -> Options {
        self.shutdown_closes_idle = closes;
        self
    }

    /// Whether a recv, once issued, stays with the kernel for as long as its socket is in the port (`IORING_RECV_MULTISHOT`), and
    /// is not submitted anew each time. Default: false.
    ///
    /// It helps where a message is small and a system call's work dear: nothing is submitted for the next recv. It hurts
    /// programs that leave sockets unread: what comes while no recv is issued is taken from the kernel all the same and kept by
    /// the port, in at most 16 read buffers a socket and what the kernel still fills while it hears of that; then the recv is
    /// taken back, the peer is pushed back as ever, and the next recv that finds nothing kept submits one again. A recv that
    /// finds something is reported from there, one buffer a callback, as ever.
    ///
    /// What is kept when a socket is [removed](crate::PortHandle::remove) is not the socket's any more, so it is reported before
    /// the farewell, in recv callbacks, one a buffer, whether a recv is issued or not. Every other end throws it away, as it does
    /// with what is in the kernel. If there is no memory to keep something, the next recv fails with
    /// [`ErrorCode::NoMemory`], and a removal becomes a reset with that reason.
    ///
    /// A hint: io_uring has it, from Linux 6.0 on; elsewhere this changes nothing.
    ///
    /// See [`io_uring_prep_recv_multishot(3)`](https://man7.org/linux/man-pages/man3/io_uring_prep_recv_multishot.3.html).
    pub fn multishot_recv(mut self, multishot: bool) -> Options {
        self.multishot_recv = multishot;
        self
    }

    /// Serves the sockets of a simulated network, and no others.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn sim(mut self, network: Arc<Network>) -> Options {
        self.network = Some(network);
        self.backend(BackendKind::Sim)
    }

    /// A port that its caller drives, with so many workers: each has its turn by `PortHandle::step`.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn stepped(mut self, workers: usize) -> Options {
        self.stepped = workers;
        self.threads(0)
    }

    /// Has host names looked up in a table, and not by the system.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn names(mut self, names: Arc<Names>) -> Options {
        self.names = Some(names);
        self
    }

    /// How many workers a port has that its caller drives.
    pub(crate) fn driven_workers(&self) -> usize {
        #[cfg(feature = "sim")]
        return self.stepped;
        #[cfg(not(feature = "sim"))]
        1
    }

    /// Whose sockets the port serves.
    pub(crate) fn net(&self) -> Result<Net, Error> {
        #[cfg(feature = "sim")]
        if self.backend == Some(BackendKind::Sim) {
            let network = self.network.clone().ok_or(ErrorCode::BackendUnavailable)?;
            return Ok(Net::Sim(network));
        }
        Ok(Net::Os)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.read_buffer_size == 0 || self.read_buffer_size > MAX_READ_BUFFER_SIZE {
            return Err(ErrorCode::BufferSize.into());
        }
        let threads_fit = self.threads.is_none_or(|threads| threads <= MAX_THREADS);
        let linger_fits = (Duration::from_millis(1)..=MAX_LINGER).contains(&self.linger);
        let idle_fits =
            self.idle_timeout.is_none_or(|idle| (Duration::from_millis(1)..=MAX_IDLE_TIMEOUT).contains(&idle));
        let limits_fit = self.max_sockets != 0
            && self.max_queued_sends != 0
            && self.max_queued_bytes != 0
            && self.max_port_queued_bytes != 0;
        let marks_fit =
            self.high_watermark.map_or(self.low_watermark == 0, |high| high != 0 && self.low_watermark <= high);
        let sqpoll_fits = self.sqpoll.is_none_or(|idle| (Duration::from_millis(1)..=MAX_SQPOLL).contains(&idle));
        let busy_poll_fits = self.busy_poll <= MAX_BUSY_POLL;
        if !threads_fit || !linger_fits || !idle_fits || !limits_fit || !busy_poll_fits || !sqpoll_fits || !marks_fit {
            return Err(ErrorCode::InvalidArgument.into());
        }
        Ok(())
    }
}
