//! A panic in a callback takes its socket down with a farewell of `Panic`, one in a farewell or a drop is caught: each is
//! counted, and the port goes on serving.

use socket_iocp::{
    Context, Error, ErrorCode, Farewell, Handler, Port, PortHandle, ReadBuffer, Sent, SocketHandle, Watermark,
};
use socket_iocp_testkit::{BOUND, Client, Gate, Lab, on_every_backend};
use std::panic;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, Once};

on_every_backend!(
    in_accept,
    in_recv,
    in_send,
    in_error,
    in_listen_error,
    in_watermark,
    with_sends_outstanding,
    in_the_drop_of_a_sockets_state,
    in_the_drop_of_a_sends_state,
    in_the_drop_of_a_sends_state_nobody_is_told_of,
    in_the_drop_of_a_listeners_state,
    in_the_drop_of_the_panics_own_payload,
);

/// Where the handler is to panic.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Where {
    Nowhere,
    Accept,
    Recv,
    RecvWithPayload,
    Send,
    Error,
    ListenError,
    Watermark,
    Refuse,
}

/// Panics when dropped, if it is to.
#[derive(Debug)]
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 {
            panic!("a drop that panics, as the test wants");
        }
    }
}

struct Panicker {
    at: Mutex<Where>,
    farewells: Sender<(SocketHandle, Result<(), Error>)>,
    sends: Sender<Result<(), Error>>,
    listener_gone: Arc<Gate>,
}

impl Panicker {
    fn is_to_panic(&self, here: Where) -> bool {
        *self.at.lock().expect("no panic under this lock") == here
    }

    fn may_panic(&self, here: Where) {
        self.tell_and_panic(here, || {});
    }

    /// Decides before it tells: once told, the test sets out something else.
    fn tell_and_panic(&self, here: Where, tell: impl FnOnce()) {
        let panics = self.is_to_panic(here);
        tell();
        if panics {
            panic!("{here:?}, as the test wants");
        }
    }
}

impl Handler for Panicker {
    type Listener = Bomb;
    type Socket = Bomb;
    type Write = Bomb;

    fn accept(&self, context: &Context<'_, Self>, _: &Bomb) -> Option<Bomb> {
        self.may_panic(Where::Accept);
        if self.is_to_panic(Where::Refuse) {
            context.send(b"bye", Bomb(true)).expect("a new socket");
            return None;
        }
        context.recv().expect("a new socket");
        Some(Bomb(false))
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut Bomb, received: Result<ReadBuffer, Error>) {
        self.may_panic(Where::Recv);
        if self.is_to_panic(Where::RecvWithPayload) {
            panic::panic_any(Bomb(true));
        }
        let bytes = received.expect("no recv is cancelled by itself");
        if bytes.is_empty() {
            context.close().expect("a live socket");
        } else {
            context.send(bytes, Bomb(false)).expect("a live socket");
            context.recv().expect("a live socket");
        }
    }

    fn send(&self, _: &Context<'_, Self>, _: &mut Bomb, sent: Sent<Bomb>) {
        self.tell_and_panic(Where::Send, || self.sends.send(sent.result).expect("the test waits"));
    }

    fn error(&self, context: &Context<'_, Self>, _state: Bomb, farewell: Farewell) {
        let told = (context.handle(), farewell.reason);
        self.tell_and_panic(Where::Error, || self.farewells.send(told).expect("the test waits"));
    }

    fn listen_error(&self, _: &PortHandle<Self>, _: &Bomb, _: Result<(), Error>) {
        self.tell_and_panic(Where::ListenError, || self.listener_gone.pass());
    }

    fn watermark(&self, _: &Context<'_, Self>, _: &mut Bomb, _: Watermark) {
        self.may_panic(Where::Watermark);
    }
}

