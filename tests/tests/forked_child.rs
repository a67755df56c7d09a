//! In a forked child every call is `Closed` and dropping the port does nothing; the parent goes on, also under load, whatever its
//! children do and however long they stay.

#![cfg(unix)]

use fastrand::Rng;
use socket_iocp::{Error, ErrorCode, Handler, ListenerHandle, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Crowd, Lab, Ledger, Probe, crowd, in_own_process, on_every_backend, tries};
use std::io::{PipeReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

// Not on the simulated network: its lock may be held by another thread at the fork.
on_every_backend!(
    real: a_forked_child_gets_closed,
    forks_under_load_disturb_nothing,
    a_child_that_stays_holds_nothing_up,
);

fn a_forked_child_gets_closed(lab: &Lab) {
    // A process of its own, so that no other test forks or is forked with it.
    in_own_process("a_forked_child_gets_closed", lab, fork_while_serving);
}

/// What the child tries; the number of the first call that did not answer as it should, else 0.
fn try_everything<H: Handler<Write = u64>>(
    port: Port<H>,
    driven: Port<H>,
    (socket, socket_state): (SocketHandle, H::Socket),
    (listener, listener_state): (ListenerHandle, H::Listener),
) -> i32 {
    let closed = Some(ErrorCode::Closed);
    let code = |result: Result<(), Error>| result.err().map(|error| error.code());
    let loopback = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let client = TcpStream::connect(loopback.local_addr().expect("an address")).expect("a listener");
    let answers = [
        code(port.recv(socket)) == closed,
        port.send(socket, b"child", 1).err().map(|rejected| rejected.error.code()) == closed,
        port.sync_send(socket, b"child", 1).err().map(|rejected| rejected.error.code()) == closed,
        code(port.shutdown_send(socket)) == closed,
        code(port.close(socket)) == closed,
        code(port.abort(socket)) == closed,
        code(port.remove(socket)) == closed,
        code(port.set_accept_backlog(listener, 3)) == closed,
        port.remove_listener(listener).err().map(|error| error.code()) == closed,
        port.add_connected(client, socket_state).err().map(|refused| refused.error.code()) == closed,
        port.add_listener(loopback, 1, listener_state).err().map(|refused| refused.error.code()) == closed,
        port.find(0).is_none(),
        port.find_listener(0).is_none(),
        code(driven.run(Some(Duration::ZERO))) == closed,
        driven.pollable().err().map(|error| error.code()) == closed,
        Port::new(Probe::silent(), socket_iocp::Options::new(1)).err().map(|error| error.code()) == closed,
    ];
    // Neither blocks, nor sends anything to the parent's peers.
    port.delete();
    drop(driven);
    answers.iter().position(|right| !right).map_or(0, |at| at as i32 + 1)
}

/// Forks. A child that hangs is ended by an alarm.
fn fork() -> i32 {
    // SAFETY: the child calls the library, which answers before it takes a lock, and the allocator, which the system's own C
    // library makes usable in a child; then it exits or becomes another program.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: a plain system call.
        unsafe { libc::alarm(20) };
    }
    child
}

/// Ends a child: no destructor and no exit handler of its parent's runs.
fn exit(answer: i32) -> ! {
    // SAFETY: a plain system call.
    unsafe { libc::_exit(answer) }
}

/// Waits for a child's end.
#[track_caller]
fn status_of(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is alive during the call.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child was killed: status {status}");
    libc::WEXITSTATUS(status)
}

fn fork_while_serving(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let driven = Port::new(Probe::silent(), lab.options().threads(0)).expect("a driven port");
    let (listener, address) = lab.listen();
    let listener = port.add_listener(listener, 4, 7).expect("a listener");
    let mut client = lab.connect(address);
    client.write_all(b"before").expect("a live connection");
    assert_eq!(client.read_exact(6).expect("the echo"), b"before");
    let socket = port.handler().wait_for_accept(0);

    match fork() {
        0 => exit(try_everything(port, driven, (socket, 1), (listener, 1))),
        child => assert_eq!(status_of(child), 0, "the first call that was not refused"),
    }

    // The parent serves as before, old connections and new ones.
    for mut client in [client, lab.connect(address)] {
        client.write_all(b"after").expect("a live connection");
        assert_eq!(client.read_exact(5).expect("the echo"), b"after");
    }
    driven.run(Some(Duration::ZERO)).expect("a run");
    port.delete();
}

/// Serves clients, one crowd after another, until it is told to stop.
fn serve_crowds(address: SocketAddr, stop: &AtomicBool) -> Crowd {
    let (mut all, mut random) = (Crowd::default(), Rng::with_seed(1));
    while !stop.load(Ordering::SeqCst) {
        let some = crowd(address, 8, 40_000, &mut random);
        all = Crowd { echoed: all.echoed + some.echoed, reset: all.reset + some.reset };
    }
    all
}

