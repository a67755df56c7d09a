//! Peers that mean no good, hundreds at a time: they hold up nobody, get no more than they are allowed, lose nothing of what
//! they are owed, and go away where an idle time-out says so. What it costs is measured by `socket-iocp bench --hostile`.

use socket_iocp::{
    Context, Error, ErrorCode, Farewell, Handler, Options, Port, ReadBuffer, Sent, Socket, SocketHandle,
};
use socket_iocp_testkit::{BOUND, Client, Event, Gate, Lab, Probe, on_every_backend, tcp_pair, wait_until};
use socket2::SockRef;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

on_every_backend!(
    silent_connections_hold_up_nobody,
    bytes_that_come_one_at_a_time_arrive_in_order,
    peers_that_never_read_are_not_read_from,
    queued_bytes_stop_at_their_limit_and_none_is_lost,
    half_closed_connections_are_told_and_still_sent_to,
    an_idle_timeout_ends_the_idle_and_the_stuck_and_nobody_else,
);

// Fewer where each call takes long: under Wine.
const SILENT: usize = if cfg!(windows) { 40 } else { 200 };
const STUCK: usize = if cfg!(windows) { 10 } else { 100 };
/// What the kernel is asked to keep of what one end sends: so little that many connections can be filled.
const KERNEL_BYTES: usize = 4096;
/// Rounds without progress after which a peer counts as stuck.
const ROUNDS: usize = 20;
/// More than the kernel and a limited server hold of one connection.
const TOO_MUCH_BYTES: usize = 16 << 20;
const READ_BUFFER_BYTES: usize = 4096;
const MAX_QUEUED_BYTES: u32 = 3 * READ_BUFFER_BYTES as u32;

/// An echo that reads on while its answers are queued; when the queue is full it keeps what came, and reads on when a
/// send has been reported.
#[derive(Default)]
struct Queueing {
    /// The most bytes that any socket had queued.
    most_queued: AtomicUsize,
    /// Sockets that are not read from, since they were refused a send.
    full: Gate,
    timed_out: Gate,
    /// Other ends than those by a time-out.
    others: Gate,
}

#[derive(Default, Debug)]
struct Queue {
    held: Option<ReadBuffer>,
    bytes: usize,
    was_full: bool,
}

impl Queueing {
    fn echo(&self, context: &Context<'_, Queueing>, queue: &mut Queue, received: ReadBuffer) {
        let len = received.len();
        match context.send(received, len) {
            Ok(()) => {
                queue.bytes += len;
                self.most_queued.fetch_max(queue.bytes, Ordering::Relaxed);
                unless_ending(context.recv());
            }
            Err(refused) if refused.error.code() == ErrorCode::Closed => unless_ending(Err(refused.error)),
            Err(refused) => {
                assert_eq!(refused.error.code(), ErrorCode::QueueFull);
                queue.held = Some(refused.buffer.into_read_buffer().expect("what was given"));
                if !std::mem::replace(&mut queue.was_full, true) {
                    self.full.pass();
                }
            }
        }
    }
}

/// A socket that has just been ended by its time-out takes nothing more.
fn unless_ending(issued: Result<(), Error>) {
    assert!(issued.is_ok() || issued == Err(ErrorCode::Closed.into()), "{issued:?}");
}

impl Handler for Queueing {
    type Listener = ();
    type Socket = Queue;
    type Write = usize;

    fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<Queue> {
        context.recv().expect("a new socket");
        Some(Queue::default())
    }

    fn recv(&self, context: &Context<'_, Self>, queue: &mut Queue, received: Result<ReadBuffer, Error>) {
        match received {
            Ok(bytes) if !bytes.is_empty() => self.echo(context, queue, bytes),
            _ => unless_ending(context.close()),
        }
    }

    fn send(&self, context: &Context<'_, Self>, queue: &mut Queue, sent: Sent<usize>) {
        queue.bytes -= sent.write;
        if sent.result.is_ok()
            && let Some(held) = queue.held.take()
        {
            self.echo(context, queue, held);
        }
    }

    fn error(&self, _: &Context<'_, Self>, _: Queue, farewell: Farewell) {
        match farewell.reason.map_err(|error| error.code()) {
            Err(ErrorCode::TimedOut) => self.timed_out.pass(),
            _ => self.others.pass(),
        }
    }
}

/// A connected socket and its client, of which the kernel keeps little.
fn narrow_pair(lab: &Lab) -> (Socket, Client) {
    if lab.network().is_some() {
        return lab.pair();
    }
    let (socket, client) = tcp_pair();
    for end in [&socket, &client] {
        SockRef::from(end).set_send_buffer_size(KERNEL_BYTES).expect("SO_SNDBUF");
    }
    (socket.into(), client.into())
}