/// A port of one worker with a handler that panics there, and what it reports.
struct Scene<'a> {
    lab: &'a Lab,
    port: Port<Panicker>,
    farewells: Receiver<(SocketHandle, Result<(), Error>)>,
    sends: Receiver<Result<(), Error>>,
    listener_gone: Arc<Gate>,
}

impl Scene<'_> {
    fn new(lab: &Lab, at: Where) -> Scene<'_> {
        quiet();
        let (farewells, farewells_told) = mpsc::channel();
        let (sends, sends_told) = mpsc::channel();
        let listener_gone = Arc::new(Gate::new());
        let handler = Panicker { at: Mutex::new(at), farewells, sends, listener_gone: listener_gone.clone() };
        let port = Port::new(handler, lab.options().threads(1).high_watermark(9)).expect("a port");
        Scene { lab, port, farewells: farewells_told, sends: sends_told, listener_gone }
    }

    fn add(&self, state: Bomb) -> (SocketHandle, Client) {
        let (socket, client) = self.lab.pair();
        (self.port.add_connected(socket, state).expect("a connected socket"), client)
    }

    fn farewell_of(&self, socket: SocketHandle) -> Result<(), ErrorCode> {
        let (told, reason) = self.farewells.recv_timeout(BOUND).expect("a farewell");
        assert_eq!(told, socket);
        reason.map_err(|error| error.code())
    }

    /// The port serves: an old connection if there is one, and a new one. Then exactly so many panics have been counted.
    fn check(self, panics: u64) {
        *self.port.handler().at.lock().expect("no panic under this lock") = Where::Nowhere;
        let (socket, mut client) = self.add(Bomb(false));
        self.port.recv(socket).expect("a first recv");
        client.write_all(b"still").expect("a live connection");
        assert_eq!(client.read_exact(5).expect("the echo"), b"still");
        self.sends.recv_timeout(BOUND).expect("a report").expect("a success");
        client.shutdown_write();
        assert_eq!(client.read_to_end().expect("a clean end"), b"");
        assert_eq!(self.farewell_of(socket), Ok(()));
        assert_eq!(self.port.statistics().panics, panics);
        self.port.delete();
        assert!(self.farewells.try_recv().is_err(), "a farewell too many");
    }
}

/// The panics that the tests want are not printed; others are.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let wanted = info.payload().downcast_ref::<&str>().is_some_and(|text| text.ends_with("as the test wants"));
            if !wanted && !info.payload().is::<Bomb>() {
                print(info);
            }
        }));
    });
}

fn in_accept(lab: &Lab) {
    let scene = Scene::new(lab, Where::Accept);
    let (listener, address) = lab.listen();
    scene.port.add_listener(listener, 4, Bomb(false)).expect("a listener");
    let mut client = lab.connect(address);
    // It is closed; there is no state to bid farewell to.
    assert!(client.read(&mut [0]).map_or(true, |count| count == 0));
    *scene.port.handler().at.lock().expect("no panic under this lock") = Where::Nowhere;
    // The listener goes on too.
    let mut client = lab.connect(address);
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    scene.sends.recv_timeout(BOUND).expect("a report").expect("a success");
    client.shutdown_write();
    assert_eq!(client.read_to_end().expect("a clean end"), b"");
    let (_, reason) = scene.farewells.recv_timeout(BOUND).expect("the second connection's farewell");
    assert_eq!(reason, Ok(()));
    scene.check(1);
}

fn in_recv(lab: &Lab) {
    let scene = Scene::new(lab, Where::Recv);
    let (socket, mut client) = scene.add(Bomb(false));
    scene.port.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Panic));
    assert!(client.read(&mut [0]).map_or(true, |count| count == 0), "the connection is closed");
    scene.check(1);
}

fn in_send(lab: &Lab) {
    let scene = Scene::new(lab, Where::Send);
    let (socket, _client) = scene.add(Bomb(false));
    scene.port.send(socket, b"x", Bomb(false)).expect("a live socket");
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Panic));
    scene.sends.recv_timeout(BOUND).expect("a report").expect("a success");
    scene.check(1);
}

