//! The program under fault: it sends back what it receives, checks the contract on itself, and writes down what became of
//! each connection. Its input's end is its end.

use socket_iocp::{
    BackendKind, Context, Error, ErrorCode, Farewell, Handler, Options, Port, PortHandle, ReadBuffer, Rejected, Sent,
    SocketHandle,
};
use socket_iocp_testkit::watched;
use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A byte that asks the program to abort the connection, when all has been sent back.
pub const ABORT: u8 = 0xff;
/// A byte that asks it to close the connection.
pub const CLOSE: u8 = 0xfe;
/// A byte that makes an event and is not sent back.
pub const NUDGE: u8 = 0xfd;
/// Every other byte is below this.
pub const BYTES: u64 = 0xfb;

const READ_BUFFER_SIZE: usize = 4096;
/// Small enough that sends go in parts and have to wait.
const SEND_BUFFER_SIZE: usize = 8 << 10;
const BACKLOG: usize = 16;
/// The most pieces in which a buffer is sent back.
const PIECES: usize = 4;

/// How the program is set up.
#[derive(Clone, Debug)]
pub struct Plan {
    pub backend: BackendKind,
    pub threads: usize,
    pub linger_ms: u64,
    /// `Options::zero_copy_from`.
    pub zero_copy_from: u32,
}

impl Plan {
    pub fn new(backend: BackendKind, threads: usize) -> Plan {
        Plan { backend, threads, linger_ms: 20_000, zero_copy_from: 0 }
    }

    /// As the program is told it.
    pub fn role(&self) -> String {
        format!("{} {} {} {}", self.backend.name(), self.threads, self.linger_ms, self.zero_copy_from)
    }

    fn parse(role: &str) -> Plan {
        let mut words = role.split(' ');
        let mut word = || words.next().expect("a plan has four words");
        let backend = BackendKind::from_name(word()).expect("a backend");
        let threads = word().parse().expect("threads");
        let linger_ms = word().parse().expect("milliseconds");
        Plan { backend, threads, linger_ms, zero_copy_from: word().parse().expect("bytes") }
    }
}

/// How a connection's bytes are sent back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Whole, by a sync send, with no recv meanwhile.
    Whole,
    /// In pieces, the next recv being issued at once.
    Pieces,
    /// In pieces, by another thread than the socket's.
    Foreign,
}

impl Way {
    const ALL: [Way; 3] = [Way::Whole, Way::Pieces, Way::Foreign];
}

/// What the other thread is to send.
struct Order {
    socket: SocketHandle,
    write: u64,
    bytes: Vec<u8>,
}

/// One connection.
struct Connection {
    port: u16,
    way: Way,
    receiving: bool,
    received: u64,
    sent: u64,
    recvs: u64,
    recvs_reported: u64,
    sends: u64,
    sends_reported: u64,
    /// Sends issued and not yet reported, with their lengths.
    outstanding: VecDeque<(u64, usize)>,
    failed: bool,
    /// What the peer has asked for.
    asked: Option<u8>,
}

/// The handler.
struct Server {
    accepted: AtomicUsize,
    /// To the other thread; `None` when it is to end.
    orders: Mutex<Option<Sender<Order>>>,
    /// Sends of the other thread's that no callback was given for, and those that were refused, being too late.
    unreported: AtomicUsize,
    refused: AtomicUsize,
}

impl Server {
    fn check(&self, holds: bool, connection: &Connection, what: impl Display) {
        if !holds {
            println!("@broken: {}: {what}", connection.port);
        }
    }

    /// Issues a recv. The one error there may be is that the socket or the port is ending.
    fn receive(&self, context: &Context<'_, Server>, connection: &mut Connection) {
        match context.recv() {
            Ok(()) => {
                self.check(!connection.receiving, connection, "two recvs were accepted");
                connection.receiving = true;
                connection.recvs += 1;
            }
            Err(error) => self.check(error.code() == ErrorCode::Closed, connection, error),
        }
    }

    fn issued(&self, connection: &mut Connection, len: usize, issued: Result<(), Rejected<u64>>) {
        match issued {
            Ok(()) => {
                connection.outstanding.push_back((connection.sends, len));
                connection.sends += 1;
            }
            Err(refused) => self.check(refused.error.code() == ErrorCode::Closed, connection, refused.error),
        }
    }

