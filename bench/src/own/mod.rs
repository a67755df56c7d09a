//! socket-iocp's own servers, on its public interface, each as its user would write it.

mod answer;
mod answer_batched;
mod fan_out;
mod sink;
mod source;
mod wake;

use crate::echo::Echo;
use crate::error::{Doing, Error};
use crate::listener::listen;
use crate::works::{Outcome, Service, Serving};
use answer::Answer;
use answer_batched::AnswerBatched;
use fan_out::FanOut;
use sink::Sink;
use socket_iocp::{BackendKind, Context, Handler, Options, Port, PortHandle};
use source::Source;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use wake::Wake;

/// Connections that a port takes ahead of their accept callback.
const ACCEPT_BACKLOG: usize = 64;

/// What these servers can do.
pub(crate) fn services() -> &'static [Service] {
    &Service::ALL
}

/// Serves until standard input ends; `ready` is called with the listeners' addresses.
pub(crate) fn serve(
    backend: BackendKind,
    serving: Serving,
    ready: impl FnOnce(&[SocketAddr]) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    serve_until(io::stdin().as_fd(), backend, serving, ready)
}

/// Serves until nothing more can be read from `end`.
pub(crate) fn serve_until(
    end: BorrowedFd<'_>,
    backend: BackendKind,
    serving: Serving,
    ready: impl FnOnce(&[SocketAddr]) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let options = Options::new(serving.read_buffer).threads(serving.threads).backend(backend);
    match serving.service {
        Service::Echo => Server::open(Echo(()), options)?.run(&[], end, ready),
        Service::Answer => Server::open(Answer, options)?.run(&[], end, ready),
        Service::AnswerBatched => Server::open(AnswerBatched, options)?.run(&[], end, ready),
        Service::FanOut => Server::open(FanOut::of_members(), options)?.run(&[], end, ready),
        Service::FanOutThread => {
            let (listener, address) = listen()?;
            let server = Server::open(FanOut::of_a_publisher(), options)?;
            server.beside(move |port| fan_out::publish(port, &listener)).run(&[address], end, ready)
        }
        Service::Sink => Server::open(Sink, options)?.run(&[], end, ready),
        Service::Source => Server::open(Source::new(serving.read_buffer), options)?.run(&[], end, ready),
        Service::Wake => {
            let (wake, due) = Wake::new();
            Server::open(wake, options)?.beside(move |port| wake::wake(port, &due)).run(&[], end, ready)
        }
    }
}

/// A port that serves.
struct Server<H: Handler> {
    port: Port<H>,
    address: SocketAddr,
}

impl<H: Handler<Listener = ()>> Server<H> {
    fn open(handler: H, options: Options) -> Result<Server<H>, Error> {
        let port = Port::new(handler, options).map_err(|error| Error::cannot_start(format!("a port: {error}")))?;
        let (listener, address) = listen()?;
        port.add_listener(listener, ACCEPT_BACKLOG, ())
            .map_err(|refused| Error::cannot_start(format!("a listener: {}", refused.error)))?;
        Ok(Server { port, address })
    }

    /// Has a thread that serves no connections do this. Nobody waits for it: it ends when what it waits for has gone, or with
    /// the process.
    fn beside(self, body: impl FnOnce(&PortHandle<H>) + Send + 'static) -> Server<H> {
        let port = PortHandle::clone(&self.port);
        thread::spawn(move || body(&port));
        self
    }

    /// `further`: the addresses of listeners besides the port's.
    fn run(
        self,
        further: &[SocketAddr],
        end: BorrowedFd<'_>,
        ready: impl FnOnce(&[SocketAddr]) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        ready(&[&[self.address], further].concat())?;
        let mut input = File::from(end.try_clone_to_owned().doing("standard input")?);
        io::copy(&mut input, &mut io::sink()).doing("standard input")?;
        let statistics = self.port.statistics();
        Ok(Outcome { waits: statistics.waits, completions: statistics.completions })
    }
}

/// What a refused call means: the socket is ending already, and its farewell on the way; or it cannot be served for want of
/// memory, which ends it and no other.
fn end_if_refused<H: Handler, E>(context: &Context<'_, H>, issued: Result<(), E>) {
    if issued.is_err() {
        let _ = context.abort();
    }
}
