//! The server under attack: it echoes, reads on while its echoes are queued, and keeps to the limits that it is given.

use super::options::Limits;
use crate::READ_BUFFER_SIZE;
use crate::child::{backend_named, tell};
use crate::cpus;
use crate::error::{Doing, Error};
use crate::memory::Memory;
use rustix::net::sockopt;
use serde::{Deserialize, Serialize};
use socket_iocp::{Context, ErrorCode, Farewell, Handler, Options, Port, ReadBuffer, Sent};
use std::fs;
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections that the port takes ahead of their accept callback.
const ACCEPT_BACKLOG: usize = 128;
/// Connections that the kernel keeps for the port.
const LISTEN_QUEUE: i32 = 4096;

/// What the server is made with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct ServerTask {
    pub(crate) backend: String,
    pub(crate) cpu: usize,
    pub(crate) limits: Option<Limits>,
}

/// How the server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) memory: Memory,
    /// The most that was ever resident.
    pub(crate) peak_resident: u64,
    pub(crate) received_bytes: u64,
    /// System calls that waited for completions.
    pub(crate) waits: u64,
    /// Sockets that are not read from, for their queue of sends is full.
    pub(crate) held_back: u64,
    /// Farewells of sockets that were idle for too long.
    pub(crate) timed_out: u64,
}

/// The server's main: tells its address, then how it is for each line of its input.
pub(crate) fn serve(task: &ServerTask) -> Result<(), Error> {
    cpus::pin(task.cpu)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).needed("a listener on loopback")?;
    // A longer queue than the standard library's. Accepted sockets inherit the options. With Nagle's algorithm an echo would now and
    // then wait for the client's next message, and be sent when that comes, on the client's CPU time: the same server would cost
    // 2.8 us a message at one time and 4.6 at another.
    rustix::net::listen(&listener, LISTEN_QUEUE).needed("a queue of connections")?;
    sockopt::set_tcp_nodelay(&listener, true).needed("TCP_NODELAY")?;
    sockopt::set_socket_send_buffer_size(&listener, super::SEND_BUFFER_BYTES).needed("SO_SNDBUF")?;
    let address = listener.local_addr().needed("its address")?;
    let mut options = Options::new(READ_BUFFER_SIZE).threads(1).backend(backend_named(&task.backend)?);
    if let Some(limits) = task.limits {
        options = options.max_queued_sends(limits.max_queued_sends).max_queued_bytes(limits.max_queued_bytes);
        if let Some(timeout) = limits.idle_timeout {
            options = options.idle_timeout(timeout);
        }
    }
    let port = Port::new(Echo::default(), options).map_err(|error| Error::cannot_start(format!("a port: {error}")))?;
    port.add_listener(listener, ACCEPT_BACKLOG, ())
        .map_err(|refused| Error::cannot_start(format!("a listener: {}", refused.error)))?;
    tell(&address)?;
    for question in io::stdin().lock().lines() {
        question.doing("standard input")?;
        tell(&state(&port)?)?;
    }
    Ok(())
}

fn state(port: &Port<Echo>) -> Result<State, Error> {
    let (statistics, echo) = (port.statistics(), port.handler());
    Ok(State {
        memory: Memory::of_this_process(statistics.sockets_now)?,
        peak_resident: peak_resident()?,
        received_bytes: statistics.received_bytes,
        waits: statistics.waits,
        held_back: echo.held_back.load(Ordering::Relaxed),
        timed_out: echo.timed_out.load(Ordering::Relaxed),
    })
}

/// See [`proc_pid_status(5)`](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
fn peak_resident() -> Result<u64, Error> {
    let status = fs::read_to_string("/proc/self/status").doing("/proc/self/status")?;
    crate::memory::field(&status, "VmHWM:")
}

/// What came in while the queue of sends was full. No recv is outstanding then: the client is not read from.
type Held = Option<ReadBuffer>;
/// Bytes that the handler keeps for a connection.
pub(crate) const STATE_BYTES: usize = size_of::<Held>();

#[derive(Default, Debug)]
struct Echo {
    held_back: AtomicU64,
    timed_out: AtomicU64,
}

impl Echo {
    /// Sends back what came and reads on; when the queue is full, after the next send has been reported.
    fn echo(&self, context: &Context<'_, Echo>, held: &mut Held, received: ReadBuffer) {
        match context.send(received, ()) {
            Ok(()) => end_if_refused(context, context.recv()),
            Err(refused) => match refused.buffer.into_read_buffer() {
                Ok(buffer) if refused.error.code() == ErrorCode::QueueFull => {
                    self.held_back.fetch_add(1, Ordering::Relaxed);
                    *held = Some(buffer);
                }
                _ => end_if_refused(context, Err(refused.error)),
            },
        }
    }
}

/// An error means that the socket is ending already, or that it cannot be served.
fn end_if_refused(context: &Context<'_, Echo>, issued: Result<(), socket_iocp::Error>) {
    if issued.is_err() {
        let _ = context.abort();
    }
}

impl Handler for Echo {
    type Listener = ();
    type Socket = Held;
    type Write = ();

    fn accept(&self, context: &Context<'_, Echo>, _: &()) -> Option<Held> {
        context.recv().ok().map(|()| None)
    }

    fn recv(&self, context: &Context<'_, Echo>, held: &mut Held, received: Result<ReadBuffer, socket_iocp::Error>) {
        match received {
            Ok(buffer) if !buffer.is_empty() => self.echo(context, held, buffer),
            _ => end_if_refused(context, context.close()),
        }
    }

    fn send(&self, context: &Context<'_, Echo>, held: &mut Held, sent: Sent<()>) {
        drop(sent.buffer);
        if sent.result.is_ok()
            && let Some(buffer) = held.take()
        {
            self.held_back.fetch_sub(1, Ordering::Relaxed);
            self.echo(context, held, buffer);
        }
    }

    fn error(&self, _: &Context<'_, Echo>, held: Held, farewell: Farewell) {
        self.held_back.fetch_sub(u64::from(held.is_some()), Ordering::Relaxed);
        if farewell.reason.is_err_and(|error| error.code() == ErrorCode::TimedOut) {
            self.timed_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}