/// A port that keeps account, and where to connect to it.
fn serving(lab: &Lab) -> (Port<Ledger>, ListenerHandle, SocketAddr) {
    let port = Port::new(Ledger::with_room_for(1000), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    let listener = port.add_listener(listener, 8, ()).expect("a listener");
    (port, listener, address)
}

/// Ends a port whose clients have all been served: nothing was lost.
fn end(port: Port<Ledger>, address: SocketAddr) {
    // It is served after those that were reset, which have been accepted by then, or left out by the system.
    crowd(address, 1, 10, &mut Rng::with_seed(1));
    Ledger::settle(port);
}

fn forks_under_load_disturb_nothing(lab: &Lab) {
    in_own_process("forks_under_load_disturb_nothing", lab, |lab| {
        let (port, listener, address) = serving(lab);
        let stop = AtomicBool::new(false);
        let (served, forks) = thread::scope(|scope| {
            let crowds = scope.spawn(|| serve_crowds(address, &stop));
            let forks = tries(200, 10_000);
            for number in 0..forks {
                fork_once(lab, number, &port, listener);
            }
            stop.store(true, Ordering::SeqCst);
            (crowds.join().expect("clients"), forks)
        });
        assert!(served.echoed > 0, "nobody was served meanwhile");
        end(port, address);
        println!("{}: {forks} forks while {served:?}", lab.name());
    });
}

/// A child that exits at once, one that becomes another program, one that tries every call, and one of std's making.
fn fork_once(lab: &Lab, number: u64, port: &PortHandle<Ledger>, listener: ListenerHandle) {
    match number % 4 {
        0 => match fork() {
            0 => exit(0),
            child => assert_eq!(status_of(child), 0),
        },
        1 => match fork() {
            0 => {
                let arguments = [c"true".as_ptr(), std::ptr::null()];
                // SAFETY: strings that end with a zero, in a list that ends with a null pointer.
                unsafe { libc::execvp(arguments[0], arguments.as_ptr()) };
                exit(1);
            }
            child => assert_eq!(status_of(child), 0),
        },
        2 => try_under_load(lab, port, listener),
        _ => assert!(Command::new("true").status().expect("a program").success()),
    }
}

fn try_under_load(lab: &Lab, port: &PortHandle<Ledger>, listener: ListenerHandle) {
    // A port of the child's own copies, for the calls that need to own one.
    let options = || lab.options().threads(0);
    let own = Port::new(Ledger::with_room_for(1), options()).expect("a port");
    let driven = Port::new(Ledger::with_room_for(1), options()).expect("a port");
    let (near, _far) = lab.pair();
    let socket = own.add_connected(near, Ledger::book(None)).expect("a connected socket");
    match fork() {
        0 => {
            let busy = [port.set_accept_backlog(listener, 3).err(), port.recv(socket).err()];
            if !busy.iter().all(|error| error.is_some_and(|error| error.code() == ErrorCode::Closed)) {
                exit(100);
            }
            exit(try_everything(own, driven, (socket, Ledger::book(None)), (listener, ())));
        }
        child => assert_eq!(status_of(child), 0, "the first call that was not refused"),
    }
}

fn a_child_that_stays_holds_nothing_up(lab: &Lab) {
    in_own_process("a_child_that_stays_holds_nothing_up", lab, |lab| {
        let (port, _, address) = serving(lab);
        let (mut wait, leave) = std::io::pipe().expect("a pipe");
        // It holds copies of these clients' sockets, and of all that the port has.
        let mut clients: Vec<_> = (0..4).map(|_| lab.connect(address)).collect();
        for client in &mut clients {
            client.write_all(b"before").expect("a live connection");
            assert_eq!(client.read_exact(6).expect("the echo"), b"before");
        }
        let child = fork();
        if child == 0 {
            drop(leave);
            exit(stay(&mut wait));
        }
        for mut client in clients {
            client.write_all(b"after").expect("a live connection");
            assert_eq!(client.read_exact(5).expect("the echo"), b"after");
            client.shutdown_write();
            assert_eq!(client.read_to_end().expect("a clean end"), b"");
        }
        crowd(address, 16, 40_000, &mut Rng::with_seed(1));
        end(port, address);
        // All has ended while the child had its copies.
        drop(leave);
        assert_eq!(status_of(child), 0);
    });
}

/// Waits until the parent closes its end.
fn stay(wait: &mut PipeReader) -> i32 {
    let mut byte = [0];
    i32::from(wait.read(&mut byte).is_err())
}
