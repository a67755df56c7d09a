//! The loads: closed loops on io_uring, the same for every server and cheaper than any of them, so that the server is
//! what is short of time. Whatever comes back is checked.
//!
//! A [`Driver`] knows one kind of load; [`Load`] turns its ring.

mod connecting;
mod exchange;
mod idle;
mod members;
mod streams;

pub(super) use idle::IdleConnections;

use super::workload::Workload;
use crate::error::{Doing, Error};
use hdrhistogram::Histogram;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, squeue};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::mem::ManuallyDrop;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an answer may take before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections from one address of 127.0.0.0/8: there are some 28,000 ports for them.
const CONNECTIONS_AN_ADDRESS: usize = 20_000;
/// The longest latency that is told apart, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// Tells whether this system lets a load run, before anything else is tried.
pub(super) fn check() -> Result<(), Error> {
    build(2).map(drop)
}

fn build(entries: usize) -> Result<IoUring, Error> {
    let entries = entries.next_power_of_two().min(32_768) as u32;
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
    builder.setup_cqsize(2 * entries).build(entries).needed("an io_uring for the load")
}

/// What came of a load.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) units: u64,
    /// In nanoseconds; of streams there is none.
    pub(super) latency: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        let latency = Histogram::new_with_max(LONGEST_NS, 3).expect("bounds and digits are in range");
        Tally { units: 0, latency }
    }

    fn count(&mut self, units: u64, since: Instant, now: Instant) {
        self.units += units;
        self.latency.saturating_record(now.duration_since(since).as_nanos() as u64);
    }
}

/// One kind of load: what it has under way, and what follows on what.
trait Driver {
    /// Queues the first operations.
    fn start(&mut self, queue: &mut Queue<'_>) -> Result<(), Error>;
    /// Takes a completion, and queues what follows. What is under way is brought to its end and nothing new begun once the
    /// queue is closed.
    fn took(&mut self, completion: &cqueue::Entry, queue: &mut Queue<'_>, tally: &mut Tally) -> Result<(), Error>;
    /// Looks at what is only seen at the end.
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Where a driver's operations go.
struct Queue<'a> {
    submissions: squeue::SubmissionQueue<'a>,
    /// Operations that will have a completion.
    in_flight: &'a mut usize,
    closed: bool,
    /// When the completions of this turn were taken.
    now: Instant,
}

impl Queue<'_> {
    /// Whether nothing new may begin.
    fn is_closed(&self) -> bool {
        self.closed
    }

    /// Queues an operation that has a completion.
    fn push(&mut self, entry: &squeue::Entry) {
        *self.in_flight += 1;
        self.push_silent(entry);
    }

    /// Queues one that has none unless it fails.
    fn push_silent(&mut self, entry: &squeue::Entry) {
        // SAFETY: a driver's buffers stay where they are while anything is under way, or for ever (see `Load::drop`).
        let pushed = unsafe { self.submissions.push(entry) };
        assert!(pushed.is_ok(), "the ring has room for all that a load has under way");
    }
}

/// A load on one server.
pub(super) struct Load {
    ring: IoUring,
    driver: ManuallyDrop<Box<dyn Driver>>,
    in_flight: usize,
    started: bool,
}

impl Load {
    /// Connects; nothing is sent yet.
    pub(super) fn connect(workload: Workload, addresses: &[SocketAddr]) -> Result<Load, Error> {
        let shape = workload.shape();
        let (address, publisher) = match *addresses {
            [address] => (address, None),
            [address, publisher] => (address, Some(publisher)),
            _ => return Err(Error::failed("a server has one address or two")),
        };
        let driver: Box<dyn Driver> = match workload {
            Workload::FanOut { .. } => Box::new(members::Members::connect(address, publisher, shape)?),
            Workload::BulkIn => Box::new(streams::Upload::connect(address, shape)?),
            Workload::BulkOut => Box::new(streams::Download::connect(address, shape)?),
            Workload::Connections => Box::new(connecting::Connecting::new(address, shape)),
            Workload::Wake => Box::new(exchange::Exchange::answering(address, shape)?),
            Workload::Echo { .. } | Workload::Answer | Workload::AnswerBatched => {
                Box::new(exchange::Exchange::asking(address, shape)?)
            }
            Workload::Idle { .. } => unreachable!("idle connections have no load"),
        };
        // Three entries each: what `connecting` has under way for one.
        let ring = build(3 * shape.connections + 1)?;
        Ok(Load { ring, driver: ManuallyDrop::new(driver), in_flight: 0, started: false })
    }

    /// Keeps every connection busy for this long.
    pub(super) fn run_for(&mut self, duration: Duration, tally: &mut Tally) -> Result<(), Error> {
        self.turns(Some(Instant::now() + duration), tally)
    }

    /// Waits for what is under way, looks at what is only seen at the end, then closes every connection.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.turns(None, &mut Tally::new())?;
        self.driver.finish()
    }

    fn turns(&mut self, deadline: Option<Instant>, tally: &mut Tally) -> Result<(), Error> {
        let (submitter, submissions, mut completions) = self.ring.split();
        let closed = deadline.is_none();
        let mut queue = Queue { submissions, in_flight: &mut self.in_flight, closed, now: Instant::now() };
        if !self.started && deadline.is_some() {
            self.started = true;
            self.driver.start(&mut queue)?;
            queue.submissions.sync();
        }
        let patience = Timespec::from(PATIENCE);
        let arguments = SubmitArgs::new().timespec(&patience);
        while *queue.in_flight > 0 && deadline.is_none_or(|deadline| queue.now < deadline) {
            match submitter.submit_with_args(1, &arguments) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(libc::ETIME) => {
                    return Err(Error::failed(format!("no answer for {} seconds", PATIENCE.as_secs())));
                }
                submitted => submitted.doing("io_uring_enter")?,
            };
            queue.submissions.sync();
            completions.sync();
            queue.now = Instant::now();
            for completion in &mut completions {
                *queue.in_flight -= 1;
                self.driver.took(&completion, &mut queue, tally)?;
            }
            queue.submissions.sync();
        }
        Ok(())
    }
}

impl Drop for Load {
    /// After an error the kernel may still write to the driver's buffers, and read them, while it takes the ring down.
    fn drop(&mut self) {
        if self.in_flight == 0 {
            // SAFETY: this is its only drop, and nothing uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.driver) };
        }
    }
}

/// A connection, the `number`th.
fn connect(address: SocketAddr, number: usize) -> Result<TcpStream, Error> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).doing("a socket")?;
    if number >= CONNECTIONS_AN_ADDRESS {
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + (number / CONNECTIONS_AN_ADDRESS) as u32);
        socket.bind(&SocketAddr::from((source, 0)).into()).doing("an address of loopback")?;
    }
    socket.connect(&address.into()).doing("connecting")?;
    socket.set_tcp_nodelay(true).doing("TCP_NODELAY")?;
    Ok(socket.into())
}

/// The bytes of a completion.
fn bytes(completion: &cqueue::Entry, what: &str) -> Result<usize, Error> {
    usize::try_from(completion.result())
        .map_err(|_| Error::failed(format!("{what}: {}", io::Error::from_raw_os_error(-completion.result()))))
}

#[cfg(test)]
mod tests;
