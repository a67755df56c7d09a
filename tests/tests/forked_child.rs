//! In a forked child every call is `Closed` and dropping the port does nothing; the parent goes on.

#![cfg(unix)]

use socket_iocp::{Error, ErrorCode, ListenerHandle, Port, SocketHandle};
use socket_iocp_testkit::{Lab, Probe, in_own_process, on_every_backend};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

// Not on the simulated network: its lock may be held by another thread at the fork.
on_every_backend!(real: a_forked_child_gets_closed);

fn a_forked_child_gets_closed(lab: &Lab) {
    // A process of its own, so that no other test forks or is forked with it.
    in_own_process("a_forked_child_gets_closed", lab, fork_while_serving);
}

/// What the child tries; the number of the first call that did not answer as it should, else 0.
fn try_everything(port: Port<Probe>, driven: Port<Probe>, socket: SocketHandle, listener: ListenerHandle) -> i32 {
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
        port.add_connected(client, 1).err().map(|refused| refused.error.code()) == closed,
        port.add_listener(loopback, 1, 1).err().map(|refused| refused.error.code()) == closed,
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

fn fork_while_serving(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let driven = Port::new(Probe::silent(), lab.options().threads(0)).expect("a driven port");
    let (listener, address) = lab.listen();
    let listener = port.add_listener(listener, 4, 7).expect("a listener");
    let mut client = lab.connect(address);
    client.write_all(b"before").expect("a live connection");
    assert_eq!(client.read_exact(6).expect("the echo"), b"before");
    let socket = port.handler().wait_for_accept(0);

    // SAFETY: this process has no other thread that could hold a lock of the allocator's but the port's idle workers, and
    // glibc makes the allocator usable in the child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: plain system calls. The alarm ends a child that hangs.
        unsafe { libc::alarm(20) };
        let answer = try_everything(port, driven, socket, listener);
        // SAFETY: as above; no destructor and no exit handler of the parent's runs here.
        unsafe { libc::_exit(answer) };
    }
    assert!(child > 0, "fork: {}", std::io::Error::last_os_error());
    let mut status = 0;
    // SAFETY: `status` is alive during the call.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child was killed: status {status}");
    assert_eq!(libc::WEXITSTATUS(status), 0, "the first call that was not refused");

    // The parent serves as before, old connections and new ones.
    for mut client in [client, lab.connect(address)] {
        client.write_all(b"after").expect("a live connection");
        assert_eq!(client.read_exact(5).expect("the echo"), b"after");
    }
    driven.run(Some(Duration::ZERO)).expect("a run");
    port.delete();
}