fn in_error(lab: &Lab) {
    let scene = Scene::new(lab, Where::Error);
    let (socket, _client) = scene.add(Bomb(false));
    scene.port.abort(socket).expect("a live socket");
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Cancelled));
    scene.check(1);
}

fn in_listen_error(lab: &Lab) {
    let scene = Scene::new(lab, Where::ListenError);
    let (listener, _) = lab.listen();
    let listener = scene.port.add_listener(listener, 4, Bomb(false)).expect("a listener");
    scene.port.remove_listener(listener).expect("a live listener");
    scene.listener_gone.wait_for("the listener's farewell", 1);
    scene.check(1);
}

fn in_watermark(lab: &Lab) {
    let scene = Scene::new(lab, Where::Watermark);
    let (socket, _client) = scene.add(Bomb(false));
    scene.port.send(socket, b"ten bytes.", Bomb(false)).expect("a live socket");
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Panic));
    // It is reported before the farewell, whatever has become of it.
    let _ = scene.sends.try_recv().expect("a report");
    scene.check(1);
}

fn with_sends_outstanding(lab: &Lab) {
    let scene = Scene::new(lab, Where::Recv);
    let (socket, mut client) = scene.add(Bomb(false));
    // More than the kernel takes: most are outstanding when the recv's callback panics.
    for _ in 0..8 {
        scene.port.send(socket, vec![7; 8 << 20], Bomb(false)).expect("a live socket");
    }
    scene.port.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Panic));
    // Each of them has been reported before the farewell.
    let reports: Vec<_> = scene.sends.try_iter().map(|result| result.map_err(|error| error.code())).collect();
    assert_eq!(reports.len(), 8);
    assert_eq!(reports.last(), Some(&Err(ErrorCode::Cancelled)));
    scene.check(1);
}

fn in_the_drop_of_a_sockets_state(lab: &Lab) {
    let scene = Scene::new(lab, Where::Nowhere);
    let (socket, _client) = scene.add(Bomb(true));
    scene.port.abort(socket).expect("a live socket");
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Cancelled));
    scene.check(1);
}

fn in_the_drop_of_a_sends_state(lab: &Lab) {
    let scene = Scene::new(lab, Where::Nowhere);
    let (socket, _client) = scene.add(Bomb(false));
    scene.port.send(socket, b"x", Bomb(true)).expect("a live socket");
    // It is dropped at the end of the send callback: a panic of that.
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Panic));
    scene.sends.recv_timeout(BOUND).expect("a report").expect("a success");
    scene.check(1);
}

fn in_the_drop_of_a_sends_state_nobody_is_told_of(lab: &Lab) {
    let scene = Scene::new(lab, Where::Refuse);
    let (listener, address) = lab.listen();
    scene.port.add_listener(listener, 4, Bomb(false)).expect("a listener");
    let mut client = lab.connect(address);
    // Whether what was sent arrives is not promised: the connection was refused.
    let mut bytes = [0; 16];
    while client.read(&mut bytes).is_ok_and(|count| count != 0) {}
    scene.check(1);
}

fn in_the_drop_of_a_listeners_state(lab: &Lab) {
    let scene = Scene::new(lab, Where::Nowhere);
    let (listener, _) = lab.listen();
    let listener = scene.port.add_listener(listener, 4, Bomb(true)).expect("a listener");
    scene.port.remove_listener(listener).expect("a live listener");
    scene.listener_gone.wait_for("the listener's farewell", 1);
    scene.check(1);
}

fn in_the_drop_of_the_panics_own_payload(lab: &Lab) {
    let scene = Scene::new(lab, Where::RecvWithPayload);
    let (socket, mut client) = scene.add(Bomb(false));
    scene.port.recv(socket).expect("a first recv");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(scene.farewell_of(socket), Err(ErrorCode::Panic));
    scene.check(1);
}
