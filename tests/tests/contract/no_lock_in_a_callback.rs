//! No lock of the library is held while a callback runs: inside each, every call can be made, and another thread can make
//! every call meanwhile.

use socket_iocp::{Context, ErrorCode, Port, PortHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

on_every_backend!(every_call_from_inside_every_callback, every_call_from_another_thread_meanwhile);

const LONG: Duration = Duration::from_secs(1000);

/// What the calls need, made by the test beforehand.
struct Material {
    sockets: Vec<(socket_iocp::Socket, Client)>,
    listeners: Vec<socket_iocp::Socket>,
    datagrams: Vec<(socket_iocp::Socket, std::net::SocketAddr)>,
}

impl Material {
    fn new(lab: &Lab) -> Material {
        Material {
            sockets: (0..16).map(|_| lab.pair()).collect(),
            listeners: (0..16).map(|_| lab.listen().0).collect(),
            datagrams: (0..16).map(|_| lab.datagram_socket(None)).collect(),
        }
    }
}

/// Makes every call of the library's once, on sockets of its own; each of them must be granted.
fn make_every_call(port: &PortHandle<Probe>, material: &Mutex<Material>) {
    let (sockets, listen_socket, (datagrams, address)) = {
        let mut material = material.lock().expect("no panic under this lock");
        let sockets = [material.sockets.pop().expect("enough"), material.sockets.pop().expect("enough")];
        let datagrams = material.datagrams.pop().expect("enough");
        (sockets, material.listeners.pop().expect("enough"), datagrams)
    };
    let [(closed, _closed_client), (removed, _removed_client)] = sockets;
    let raw = closed.as_raw();
    // The state says that these are not the sockets whose callbacks make calls.
    let closed = port.add_connected(closed, 99).expect("a connected socket");
    let removed = port.add_connected(removed, 99).expect("a connected socket");
    assert_eq!(port.find(raw), Some(closed));
    port.recv(closed).expect("a live socket");
    port.cancel_recv(closed).expect("it is outstanding");
    port.recv_within(removed, LONG).expect("a live socket");
    port.timer(closed, LONG).expect("a live socket");
    port.cancel_timer(closed).expect("it is outstanding");
    port.cancel_connect(closed).expect_err("it came connected");
    let named = port.connect_host_within("127.0.0.1", 9, LONG, 99).expect("an address");
    // It may have been refused by now.
    let _ = port.cancel_connect(named);
    port.send_within(removed, b"z", 1, LONG).expect("a live socket");
    port.sync_send_within(removed, b"z", 1, LONG).expect("a live socket");
    port.cancel_sends(removed, |write| *write == 1).expect("some are outstanding, or it is another thread");
    port.send(closed, b"x", 0).expect("a live socket");
    port.sync_send(closed, b"y", 0).expect("a live socket");
    port.queued_bytes(closed).expect("a live socket");
    port.shutdown_send(closed).expect("a live socket");
    port.close(closed).expect("a live socket");
    port.abort(closed).expect("an abort overrides a close");
    port.remove(removed).expect("a live socket");
    let datagrams = port.add_datagram(datagrams, 99).expect("a datagram socket");
    port.recv(datagrams).expect("a live socket");
    port.send_to(datagrams, address, b"x", 0).expect("a live socket");
    port.sync_send_to(datagrams, address, b"y", 0).expect("a live socket");
    port.close(datagrams).expect("a live socket");
    let raw_listener = listen_socket.as_raw();
    let listener = port.add_listener(listen_socket, 2, 99).expect("a listener");
    assert_eq!(port.find_listener(raw_listener), Some(listener));
    port.set_accept_backlog(listener, 3).expect("a live listener");
    port.remove_listener(listener).expect("a live listener");
    assert!(port.statistics().sockets_now > 0);
    assert_eq!(port.run(None).map_err(|error| error.code()), Err(ErrorCode::WrongContext));
}

/// The kinds of callbacks; each makes the calls once.
fn kind(event: &Event) -> Option<&'static str> {
    match event {
        Event::Accepted { .. } => Some("accept"),
        Event::Received { state: 99, .. } | Event::Sent { state: 99, .. } | Event::Farewell { state: 99, .. } => None,
        Event::Timer { state: 99, .. } | Event::Datagram { .. } => None,
        Event::Received { .. } => Some("recv"),
        Event::Sent { .. } => Some("send"),
        Event::Farewell { .. } => Some("error"),
        Event::ListenerFarewell { listener: 99, .. } => None,
        Event::Connected { .. } => Some("connected"),
        Event::ListenerFarewell { .. } => Some("listen_error"),
        Event::Watermark { .. } => Some("watermark"),
        Event::Timer { .. } => Some("timer"),
    }
}

/// Serves one connection so that every kind of callback comes; `calls` runs inside each.
fn serve(lab: &Lab, calls: impl Fn(&PortHandle<Probe>) + Send + Sync + 'static) {
    let (sender, done): (Sender<&str>, Receiver<&str>) = mpsc::channel();
    // The listen socket's farewell has no context: it gets the port from here.
    let kept: Arc<Mutex<Option<PortHandle<Probe>>>> = Arc::default();
    let port_of = kept.clone();
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        let kind = kind(event)?;
        let port = match context {
            Some(context) => context.port().clone(),
            None => port_of.lock().expect("no panic under this lock").clone().expect("the port"),
        };
        if let (Some(context), "accept") = (context, kind) {
            context.recv().expect("a new socket");
        }
        calls(&port);
        sender.send(kind).expect("the test waits");
        Some(0)
    });
    // A mark that the calls' own sends do not reach.
    let port = Port::new(probe, lab.options().high_watermark(1)).expect("a port");
    *kept.lock().expect("no panic under this lock") = Some(PortHandle::clone(&port));
    let told = |kind: &str| assert_eq!(done.recv_timeout(socket_iocp_testkit::BOUND), Ok(kind));
    let (listener, address) = lab.listen();
    let listener = port.add_listener(listener, 2, 7).expect("a listener");
    let mut client = lab.connect(address);
    told("accept");
    let socket = port.handler().wait_for_accept(0);
    client.write_all(b"x").expect("a live connection");
    told("recv");
    port.send(socket, b"xx", 1).expect("a live socket");
    told("watermark");
    told("send");
    told("watermark");
    port.timer(socket, Duration::ZERO).expect("a live socket");
    told("timer");
    port.abort(socket).expect("a live socket");
    told("error");
    port.remove_listener(listener).expect("a live listener");
    told("listen_error");
    assert_eq!(port.statistics().panics, 0);
    // The handle kept in the handler would keep the port's memory.
    kept.lock().expect("no panic under this lock").take();
}

fn every_call_from_inside_every_callback(lab: &Lab) {
    let material = Mutex::new(Material::new(lab));
    serve(lab, move |port| make_every_call(port, &material));
}

fn every_call_from_another_thread_meanwhile(lab: &Lab) {
    let material = Mutex::new(Material::new(lab));
    // The callback does not return before the other thread has made its calls.
    serve(lab, move |port| {
        thread::scope(|scope| scope.spawn(|| make_every_call(port, &material)).join().expect("no panic"))
    });
}
