//! The yardstick of the readiness backend: an edge-triggered epoll loop.

mod replies;
mod sink;
mod source;

use crate::error::{Doing, Error};
use crate::works::{Outcome, Service, Serving};
use replies::{Answers, Echo, Replies};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
use sink::Sink;
use source::Source;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Events taken by one call.
const MAX_EVENTS: usize = 256;
/// Reads or writes of one connection before others have their turn.
const PATIENCE: usize = 16;
/// What the events of the listener and of the server's end carry; those of connections carry their descriptors.
const LISTENER: u64 = u64::MAX;
const END: u64 = u64::MAX - 1;

/// What is to come of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// Another event.
    Event,
    /// It goes on without one.
    MoreAtOnce,
    Close,
}

/// What a server does with its connections.
trait Work {
    /// What there is to a connection.
    type State: Default;
    /// The events that it waits for from the start.
    const EVENTS: EventFlags;
    /// Goes on with a connection; `to_the_end`: what can be read is to be read until there is no more, since no event will tell
    /// of it.
    fn go_on(&mut self, epoll: &OwnedFd, connection: &mut Connection<Self::State>, to_the_end: bool) -> Next;
}

struct Connection<S> {
    socket: OwnedFd,
    state: S,
}

impl<S> Connection<S> {
    /// Reads; else says what comes next: nothing is there, or nothing will be. The peer's FIN is 0 bytes.
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Next> {
        recv(&self.socket, buffer, RecvFlags::empty()).map(|(len, _)| len).map_err(next_after)
    }

    /// Writes, perhaps in part; else says what comes next.
    fn write(&self, bytes: &[u8]) -> Result<usize, Next> {
        send(&self.socket, bytes, SendFlags::NOSIGNAL).map_err(next_after)
    }
}

fn next_after(error: Errno) -> Next {
    if error == Errno::AGAIN { Next::Event } else { Next::Close }
}

pub(super) fn serve(serving: Serving, listener: &TcpListener, end: BorrowedFd<'_>) -> Result<Outcome, Error> {
    let Serving { service, read_buffer, .. } = serving;
    match service {
        Service::Echo => Server::new(Replies::<Echo>::new(read_buffer), listener)?.run(end),
        Service::AnswerBatched => Server::new(Replies::<Answers>::new(read_buffer), listener)?.run(end),
        Service::Sink => Server::new(Sink::new(read_buffer), listener)?.run(end),
        Service::Source => Server::new(Source::new(read_buffer), listener)?.run(end),
        _ => unreachable!("not among the services"),
    }
}

struct Server<'a, W: Work> {
    work: W,
    epoll: OwnedFd,
    listener: &'a TcpListener,
    /// By descriptor.
    connections: Vec<Option<Connection<W::State>>>,
    /// Descriptors of those that go on without an event.
    at_once: Vec<usize>,
}

impl<W: Work> Server<'_, W> {
    fn new(work: W, listener: &TcpListener) -> Result<Server<'_, W>, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).needed("epoll_create1")?;
        Ok(Server { work, epoll, listener, connections: Vec::new(), at_once: Vec::new() })
    }

    fn run(mut self, end: BorrowedFd<'_>) -> Result<Outcome, Error> {
        self.listener.set_nonblocking(true).needed("a listener that does not block")?;
        epoll::add(&self.epoll, self.listener, EventData::new_u64(LISTENER), EventFlags::IN).needed("epoll_ctl")?;
        epoll::add(&self.epoll, end, EventData::new_u64(END), EventFlags::IN).needed("epoll_ctl of standard input")?;
        let mut events = [MaybeUninit::uninit(); MAX_EVENTS];
        let mut outcome = Outcome::default();
        loop {
            let events = self.wait(&mut events)?;
            outcome.waits += 1;
            outcome.completions += events.len() as u64;
            for descriptor in std::mem::take(&mut self.at_once) {
                self.go_on(descriptor, true);
            }
            for epoll::Event { flags, data } in events.iter().copied() {
                match data.u64() {
                    LISTENER => self.accept()?,
                    END if has_ended(end)? => return Ok(outcome),
                    END => {}
                    // A reset: nothing more can be sent.
                    descriptor if flags.intersects(EventFlags::HUP | EventFlags::ERR) => {
                        self.connections[descriptor as usize] = None;
                    }
                    descriptor => self.go_on(descriptor as usize, flags.contains(EventFlags::RDHUP)),
                }
            }
        }
    }

    fn wait<'e>(&self, events: &'e mut [MaybeUninit<epoll::Event>]) -> Result<&'e mut [epoll::Event], Error> {
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = if self.at_once.is_empty() { None } else { Some(&now) };
        match epoll::wait(&self.epoll, events, timeout) {
            Err(Errno::INTR) => Ok(&mut []),
            waited => Ok(waited.doing("epoll_wait")?.0),
        }
    }

    fn accept(&mut self) -> Result<(), Error> {
        loop {
            let socket = match accept_with(self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                // It has gone already.
                Err(Errno::CONNABORTED) => continue,
                Err(error) => return Err(error).doing("accept4"),
            };
            let descriptor = socket.as_raw_fd() as usize;
            epoll::add(&self.epoll, &socket, EventData::new_u64(descriptor as u64), W::EVENTS).doing("epoll_ctl")?;
            if self.connections.len() <= descriptor {
                self.connections.resize_with(descriptor + 1, || None);
            }
            self.connections[descriptor] = Some(Connection { socket, state: W::State::default() });
        }
    }

    fn go_on(&mut self, descriptor: usize, to_the_end: bool) {
        // An event may come after the end, or be one of a connection that had the number before: it does no harm.
        let Some(connection) = &mut self.connections[descriptor] else { return };
        match self.work.go_on(&self.epoll, connection, to_the_end) {
            Next::Event => {}
            Next::MoreAtOnce => self.at_once.push(descriptor),
            Next::Close => self.connections[descriptor] = None,
        }
    }
}

/// Whether the server's standard input has ended; else what came is read away.
fn has_ended(end: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(rustix::io::read(end, &mut [0; 64]).doing("standard input")? == 0)
}