fn exchange(client: &mut Client) {
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
}

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// A peer that sends and does not read.
struct Deaf {
    client: Client,
    written: usize,
}

impl Deaf {
    /// Writes what there is room for; whether it was anything. A connection that has been ended has room for nothing.
    fn push(&mut self) -> bool {
        let part: Vec<u8> = (self.written..self.written + (16 << 10)).map(pattern).collect();
        let count = self.client.try_write(&part).ok().flatten().unwrap_or(0);
        self.written += count;
        assert!(self.written < TOO_MUCH_BYTES, "it is not pushed back");
        count > 0
    }

    /// Reads what it is owed, to the last byte.
    fn listen(mut self) {
        let echo = self.client.read_exact(self.written).expect("every byte");
        assert!(echo.iter().enumerate().all(|(at, byte)| *byte == pattern(at)), "the bytes are not those written");
    }
}

/// Writes until the server takes no more, as it says itself, and no peer has room, though the worker has had its turns: the
/// good client's echoes show it.
fn fill(deaf: &mut [Deaf], good: &mut Client, takes_no_more: impl Fn() -> bool) {
    let (mut idle_rounds, end) = (0, Instant::now() + BOUND);
    while idle_rounds < ROUNDS {
        let mut progress = false;
        // The good client is never silent for long.
        for some in deaf.chunks_mut(10) {
            progress = some.iter_mut().fold(progress, |progress, peer| peer.push() || progress);
            exchange(good);
        }
        idle_rounds = if progress || !takes_no_more() { 0 } else { idle_rounds + 1 };
        assert!(Instant::now() < end, "it takes and takes");
    }
}

fn silent_connections_hold_up_nobody(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 8, 0).expect("a listener");
    let mut silent: Vec<Client> = Vec::new();
    for _ in 0..SILENT {
        silent.push(lab.connect(address));
        // Each time somebody comes later, and is served.
        if silent.len().is_multiple_of(20) {
            exchange(&mut lab.connect(address));
        }
    }
    let accepts = SILENT + SILENT / 20;
    port.handler().wait_for_count("accepts", accepts, |event| matches!(event, Event::Accepted { .. }));
    // They have been served all along.
    silent.iter_mut().for_each(exchange);
}

fn bytes_that_come_one_at_a_time_arrive_in_order(lab: &Lab) {
    const SENDERS: usize = 100;
    const BYTES: usize = 40;
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 8, 0).expect("a listener");
    let mut senders: Vec<Client> = (0..SENDERS).map(|_| lab.connect(address)).collect();
    for client in senders.iter().filter_map(Client::tcp) {
        client.set_nodelay(true).expect("TCP_NODELAY");
    }
    let mut good = lab.connect(address);
    for at in 0..BYTES {
        for (number, sender) in senders.iter_mut().enumerate() {
            sender.write_all(&[pattern(at + number)]).expect("a live connection");
        }
        exchange(&mut good);
    }
    for (number, mut sender) in senders.into_iter().enumerate() {
        sender.shutdown_write();
        let echo = sender.read_to_end().expect("a clean end");
        assert_eq!(echo, (0..BYTES).map(|at| pattern(at + number)).collect::<Vec<u8>>());
    }
}

fn received(event: &Event) -> bool {
    matches!(event, Event::Received { .. })
}

fn sent(event: &Event) -> bool {
    matches!(event, Event::Sent { .. })
}

fn peers_that_never_read_are_not_read_from(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options_with(READ_BUFFER_BYTES).threads(1)).expect("a port");
    let add = || {
        let (socket, client) = narrow_pair(lab);
        let handle = port.add_connected(socket, 1).expect("a connected socket");
        port.recv(handle).expect("a live socket");
        (handle, client)
    };
    let (_, mut good) = add();
    let (handles, mut deaf): (Vec<_>, Vec<_>) =
        (0..STUCK).map(|_| add()).map(|(handle, client)| (handle, Deaf { client, written: 0 })).unzip();
    // Each has one send under way.
    let are_stuck = || {
        let mut under_way: HashMap<SocketHandle, isize> = HashMap::new();
        port.handler().for_each(|event| {
            if let Some(handle) = event.handle() {
                *under_way.entry(handle).or_default() += isize::from(received(event)) - isize::from(sent(event));
            }
        });
        handles.iter().all(|handle| under_way.get(handle) == Some(&1))
    };
    fill(&mut deaf, &mut good, are_stuck);
    for (handle, peer) in handles.iter().zip(&deaf) {
        let history = port.handler().history(*handle);
        let recvs = history.iter().filter(|event| received(event)).count();
        let sends = history.iter().filter(|event| sent(event)).count();
        assert_eq!(recvs, sends + 1, "each is stuck in one send, and is read from no more");
        let bytes: usize = history
            .iter()
            .filter_map(|event| match event {
                Event::Received { result: Ok(bytes), .. } => Some(bytes.len()),
                _ => None,
            })
            .sum();
        assert!(bytes < peer.written, "what came later is with the kernel");
    }
    exchange(&mut good);
    deaf.into_iter().for_each(Deaf::listen);
}

