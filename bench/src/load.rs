//! The load: a closed loop on io_uring, the same for every server and cheaper than any of them, so that the server is
//! what is short of time. Every connection has one message under way; its echo is checked and the next one goes out.

use crate::error::{Doing, Error};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How long an echo may take before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);
/// The mark of a send's `user_data`, beside the connection's number.
const SEND: u64 = 1 << 32;

/// Tells whether this system lets a load run, before anything else is tried.
pub(crate) fn check() -> Result<(), Error> {
    build(2).map(drop)
}

fn build(entries: u32) -> Result<IoUring, Error> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
    builder.build(entries).needed("an io_uring for the load")
}

/// The connections of a load, and what is under way on them.
pub(crate) struct Load {
    ring: IoUring,
    sockets: Vec<TcpStream>,
    message_bytes: usize,
    /// The message of each connection, one after the other.
    sent: Vec<u8>,
    /// And where the echoes come to.
    echoes: Vec<u8>,
    /// Messages sent so far, by which each differs from the one before.
    sequence: u64,
    /// Connections whose echo is under way.
    in_flight: usize,
}

impl Load {
    /// Connects; nothing is sent yet.
    pub(crate) fn connect(address: SocketAddr, connections: usize, message_bytes: usize) -> Result<Load, Error> {
        // A send and a recv each, all in one submission.
        let ring = build((2 * connections).next_power_of_two() as u32)?;
        let connect = |_| {
            let socket = TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        let sockets = (0..connections).map(connect).collect::<io::Result<Vec<_>>>().doing("connecting")?;
        let pattern = |at: usize| (at.wrapping_mul(31) >> 3) as u8;
        let sent = (0..connections * message_bytes).map(pattern).collect();
        let echoes = vec![0; connections * message_bytes];
        Ok(Load { ring, sockets, message_bytes, sent, echoes, sequence: 0, in_flight: 0 })
    }

    /// Keeps every connection busy for this long. Returns the number of echoes.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Result<u64, Error> {
        self.turns(Some(Instant::now() + duration))
    }

    /// Waits for the echoes under way, then closes every connection.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.turns(None).map(drop)
    }

    /// Sends and checks until the deadline; without one, only checks what is under way.
    fn turns(&mut self, deadline: Option<Instant>) -> Result<u64, Error> {
        let (mut submitter, mut submissions, mut completions) = self.ring.split();
        submitter.register_ring_fd().needed("registering the ring's descriptor")?;
        let mut exchange = Exchange {
            sockets: &self.sockets,
            message_bytes: self.message_bytes,
            sent: &mut self.sent,
            echoes: &mut self.echoes,
            sequence: &mut self.sequence,
        };
        if deadline.is_some() && self.in_flight == 0 {
            for index in 0..exchange.sockets.len() {
                exchange.send_next(index, &mut submissions);
                self.in_flight += 1;
            }
            submissions.sync();
        }
        let patience = Timespec::from(PATIENCE);
        let arguments = SubmitArgs::new().timespec(&patience);
        let mut messages = 0;
        while self.in_flight > 0 && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            match submitter.submit_with_args(1, &arguments) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(libc::ETIME) => {
                    return Err(Error::failed(format!("no echo for {} seconds", PATIENCE.as_secs())));
                }
                submitted => submitted.doing("io_uring_enter")?,
            };
            submissions.sync();
            completions.sync();
            for completion in &mut completions {
                let index = exchange.check(&completion)?;
                messages += 1;
                if deadline.is_some() {
                    exchange.send_next(index, &mut submissions);
                } else {
                    self.in_flight -= 1;
                }
            }
            submissions.sync();
        }
        submitter.unregister_ring_fd().doing("unregistering the ring's descriptor")?;
        Ok(messages)
    }
}

impl Drop for Load {
    /// After an error the kernel may still write to the echoes, and read what is sent, while it takes the ring down.
    fn drop(&mut self) {
        if self.in_flight > 0 {
            std::mem::forget(std::mem::take(&mut self.sent));
            std::mem::forget(std::mem::take(&mut self.echoes));
        }
    }
}

/// The messages, apart from the ring.
struct Exchange<'a> {
    sockets: &'a [TcpStream],
    message_bytes: usize,
    sent: &'a mut [u8],
    echoes: &'a mut [u8],
    sequence: &'a mut u64,
}

impl Exchange<'_> {
    /// Queues a connection's next message and the recv of its echo.
    fn send_next(&mut self, index: usize, submissions: &mut squeue::SubmissionQueue<'_>) {
        let fd: RawFd = self.sockets[index].as_raw_fd();
        let range = index * self.message_bytes..(index + 1) * self.message_bytes;
        let message = &mut self.sent[range.clone()];
        *self.sequence += 1;
        for (byte, count) in message.iter_mut().zip(self.sequence.to_le_bytes()) {
            *byte = count;
        }
        let len = message.len() as u32;
        let send = opcode::Send::new(Fd(fd), message.as_ptr(), len).flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        let recv = opcode::Recv::new(Fd(fd), self.echoes[range].as_mut_ptr(), len).flags(libc::MSG_WAITALL);
        // One completion for each message: a send has one of its own only if it fails.
        let send = send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND | index as u64);
        for entry in [send, recv.build().user_data(index as u64)] {
            // SAFETY: message and echo stay where they are until the echo has come, or for ever (see `Load::drop`).
            let pushed = unsafe { submissions.push(&entry) };
            assert!(pushed.is_ok(), "the queue has two entries for each connection");
        }
    }

    /// The connection whose echo has come, whole and right.
    fn check(&self, completion: &cqueue::Entry) -> Result<usize, Error> {
        let index = (completion.user_data() & !SEND) as usize;
        if completion.result() < 0 {
            let what = if completion.user_data() & SEND == 0 { "recv" } else { "send" };
            return Err(io::Error::from_raw_os_error(-completion.result())).doing(what);
        }
        let range = index * self.message_bytes..(index + 1) * self.message_bytes;
        if completion.result() as usize != self.message_bytes || self.echoes[range.clone()] != self.sent[range] {
            return Err(Error::failed(format!("a wrong echo of {} bytes on connection {index}", completion.result())));
        }
        Ok(index)
    }
}
