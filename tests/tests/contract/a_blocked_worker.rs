//! A callback that blocks, whichever it is, delays the sockets of its own worker only: those of the others go on meanwhile,
//! calls return at once, and what waited is served when it has returned. ("Threads" 3.)

use socket_iocp::{Context, Error, Farewell, Handler, Port, ReadBuffer, Sent, SocketHandle};
use socket_iocp_testkit::{BOUND, Client, Gate, Lab, on_every_backend};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

on_every_backend!(in_its_accept_callback, in_its_recv_callback, in_its_send_callback, in_its_farewell);

const WORKERS: usize = 3;
/// Sockets of each worker.
const SOCKETS: usize = 4;
const ROUNDS: u8 = 20;

/// The callback that blocks: that of an accept, or one of the socket that is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Callback {
    Accept,
    Recv,
    Send,
    Farewell,
}

/// A socket's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Echo,
    Blocks,
}

/// Echoes, and blocks once where it is told to.
struct Blocking {
    at: Callback,
    entered: Gate,
    leave: Arc<Gate>,
    /// Where the callbacks of each socket run.
    threads: Mutex<Sender<(SocketHandle, ThreadId)>>,
}

impl Blocking {
    fn block(&self, here: Callback, role: Role) {
        if (here, role) == (self.at, Role::Blocks) {
            self.entered.pass();
            assert!(self.leave.reaches(1), "the test never let the callback go");
        }
    }
}

impl Handler for Blocking {
    /// Which role its sockets have.
    type Listener = Role;
    type Socket = Role;
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, listener: &Role) -> Option<Role> {
        self.block(Callback::Accept, *listener);
        context.recv().expect("a new socket");
        Some(*listener)
    }

    fn recv(&self, context: &Context<'_, Self>, role: &mut Role, received: Result<ReadBuffer, Error>) {
        self.block(Callback::Recv, *role);
        let bytes = received.expect("no recv is cancelled by itself");
        if bytes.is_empty() {
            return context.close().expect("a live socket");
        }
        let at = (context.handle(), thread::current().id());
        self.threads.lock().expect("no panic under this lock").send(at).expect("the test waits");
        context.sync_send(bytes, ()).expect("no other sync send");
    }

    fn send(&self, context: &Context<'_, Self>, role: &mut Role, _: Sent<()>) {
        self.block(Callback::Send, *role);
        context.recv().expect("a live socket");
    }

    fn error(&self, _: &Context<'_, Self>, role: Role, _: Farewell) {
        self.block(Callback::Farewell, role);
    }
}

fn in_its_accept_callback(lab: &Lab) {
    the_others_go_on(lab, Callback::Accept);
}

fn in_its_recv_callback(lab: &Lab) {
    the_others_go_on(lab, Callback::Recv);
}

fn in_its_send_callback(lab: &Lab) {
    the_others_go_on(lab, Callback::Send);
}

fn in_its_farewell(lab: &Lab) {
    the_others_go_on(lab, Callback::Farewell);
}

/// A socket of the port, its client, and where its callbacks run.
struct Socket {
    handle: SocketHandle,
    client: Client,
    thread: ThreadId,
}

fn the_others_go_on(lab: &Lab, at: Callback) {
    let (sender, threads) = mpsc::channel();
    let leave = Arc::new(Gate::new());
    let blocking = Blocking { at, entered: Gate::new(), leave: leave.clone(), threads: Mutex::new(sender) };
    let port = Port::new(blocking, lab.options().threads(WORKERS)).expect("a port");
    // However the test ends, the callback is let go before the port is deleted.
    let _release = Release(leave.clone());
    let ((echoing, echoing_address), (blocks, blocks_address)) = (lab.listen(), lab.listen());
    let echoing = port.add_listener(echoing, 8, Role::Echo).expect("a listener");
    let blocks = port.add_listener(blocks, 1, Role::Blocks).expect("a listener");
    let mut sockets: Vec<Socket> = (0..WORKERS * SOCKETS).map(|_| added(lab, &port, &threads)).collect();

    let mut blocking_client = lab.connect(blocks_address);
    if at != Callback::Accept {
        blocking_client.write_all(b"x").expect("a live connection");
    }
    if at == Callback::Farewell {
        blocking_client.shutdown_write();
    }
    port.handler().entered.wait_for("the callback that blocks", 1);
    let blocked = blocked_thread(&mut sockets, &threads);
    serve_the_others(&port, &mut sockets, blocked);
    // Neither do calls of the port's wait for it.
    port.set_accept_backlog(echoing, 4).expect("a listener");
    let others: Vec<Client> = (0..2 * WORKERS).map(|_| lab.connect(echoing_address)).collect();
    leave.pass();

    // All that waited is served: what was received meanwhile, the connections that came, and the socket itself.
    for socket in sockets.iter_mut().filter(|socket| socket.thread == blocked) {
        assert_eq!(socket.client.read_exact(1).expect("the echo that waited"), [1]);
        echo(&mut socket.client, 2);
    }
    others.into_iter().for_each(|mut client| echo(&mut client, 3));
    match at {
        Callback::Accept => echo(&mut blocking_client, 4),
        _ => assert_eq!(blocking_client.read_exact(1).expect("its echo"), b"x"),
    }
    for listener in [echoing, blocks] {
        drop(port.remove_listener(listener).expect("a listener"));
    }
    port.delete();
}

/// Lets the callback go when it is dropped, by a failure too.
struct Release(Arc<Gate>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.pass();
    }
}

fn echo(client: &mut Client, byte: u8) {
    client.write_all(&[byte]).expect("a live connection");
    assert_eq!(client.read_exact(1).expect("the echo"), [byte]);
}

/// A socket that has been served once, which shows where its callbacks run.
fn added(lab: &Lab, port: &Port<Blocking>, threads: &Receiver<(SocketHandle, ThreadId)>) -> Socket {
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, Role::Echo).expect("a connected socket");
    port.recv(handle).expect("a first recv");
    echo(&mut client, 0);
    let (served, thread) = threads.recv().expect("the socket has been served");
    assert_eq!(served, handle);
    Socket { handle, client, thread }
}

/// Says something on every socket: those of the one worker that is blocked are not served.
fn blocked_thread(sockets: &mut [Socket], threads: &Receiver<(SocketHandle, ThreadId)>) -> ThreadId {
    for socket in sockets.iter_mut() {
        socket.client.write_all(&[1]).expect("a live connection");
    }
    let mut unserved: Vec<ThreadId> = sockets.iter().map(|socket| socket.thread).collect();
    while unserved.len() > SOCKETS {
        let (handle, _) = threads.recv_timeout(BOUND).expect("the other workers' sockets go on");
        // The blocking socket tells of its thread too, if its recv callback has got so far.
        if let Some(socket) = sockets.iter().find(|socket| socket.handle == handle) {
            let at = unserved.iter().position(|thread| *thread == socket.thread).expect("not served before");
            unserved.swap_remove(at);
        }
    }
    let blocked = unserved[0];
    assert!(unserved.iter().all(|thread| *thread == blocked), "sockets of several workers wait");
    blocked
}

fn serve_the_others(port: &Port<Blocking>, sockets: &mut [Socket], blocked: ThreadId) {
    for socket in sockets.iter_mut() {
        if socket.thread == blocked {
            // A call on a socket of the blocked worker does not wait for it.
            port.recv(socket.handle).expect_err("its recv is outstanding");
            continue;
        }
        assert_eq!(socket.client.read_exact(1).expect("the echo"), [1]);
        (2..ROUNDS).for_each(|round| echo(&mut socket.client, round));
    }
}