    fn order(&self, order: Order) {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.as_ref().expect("the port is deleted first").send(order).expect("the other thread");
    }

    fn send_back(&self, context: &Context<'_, Server>, connection: &mut Connection, buffer: ReadBuffer) {
        let nudged = buffer.contains(&NUDGE);
        let rest: Vec<u8> = buffer.iter().copied().filter(|byte| nudged && *byte != NUDGE).collect();
        let len = if nudged { rest.len() } else { buffer.len() };
        if len == 0 {
            return self.receive(context, connection);
        }
        if connection.way == Way::Whole {
            let write = connection.sends;
            let sent = if nudged { context.sync_send(rest, write) } else { context.sync_send(buffer, write) };
            return self.issued(connection, len, sent);
        }
        let bytes = if nudged { &rest[..] } else { &buffer[..] };
        for piece in bytes.chunks(len.div_ceil(PIECES)) {
            let (write, piece) = (connection.sends, piece.to_vec());
            let len = piece.len();
            let sent = if connection.way == Way::Pieces {
                context.send(piece, write)
            } else {
                self.order(Order { socket: context.handle(), write, bytes: piece });
                Ok(())
            };
            self.issued(connection, len, sent);
        }
        if connection.asked.is_none() {
            self.receive(context, connection);
        }
    }
}

impl Handler for Server {
    type Listener = ();
    type Socket = Connection;
    type Write = u64;

    fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<Connection> {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        let mut connection = Connection {
            port: context.remote_addr().map_or(0, |address| address.port()),
            way: Way::ALL[number % Way::ALL.len()],
            receiving: false,
            received: 0,
            sent: 0,
            recvs: 0,
            recvs_reported: 0,
            sends: 0,
            sends_reported: 0,
            outstanding: VecDeque::new(),
            failed: false,
            asked: None,
        };
        self.receive(context, &mut connection);
        Some(connection)
    }

    fn recv(&self, context: &Context<'_, Self>, connection: &mut Connection, received: Result<ReadBuffer, Error>) {
        self.check(connection.receiving, connection, "a recv callback too many");
        connection.receiving = false;
        connection.recvs_reported += 1;
        match received {
            Ok(buffer) if buffer.is_empty() => {
                // An error is the socket's end, under way.
                let _ = context.close();
            }
            Ok(buffer) => {
                connection.received += buffer.len() as u64;
                connection.asked = connection.asked.or(buffer.last().copied().filter(|last| *last >= CLOSE));
                self.send_back(context, connection, buffer);
            }
            Err(error) => self.check(false, connection, format!("a recv that failed alone: {error}")),
        }
    }

    fn send(&self, context: &Context<'_, Self>, connection: &mut Connection, sent: Sent<u64>) {
        let (write, len) = connection.outstanding.pop_front().unwrap_or((u64::MAX, 0));
        self.check(write == sent.write, connection, format!("send {} is reported, not {write}", sent.write));
        let whole = sent.result.is_ok() && sent.bytes == len;
        self.check(whole || sent.result.is_err() && sent.bytes <= len, connection, format!("{sent:?} of {len} bytes"));
        self.check(!(whole && connection.failed), connection, "a send after one that failed");
        connection.failed |= sent.result.is_err();
        connection.sent += sent.bytes as u64;
        connection.sends_reported += 1;
        if connection.failed || !connection.outstanding.is_empty() {
            return;
        }
        // An error of either is the socket's end, under way.
        match connection.asked {
            Some(ABORT) => drop(context.abort()),
            Some(_) => drop(context.close()),
            None if !connection.receiving => self.receive(context, connection),
            None => {}
        }
    }

    fn error(&self, _: &Context<'_, Self>, connection: Connection, farewell: Farewell) {
        // What the other thread has not issued yet it will find refused.
        let outstanding = connection.outstanding.len();
        let unissued = if connection.way == Way::Foreign { outstanding } else { 0 };
        self.unreported.fetch_add(unissued, Ordering::Relaxed);
        self.check(outstanding == unissued, &connection, "sends without a report at the farewell");
        let unreported = connection.recvs - connection.recvs_reported;
        self.check(unreported == u64::from(connection.receiving), &connection, "recvs without a report");
        let (code, os) = match farewell.reason {
            Ok(()) => ("Ok".to_owned(), 0),
            Err(error) => (format!("{:?}", error.code()), error.os_error().unwrap_or(0)),
        };
        let Connection { port, received, sent, recvs, recvs_reported, sends_reported, .. } = connection;
        let sends = connection.sends - unissued as u64;
        println!("@farewell: {port} {received} {sent} {recvs} {recvs_reported} {sends} {sends_reported} {code} {os}");
    }

