//! Stream sockets of the Unix family are served as others are, listeners and socketpairs, as every owned type of std's.
//! ("The seven calls".)

#![forbid(unsafe_code)]

use socket_iocp::{Context, Port, PortHandle, Socket};
use socket_iocp_testkit::{BOUND, Event, Lab, Probe, on_every_backend};
use socket2::SockAddr;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::{env, fs, process};

// Real only: the simulated network has one family.
on_every_backend!(real: listeners_are_served, addresses_are_right, socketpairs_are_served, every_owned_type_goes_in);

/// A path of this test's own.
fn path(lab: &Lab, test: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("socket-iocp-{}-{}-{test}", process::id(), lab.name()));
    // What an earlier process of this number may have left.
    let _ = fs::remove_file(&path);
    path
}

/// An echo of more than one read buffer.
fn serves(client: &mut (impl Read + Write)) {
    let sent: Vec<u8> = (0..20_000).map(|index| index as u8).collect();
    client.write_all(&sent).expect("a live connection");
    let mut read = vec![0; sent.len()];
    client.read_exact(&mut read).expect("the echo");
    assert!(read == sent, "the echo differs");
}

/// Echoes without waiting for its sends.
fn echoing(context: &Context<'_, Probe>, event: &Event) {
    match event {
        Event::Accepted { .. } => context.recv().expect("a new socket"),
        Event::Received { result: Ok(bytes), .. } if !bytes.is_empty() => {
            context.send(bytes.clone(), 0).expect("an open socket");
            context.recv().expect("an open socket");
        }
        _ => {}
    }
}

fn echo(lab: &Lab) -> Port<Probe> {
    let probe = Probe::reacting(|_, context, event| {
        echoing(context?, event);
        Some(0)
    });
    Port::new(probe, lab.options()).expect("a port")
}

fn listeners_are_served(lab: &Lab) {
    let port = echo(lab);
    let path = path(lab, "served");
    port.add_listener(UnixListener::bind(&path).expect("a path"), 4, 0).expect("a listener");
    serves(&mut UnixStream::connect(&path).expect("a listener"));
    fs::remove_file(&path).expect("the listener's file");
}

fn addresses_are_right(lab: &Lab) {
    let (tell, told) = mpsc::channel::<(SockAddr, SockAddr)>();
    let probe = Probe::reacting(move |_, context, event| {
        let context = context?;
        if let Event::Accepted { .. } = event {
            assert_eq!((context.local_addr(), context.remote_addr()), (None, None), "no internet addresses");
            let (local, remote) = context.sockaddrs().expect("an accept callback");
            tell.send((local.clone(), remote.clone())).expect("the test listens");
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let path = path(lab, "addresses");
    port.add_listener(UnixListener::bind(&path).expect("a path"), 4, 0).expect("a listener");
    let _client = UnixStream::connect(&path).expect("a listener");
    let (local, remote) = told.recv_timeout(BOUND).expect("an accept");
    assert_eq!(local.as_pathname(), Some(path.as_path()));
    assert!(remote.is_unix() && remote.as_pathname().is_none(), "{remote:?}");
    fs::remove_file(&path).expect("the listener's file");
}

fn socketpairs_are_served(lab: &Lab) {
    let port = echo(lab);
    let (near, mut far) = UnixStream::pair().expect("a pair");
    let handle = port.add_connected(near, 0).expect("a connected socket");
    port.recv(handle).expect("an open socket");
    serves(&mut far);
    far.shutdown(std::net::Shutdown::Write).expect("a live connection");
    port.handler().wait_for("the FIN", |log| {
        log.iter()
            .find(|event| matches!(event, Event::Received { result: Ok(bytes), .. } if bytes.is_empty()))
            .map(drop)
    });
    port.close(handle).expect("an open socket");
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
    assert_eq!(far.read(&mut [0; 1]).expect("a FIN"), 0);
}

fn every_owned_type_goes_in(lab: &Lab) {
    fn serve(port: &PortHandle<Probe>, socket: impl Into<Socket>, mut client: UnixStream) {
        let socket = port.add_connected(socket, 1).expect("a connected socket");
        port.recv(socket).expect("a first recv");
        serves(&mut client);
    }
    let port = echo(lab);
    let (socket, client) = UnixStream::pair().expect("a socketpair");
    serve(&port, OwnedFd::from(socket), client);
    let (socket, client) = UnixStream::pair().expect("a socketpair");
    serve(&port, socket2::Socket::from(socket), client);
    // Both ends may be in the port, blocking or not.
    let (socket, client) = UnixStream::pair().expect("a socketpair");
    socket.set_nonblocking(true).expect("a flag");
    serve(&port, socket, client);
}
