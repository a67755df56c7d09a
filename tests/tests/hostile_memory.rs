//! What peers that send nothing or read nothing can make a port hold is bounded by its options, is counted by an allocator,
//! and is there for others when an idle time-out has ended them.
#![cfg(unix)]

use socket_iocp::{BackendKind, Context, Error, ErrorCode, Farewell, Handler, Port, ReadBuffer, Sent, Socket};
use socket_iocp_testkit::{BOUND, Client, Counting, Gate, Lab, in_own_process, on_every_backend, tcp_pair, wait_until};
use socket2::SockRef;
use std::time::{Duration, Instant};

// Not on the simulated network: what it holds is memory of the process.
on_every_backend!(
    real: what_hostile_peers_hold_is_bounded,
    what_they_held_is_there_for_others,
);

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const SILENT: usize = 200;
const STUCK: usize = 150;
/// Large, so that what is queued is more than the pool of free buffers keeps.
const READ_BUFFER_BYTES: usize = 64 << 10;
const MAX_QUEUED_SENDS: u32 = 2;
/// What each of those that never read tries to send: several times what a port with limits takes of it.
const PUSH_BYTES: usize = 1 << 20;
const KERNEL_BYTES: usize = 4096;

/// A socket with nothing queued: the library's own bytes, and the handler's.
const SOCKET_BYTES: isize = 320 + size_of::<Queue>() as isize;
/// A read buffer with its header.
const BUFFER_BYTES: isize = READ_BUFFER_BYTES as isize + 32;
/// A queued send's block, with the handler's state in it.
const SEND_BYTES: isize = 64;
/// What a worker keeps of free read buffers, and what its ring has with the kernel on io_uring.
const POOL_BYTES: isize = 16 << 20;

#[derive(Default, Debug)]
struct Queue {
    /// What came in while the queue was full.
    held: Option<ReadBuffer>,
    was_full: bool,
}

/// Echoes, reads on while its answers are queued, and stops reading while the queue is full.
#[derive(Default)]
struct Queueing {
    full: Gate,
    timed_out: Gate,
}