    fn listen_error(&self, _: &PortHandle<Self>, _: &(), reason: Result<(), Error>) {
        let code = reason.err().map(|error| error.code());
        println!("@listener: {code:?}");
    }
}

/// Serves until the input ends, then deletes the port. The lines of its report begin with `@`.
pub fn serve(role: &str) {
    watched(role, || {
        let plan = Plan::parse(role);
        let before = descriptors();
        let (sender, orders) = mpsc::channel();
        let server = Server {
            accepted: AtomicUsize::new(0),
            orders: Mutex::new(Some(sender)),
            unreported: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        };
        let linger = Duration::from_millis(plan.linger_ms);
        let options = Options::new(READ_BUFFER_SIZE).backend(plan.backend).threads(plan.threads).linger(linger);
        let options = options.zero_copy_from(plan.zero_copy_from);
        let port = Port::new(server, options).expect("a port");
        let listener = socket2::Socket::from(TcpListener::bind("127.0.0.1:0").expect("a loopback port"));
        listener.set_send_buffer_size(SEND_BUFFER_SIZE).expect("SO_SNDBUF");
        let address = listener.local_addr().expect("bound").as_socket().expect("an internet address");
        port.add_listener(TcpListener::from(listener), BACKLOG, ()).expect("a listener");
        // The harness has begun a line.
        println!("\n@address: {address}");
        let handle: PortHandle<Server> = (*port).clone();
        let other = thread::spawn(move || send_for_others(&handle, &orders));
        if plan.threads == 0 {
            drive(&port);
        } else {
            io::stdin().read_to_end(&mut Vec::new()).expect("the end of the input");
        }
        let handle: PortHandle<Server> = (*port).clone();
        port.delete();
        handle.handler().orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        other.join().expect("the other thread");
        tell(&handle);
        drop(handle);
        println!("@descriptors: {before} {}", descriptors());
        println!("@over: 1");
    });
}

/// The other thread. The one error that it may be given is that it comes too late.
fn send_for_others(port: &PortHandle<Server>, orders: &Receiver<Order>) {
    for Order { socket, write, bytes } in orders {
        if let Err(refused) = port.send(socket, bytes, write) {
            let code = refused.error.code();
            if code != ErrorCode::Closed {
                println!("@broken: a send is refused: {code:?}");
            }
            port.handler().refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Polls the port's one descriptor and the input, and runs the port without waiting.
fn drive(port: &PortHandle<Server>) {
    let pollable = port.pollable().expect("a descriptor").as_raw_fd();
    let mut entries = [pollable, libc::STDIN_FILENO].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    while entries[1].revents == 0 {
        // SAFETY: two entries, alive during the call.
        let count = unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) };
        let error = io::Error::last_os_error();
        assert!(count > 0 || error.kind() == io::ErrorKind::Interrupted, "poll: {error}");
        port.run(Some(Duration::ZERO)).expect("a run");
    }
}

/// Open descriptors. They are asked for one by one, since a folder that is read has to be closed, which may be what fails.
fn descriptors() -> usize {
    const NUMBERS: i32 = 1024;
    // SAFETY: the call reads a descriptor's flags, and fails for a number that is not open.
    (0..NUMBERS).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } != -1).count()
}

fn tell(port: &PortHandle<Server>) {
    let (unreported, refused) = (&port.handler().unreported, &port.handler().refused);
    if unreported.load(Ordering::Relaxed) != refused.load(Ordering::Relaxed) {
        println!("@broken: {unreported:?} sends have no report, {refused:?} were refused");
    }
    let statistics = port.statistics();
    println!("@accepts: {} {} {}", statistics.accepts, statistics.accept_errors, statistics.accept_backoffs);
    println!("@shortages: {}", statistics.buffer_shortages);
}
