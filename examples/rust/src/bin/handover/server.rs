//! A server's life: it takes over from its predecessor, serves, and hands over to its successor.

use crate::control::{Waiting, Word, hear, say};
use crate::echo::{Alive, Echo};
use crate::predecessor::Predecessor;
use socket_iocp::{ListenerHandle, Options, Port, PortHandle, Socket, pass_socket};
use socket2::{Domain, Type};
use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Connections taken from the kernel ahead of their accept callback.
const BACKLOG: usize = 64;
/// The kernel's own queue: it has to hold what comes in while neither of two servers accepts. `net.core.somaxconn` may
/// cut it.
const LISTEN_QUEUE: i32 = 4096;
/// A control socket that cannot be accepted from, for want of descriptors, is asked again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until Ctrl-C, SIGTERM or SIGHUP, which reset what is left, or until a successor serves and the last
/// connection has ended.
pub fn serve(address: &OsStr, place: &Path) -> Result<(), Box<dyn Error>> {
    let cannot = |what: &dyn std::fmt::Display| format!("cannot listen on {}: {what}", address.display());
    // Whatever can be refused comes before the predecessor is asked to stop.
    let (listener_gone, farewells) = mpsc::channel();
    let port = Port::new(Echo { listener_gone }, Options::new(16 << 10))?;
    let (end, ended) = mpsc::channel();
    let interrupted = end.clone();
    ctrlc::set_handler(move || {
        // The receiver goes only when the program ends.
        let _ = interrupted.send(());
    })?;
    let waiting = Waiting::open(place).map_err(|error| format!("no control socket at {}: {error}", place.display()))?;
    let predecessor = Predecessor::find(place).map_err(|error| format!("no answer at {}: {error}", place.display()))?;
    let listener = match &predecessor {
        None => listen(address).map_err(|error| cannot(&error))?,
        Some(predecessor) => {
            predecessor.listener().map_err(|error| format!("the predecessor gave nothing: {error}"))?
        }
    };
    let address = listener.local_addr()?;
    let copy = listener.try_clone()?;

    if let Some(predecessor) = &predecessor {
        predecessor.stop();
    }
    let (alive, all_gone) = mpsc::channel();
    let handle = port.add_listener(listener, BACKLOG, alive.clone()).map_err(|refused| refused.error)?;
    let control = waiting.take_place(place)?;
    if let Some(predecessor) = predecessor {
        predecessor.release();
    }
    // A server without a standard output serves all the same.
    let _ = writeln!(io::stdout(), "listening on {address}");

    let serving = Serving { port: (*port).clone(), listener: copy, handle, farewells, alive };
    thread::spawn(move || serving.until_the_end(&control, &all_gone, &end));
    ended.recv()?;
    port.delete();
    Ok(())
}

fn listen(address: &OsStr) -> io::Result<TcpListener> {
    let text = address.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let address: SocketAddr = text.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // The accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_QUEUE)?;
    Ok(socket.into())
}

/// A listener that is served, and can be handed over.
struct Serving {
    port: PortHandle<Echo>,
    /// A descriptor of its own, to be sent: the port's is not to be had while it serves.
    listener: TcpListener,
    handle: ListenerHandle,
    /// The listener's farewells: one for each time that it was added.
    farewells: Receiver<()>,
    alive: Alive,
}

impl Serving {
    /// Waits for a successor that takes over, then for the last connection, and says that this was the end.
    fn until_the_end(mut self, control: &UnixListener, all_gone: &Receiver<Infallible>, end: &Sender<()>) {
        while let Err(error) = self.next_successor(control) {
            let _ = writeln!(io::stderr(), "no successor yet: {error}");
        }
        // With the two descriptors of the listener, and the sender that no connection holds.
        drop(self);
        let Err(_) = all_gone.recv();
        let _ = end.send(());
    }

    fn next_successor(&mut self, control: &UnixListener) -> io::Result<()> {
        let (successor, _) = control.accept().inspect_err(|_| thread::sleep(PAUSE))?;
        self.hand_over(&successor)
    }

    /// Hands over. An error is the successor's end: this server serves on.
    fn hand_over(&mut self, successor: &UnixStream) -> io::Result<()> {
        pass_socket(successor, 0, &self.listener, b"")?;
        hear(successor, Word::Ready)?;
        let stopped = Instant::now();
        // It may have failed by itself: then there is nothing to take out, and its farewell has come already.
        let listener = self.port.remove_listener(self.handle);
        // After it nothing is accepted, and every connection that was taken has had its accept callback.
        self.farewells.recv().map_err(io::Error::other)?;
        let answered = say(successor, Word::Yours).and_then(|()| hear(successor, Word::Serving));
        match (&answered, listener) {
            (Err(_), Ok(listener)) => self.take_back(listener)?,
            (Err(_), Err(gone)) => return Err(io::Error::other(gone)),
            (Ok(()), _) => {
                let _ = writeln!(io::stdout(), "handed over in {} us", stopped.elapsed().as_micros());
            }
        }
        answered
    }

    fn take_back(&mut self, listener: Socket) -> io::Result<()> {
        let added = self.port.add_listener(listener, BACKLOG, self.alive.clone());
        self.handle = added.map_err(|refused| io::Error::other(refused.error))?;
        Ok(())
    }
}