impl Queueing {
    fn echo(&self, context: &Context<'_, Queueing>, queue: &mut Queue, received: ReadBuffer) {
        match context.send(received, ()) {
            Ok(()) => unless_ending(context.recv()),
            Err(refused) if refused.error.code() == ErrorCode::Closed => unless_ending(Err(refused.error)),
            Err(refused) => {
                assert_eq!(refused.error.code(), ErrorCode::QueueFull);
                queue.held = refused.buffer.into_read_buffer().ok();
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
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<Queue> {
        unreachable!("nobody listens")
    }

    fn recv(&self, context: &Context<'_, Self>, queue: &mut Queue, received: Result<ReadBuffer, Error>) {
        match received {
            Ok(bytes) if !bytes.is_empty() => self.echo(context, queue, bytes),
            _ => unless_ending(context.close()),
        }
    }

    fn send(&self, context: &Context<'_, Self>, queue: &mut Queue, sent: Sent<()>) {
        drop(sent.buffer);
        if sent.result.is_ok()
            && let Some(bytes) = queue.held.take()
        {
            self.echo(context, queue, bytes);
        }
    }

    fn error(&self, _: &Context<'_, Self>, _: Queue, farewell: Farewell) {
        if farewell.reason.is_err_and(|error| error.code() == ErrorCode::TimedOut) {
            self.timed_out.pass();
        }
    }
}

/// A connected socket and its client, of which the kernel keeps little of what they send.
fn narrow_pair() -> (Socket, Client) {
    let (socket, client) = tcp_pair();
    for end in [&socket, &client] {
        SockRef::from(end).set_send_buffer_size(KERNEL_BYTES).expect("SO_SNDBUF");
    }
    (socket.into(), client.into())
}

fn add(port: &Port<Queueing>) -> Client {
    let (socket, client) = narrow_pair();
    let handle = port.add_connected(socket, Queue::default()).expect("a connected socket");
    port.recv(handle).expect("a live socket");
    client
}

fn exchange(client: &mut Client) {
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
}

/// Silent peers, and peers that push as much as they may and never read.
fn attack(port: &Port<Queueing>, good: &mut Client) -> Vec<Client> {
    static BYTES: [u8; 16 << 10] = [b'x'; 16 << 10];
    let mut clients = Vec::with_capacity(SILENT + STUCK);
    clients.extend((0..SILENT).map(|_| add(port)));
    clients.extend((0..STUCK).map(|_| add(port)));
    let mut left = vec![PUSH_BYTES; STUCK];
    let (full, end) = (port.handler().full.count() + STUCK as u64, Instant::now() + BOUND);
    // Until each has been refused a send, or, where none is, has sent all.
    while port.handler().full.count() < full && left.iter().any(|left| *left > 0) {
        for (client, left) in clients[SILENT..].iter_mut().zip(&mut left) {
            let part = &BYTES[..BYTES.len().min(*left)];
            *left -= client.try_write(part).expect("a live connection").unwrap_or(0);
        }
        // The good client is not silent for long.
        exchange(good);
        assert!(Instant::now() < end, "{} of {full} were refused a send", port.handler().full.count());
    }
    clients
}

/// A port with limits, one good client, and what is in use then.
fn scene(lab: &Lab, idle_timeout: Option<Duration>) -> (Port<Queueing>, Client, isize) {
    let mut options = lab.options_with(READ_BUFFER_BYTES).threads(1).max_queued_sends(MAX_QUEUED_SENDS);
    options = options.max_queued_bytes(MAX_QUEUED_SENDS * READ_BUFFER_BYTES as u32);
    if let Some(timeout) = idle_timeout {
        options = options.idle_timeout(timeout);
    }
    let port = Port::new(Queueing::default(), options).expect("a port");
    let mut good = add(&port);
    exchange(&mut good);
    let empty_bytes = ALLOCATOR.in_use_bytes();
    (port, good, empty_bytes)
}

/// The bytes that the port may hold for so many sockets, of which some have all that they may have queued.
fn bound(kind: BackendKind, sockets: usize, stuck: usize) -> isize {
    let queue = MAX_QUEUED_SENDS as isize * (SEND_BYTES + BUFFER_BYTES) + BUFFER_BYTES;
    let pools = if kind == BackendKind::IoUring { 2 * POOL_BYTES } else { POOL_BYTES };
    sockets as isize * SOCKET_BYTES + stuck as isize * queue + pools
}

fn in_use_above(empty_bytes: isize) -> isize {
    ALLOCATOR.in_use_bytes() - empty_bytes
}

fn what_hostile_peers_hold_is_bounded(lab: &Lab) {
    in_own_process("what_hostile_peers_hold_is_bounded", lab, |lab| {
        let (port, mut good, empty_bytes) = scene(lab, None);
        let clients = attack(&port, &mut good);
        let used_bytes = in_use_above(empty_bytes);
        let bound_bytes = bound(lab.kind(), clients.len(), STUCK);
        println!("{used_bytes} bytes for {} hostile connections, at most {bound_bytes}", clients.len());
        assert!(used_bytes <= bound_bytes, "{used_bytes} bytes, {bound_bytes} are allowed");
        // It is a bound that those without limits would have passed.
        assert!(bound_bytes < (STUCK * PUSH_BYTES) as isize, "{bound_bytes}");
        drop(clients);
    });
}

fn what_they_held_is_there_for_others(lab: &Lab) {
    in_own_process("what_they_held_is_there_for_others", lab, |lab| {
        let (port, mut good, empty_bytes) = scene(lab, Some(Duration::from_secs(4)));
        for wave in 1..=2 {
            let clients = attack(&port, &mut good);
            let full_bytes = in_use_above(empty_bytes);
            let hostile = (wave * clients.len()) as u64;
            while port.handler().timed_out.count() < hostile {
                // It stays, since it is not idle.
                exchange(&mut good);
            }
            wait_until(|| port.statistics().sockets_now == 1, || format!("{:?}", port.statistics()));
            // The worker has had its next turn.
            exchange(&mut good);
            let (sockets, left_bytes) = (clients.len(), in_use_above(empty_bytes));
            println!("wave {wave}: {full_bytes} bytes for {sockets} hostile connections, {left_bytes} after them");
            assert!(full_bytes <= bound(lab.kind(), sockets, STUCK), "wave {wave}: {full_bytes} bytes");
            // What is left is free slots and the pool's free buffers: the second wave's as much as the first's.
            assert!(left_bytes <= bound(lab.kind(), sockets, 0), "wave {wave}: {left_bytes} bytes are left");
        }
    });
}
