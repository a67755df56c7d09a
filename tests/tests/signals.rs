//! The workers block every signal, and nothing raises SIGPIPE.

#![cfg(unix)]

use socket_iocp::{Context, Error, ErrorCode, Farewell, Handler, Port, ReadBuffer, Sent, SocketHandle};
use socket_iocp_testkit::{BOUND, Event, Gate, Lab, Probe, in_own_process, on_every_backend};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

// On the simulated network too: the workers are the same.
on_every_backend!(workers_block_every_signal, a_new_port_leaves_the_callers_mask_alone);
// No system call is made on the simulated network.
on_every_backend!(real: nothing_raises_sigpipe);

/// The signals that can be blocked: not KILL and STOP, and not the two that the C library keeps for itself.
fn all_signals() -> Vec<i32> {
    (1..=libc::SIGRTMAX()).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, 32, 33].contains(signal)).collect()
}

/// The signals that this thread blocks.
fn blocked_here() -> Vec<i32> {
    // SAFETY: the set is written by the call before it is read.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set);
        all_signals().into_iter().filter(|signal| libc::sigismember(&set, *signal) == 1).collect()
    }
}

/// Notes the signals that are blocked in its callbacks.
struct Masks {
    seen: Mutex<Vec<Vec<i32>>>,
    farewells: Arc<Gate>,
}

impl Handler for Masks {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        unreachable!("nobody listens")
    }

    fn recv(&self, _: &Context<'_, Self>, _: &mut (), _: Result<ReadBuffer, Error>) {}

    fn send(&self, _: &Context<'_, Self>, _: &mut (), _: Sent<()>) {}

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {
        self.seen.lock().expect("no panic").push(blocked_here());
        self.farewells.pass();
    }
}

fn workers_block_every_signal(lab: &Lab) {
    let farewells = Arc::new(Gate::new());
    let masks = Masks { seen: Mutex::new(Vec::new()), farewells: farewells.clone() };
    let port = Port::new(masks, lab.options().threads(3)).expect("a port");
    // One socket for each worker.
    for _ in 0..3 {
        let (socket, _client) = lab.pair();
        let socket = port.add_connected(socket, ()).expect("a connected socket");
        port.abort(socket).expect("a live socket");
    }
    farewells.wait_for("farewells", 3);
    for blocked in port.handler().seen.lock().expect("no panic").iter() {
        assert_eq!(*blocked, all_signals());
    }
}

fn a_new_port_leaves_the_callers_mask_alone(lab: &Lab) {
    let before = blocked_here();
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    assert_eq!(blocked_here(), before);
    port.delete();
    assert_eq!(blocked_here(), before);
}

fn nothing_raises_sigpipe(lab: &Lab) {
    // A process of its own, where SIGPIPE does what it does in a C program: Rust's start-up ignores it.
    in_own_process("nothing_raises_sigpipe", lab, |lab| {
        // SAFETY: the default action is no handler of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        send_to_nobody(lab);
    });
}

/// Sends again and again until the socket has ended; the reason.
fn send_until_the_end(port: &Port<Probe>, socket: SocketHandle) -> ErrorCode {
    for write in 0.. {
        if port.send(socket, vec![7; 1000], write).is_err() {
            break;
        }
        let is_reported =
            |event: &Event| event.handle() == Some(socket) && event.sent().is_some_and(|(done, _)| done == write);
        while port.threads() == 0 && port.handler().count(is_reported) == 0 {
            port.run(Some(BOUND)).expect("a run");
        }
        port.handler().wait_for_count("the send", 1, is_reported);
    }
    let is_farewell = |event: &Event| matches!(event, Event::Farewell { handle, .. } if *handle == socket);
    while port.threads() == 0 && port.handler().count(is_farewell) == 0 {
        port.run(Some(BOUND)).expect("a run");
    }
    port.handler().wait_for_farewell(socket).expect_err("nobody is there").code()
}

fn send_to_nobody(lab: &Lab) {
    // A driven port runs on this thread, which blocks no signal.
    for threads in [0, 2] {
        let port = Port::new(Probe::silent(), lab.options().threads(threads)).expect("a port");
        let gone = [ErrorCode::BrokenPipe, ErrorCode::Reset];
        // The peer closes with nothing unread: the first send brings its reset, the next finds a broken pipe.
        let (socket, client) = lab.pair();
        let socket = port.add_connected(socket, 1).expect("a connected socket");
        drop(client);
        assert!(gone.contains(&send_until_the_end(&port, socket)));
        // The peer resets.
        let (socket, client) = lab.pair();
        let socket = port.add_connected(socket, 1).expect("a connected socket");
        client.reset();
        assert!(gone.contains(&send_until_the_end(&port, socket)));
        // A Unix socket's peer closes.
        let (socket, peer) = UnixStream::pair().expect("a socketpair");
        let socket = port.add_connected(socket, 1).expect("a connected socket");
        drop(peer);
        assert_eq!(send_until_the_end(&port, socket), ErrorCode::BrokenPipe);
    }
}