fn queueing(lab: &Lab, options: impl FnOnce(Options) -> Options) -> Port<Queueing> {
    let options = options(lab.options_with(READ_BUFFER_BYTES).threads(1).max_queued_bytes(MAX_QUEUED_BYTES));
    Port::new(Queueing::default(), options).expect("a port")
}

fn add(lab: &Lab, port: &Port<Queueing>) -> Client {
    let (socket, client) = narrow_pair(lab);
    let handle = port.add_connected(socket, Queue::default()).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    client
}

fn deaf_peers(lab: &Lab, port: &Port<Queueing>) -> Vec<Deaf> {
    (0..STUCK).map(|_| Deaf { client: add(lab, port), written: 0 }).collect()
}

fn queued_bytes_stop_at_their_limit_and_none_is_lost(lab: &Lab) {
    let port = queueing(lab, |options| options);
    let mut good = add(lab, &port);
    let mut deaf = deaf_peers(lab, &port);
    fill(&mut deaf, &mut good, || port.handler().full.count() == STUCK as u64);
    let most = port.handler().most_queued.load(Ordering::Relaxed);
    assert!(most <= MAX_QUEUED_BYTES as usize, "{most} bytes queued on one socket");
    exchange(&mut good);
    deaf.into_iter().for_each(Deaf::listen);
    assert_eq!(port.handler().full.count(), STUCK as u64, "the good one never was");
}

fn half_closed_connections_are_told_and_still_sent_to(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        let context = context?;
        match event {
            Event::Accepted { .. } => context.recv().expect("a new socket"),
            Event::Received { result: Ok(bytes), .. } if bytes.is_empty() => {
                context.send(b"still here", 1).expect("its other half is open");
            }
            Event::Sent { .. } => context.close().expect("a live socket"),
            _ => {}
        }
        Some(0)
    };
    let port = Port::new(Probe::reacting(reaction), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 8, 0).expect("a listener");
    let half_closed: Vec<Client> = (0..SILENT)
        .map(|_| {
            let mut client = lab.connect(address);
            client.shutdown_write();
            client
        })
        .collect();
    for mut client in half_closed {
        assert_eq!(client.read_to_end().expect("a clean end"), b"still here");
    }
    let ends = port.handler().wait_for_count("farewells", SILENT, |event| matches!(event, Event::Farewell { .. }));
    for handle in ends.iter().filter_map(Event::handle) {
        let (reason, before) = port.handler().wait_for_end(handle);
        assert_eq!(reason, Ok(()));
        let is_right = match before.as_slice() {
            [Event::Accepted { .. }, Event::Received { result: Ok(bytes), .. }, Event::Sent { result: Ok(()), .. }] => {
                bytes.is_empty()
            }
            _ => false,
        };
        assert!(is_right, "{before:?}");
    }
}

fn an_idle_timeout_ends_the_idle_and_the_stuck_and_nobody_else(lab: &Lab) {
    // Time enough for a good client to say something again, on any machine.
    let port = queueing(lab, |options| options.idle_timeout(Duration::from_secs(3)));
    let mut good = add(lab, &port);
    let mut deaf = deaf_peers(lab, &port);
    exchange(&mut good);
    let handler = port.handler();
    // Or, on a slow machine, until the first of them has been ended.
    fill(&mut deaf, &mut good, || handler.full.count() == STUCK as u64 || handler.timed_out.count() > 0);
    assert!(handler.full.count() > 0, "none is stuck");
    let mut silent = Vec::with_capacity(SILENT);
    while silent.len() < SILENT {
        silent.push(add(lab, &port));
        exchange(&mut good);
    }
    let hostile = (SILENT + STUCK) as u64;
    let end = Instant::now() + BOUND;
    while handler.timed_out.count() + handler.others.count() < hostile {
        exchange(&mut good);
        assert!(Instant::now() < end, "{} of {hostile} were ended", handler.timed_out.count());
    }
    assert_eq!((handler.timed_out.count(), handler.others.count()), (hostile, 0));
    wait_until(|| port.statistics().sockets_now == 1, || format!("{:?}", port.statistics()));
    exchange(&mut good);
    for client in &mut silent {
        assert_eq!(client.read_to_reset().expect("a reset"), b"");
    }
}
