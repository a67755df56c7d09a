//! Servers that replace each other, under clients that connect, exchange and close all the time.

use crate::command_line::exit_code;
use crate::on_each_backend;
use crate::server::{HANDOVER, LIMIT, Server};
use socket_iocp::{pass_socket, take_passed_socket};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

on_each_backend!(
    no_client_sees_servers_replace_each_other,
    a_successor_that_dies_leaves_the_server_serving,
    a_predecessor_that_dies_is_replaced,
);

const REPLACEMENTS: usize = 100;
const CLIENTS: usize = 3;

/// A directory with the control socket in it.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    fn control(&self) -> PathBuf {
        self.0.path().join("control")
    }

    /// A server that takes over from whoever is there.
    fn server(&self, backend: &str) -> Server {
        Server::start(backend, HANDOVER, &[self.control().as_os_str()])
    }
}

fn no_client_sees_servers_replace_each_other(backend: &str) {
    let place = Place::new();
    let mut server = place.server(backend);
    let (address, stop) = (server.address, AtomicBool::new(false));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| come_and_go(address, &stop))).collect();
        // However it ends, the clients end too.
        let stopped = Stop(&stop);
        for _ in 0..REPLACEMENTS {
            let mut stays = server.connect();
            exchange(&mut stays, 1);
            let mut before = std::mem::replace(&mut server, place.server(backend));
            assert_eq!(server.address, address);
            // It belongs to the server before, which serves it to its end and ends then.
            exchange(&mut stays, 2);
            assert!(before.child.try_wait().expect("a child").is_none(), "it left a connection behind");
            drop(stays);
            assert_eq!(exit_code(&mut before), Some(0));
        }
        drop(stopped);
        for client in clients {
            let connections = client.join().expect("no request fails");
            assert!(connections > REPLACEMENTS as u64, "{connections} connections are no load");
        }
    });
}

/// Connects, exchanges and closes until it is stopped, by a FIN and by a reset in turn. Panics at the first failure.
fn come_and_go(address: SocketAddr, stop: &AtomicBool) -> u64 {
    let mut connections = 0;
    while !stop.load(Ordering::Relaxed) {
        connections += 1;
        let mut stream = TcpStream::connect_timeout(&address, LIMIT).expect("somebody listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        exchange(&mut stream, connections);
        if connections % 2 == 0 {
            stream.shutdown(Shutdown::Write).expect("a FIN");
            assert_eq!(stream.read(&mut [0]).expect("the server's FIN"), 0);
        }
        // No TIME_WAIT: the ports of one address are enough.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }
    connections
}

fn exchange(stream: &mut TcpStream, number: u64) {
    let (sent, mut received) = ([number.to_le_bytes(); 8].concat(), [0; 64]);
    stream.write_all(&sent).expect("a server that reads");
    stream.read_exact(&mut received).expect("the echo");
    assert_eq!(sent, received);
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn a_successor_that_dies_leaves_the_server_serving(backend: &str) {
    let place = Place::new();
    let mut server = place.server(backend);
    // How far it comes: it is connected, it has the socket, it was told that the socket is its own.
    for steps in 0..3 {
        let mut successor = UnixStream::connect(place.control()).expect("a server at the control socket");
        successor.set_read_timeout(Some(LIMIT)).expect("a limit");
        if steps > 0 {
            let listener = TcpListener::from(take_passed_socket(&successor).expect("a listener").socket);
            assert_eq!(listener.local_addr().expect("an address"), server.address);
        }
        if steps > 1 {
            let mut yours = [0];
            successor.write_all(b"r").expect("a server that waits");
            successor.read_exact(&mut yours).expect("an answer");
            assert_eq!(&yours, b"y");
        }
        // This one may come while nobody accepts.
        let mut early = server.connect();
        drop(successor);
        exchange(&mut early, 1);
        exchange(&mut server.connect(), 2);
    }
    let next = place.server(backend);
    assert_eq!(next.address, server.address);
    assert_eq!(exit_code(&mut server), Some(0));
    exchange(&mut next.connect(), 3);
}

fn a_predecessor_that_dies_is_replaced(backend: &str) {
    // How far it comes: it has given the socket, it was told that the successor is ready.
    for is_told in [false, true] {
        let place = Place::new();
        let control = UnixListener::bind(place.control()).expect("a control socket");
        thread::scope(|scope| {
            let predecessor = scope.spawn(|| {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let (mut successor, _) = control.accept().expect("the successor");
                pass_socket(&successor, 0, &listener, b"").expect("a successor");
                if is_told {
                    successor.read_exact(&mut [0]).expect("ready");
                }
                listener.local_addr().expect("an address")
            });
            let server = place.server(backend);
            exchange(&mut server.connect(), 1);
            assert_eq!(server.address, predecessor.join().expect("no panic"));
        });
        // It was killed, and its file was left behind: the next one listens for itself.
        exchange(&mut place.server(backend).connect(), 2);
        assert_eq!(files(place.0.path()), ["control"]);
    }
}

fn files(directory: &Path) -> Vec<String> {
    let entries = directory.read_dir().expect("a directory");
    entries.map(|entry| entry.expect("a file").file_name().into_string().expect("text")).collect()
}
