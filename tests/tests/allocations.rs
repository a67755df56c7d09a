//! In the steady state a recv, a sync send and an accept allocate nothing and an async send at most one block, from
//! callbacks and from other threads alike; that block has the copy of what is sent by a copy, the buffers of a vectored send, and
//! the range of a file.

use socket_iocp::{Context, Datagram, Error, Farewell, Handler, Port, ReadBuffer, SendBuffer, Sent, SocketHandle};
use socket_iocp_testkit::{Client, Correspondent, Gate, Lab, TestFile, forever, on_every_backend};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

// Not on the simulated network, which is not made for speed: it allocates.
on_every_backend!(
    real: none_for_recv_and_sync_send_in_callbacks,
    one_for_an_async_send_in_callbacks,
    none_for_recv_and_sync_send_from_another_thread,
    one_for_an_async_send_from_another_thread,
    one_for_an_answer_by_a_copy_in_callbacks,
    one_for_a_copy_from_another_thread,
    none_for_a_copy_that_is_sent_again,
    one_for_a_vectored_send,
    one_for_a_send_from_a_file,
    none_for_shared_bytes_but_the_send,
    none_for_an_accept,
    none_for_datagrams_in_callbacks,
    none_for_datagrams_from_another_thread,
    one_for_an_async_datagram_from_another_thread,
);

/// Counts the allocations of the threads that have asked for it; those of the test harness do not matter.
struct Counting;

thread_local! {
    static COUNTED_BY: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
}

fn count() {
    if let Some(counter) = COUNTED_BY.get() {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches only a thread's own cell, which needs
// no initialisation and has no destructor, and an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rounds until everything that grows has grown.
const WARM_UP: u64 = 300;
const ROUNDS: u64 = 2_000;

/// What the callbacks of a connected socket do.
#[derive(Clone, Copy, PartialEq)]
enum Play {
    /// Nothing: another thread issues.
    Nothing,
    /// Send what was received back by a sync send, then recv.
    SyncEcho,
    /// Send what was received back by an async send, and recv.
    AsyncEcho,
    /// Send a copy of what was received back, and recv.
    CopiedEcho,
    /// Send what comes back from a send again.
    SendAgain,
}

struct Player {
    play: Play,
    counter: &'static AtomicU64,
    recvs: Arc<Gate>,
    sends: Arc<Gate>,
    farewells: Arc<Gate>,
}

impl Handler for Player {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<()> {
        COUNTED_BY.set(Some(self.counter));
        context.recv().expect("a new socket");
        Some(())
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut (), received: Result<ReadBuffer, Error>) {
        COUNTED_BY.set(Some(self.counter));
        let bytes = received.expect("no recv is cancelled by itself");
        match self.play {
            Play::Nothing | Play::SendAgain => self.recvs.pass(),
            _ if bytes.is_empty() => context.close().expect("a live socket"),
            Play::SyncEcho => context.sync_send(bytes, ()).expect("no other sync send"),
            Play::AsyncEcho => {
                context.send(bytes, ()).expect("a live socket");
                context.recv().expect("a live socket");
            }
            Play::CopiedEcho => {
                context.send_copy(&bytes, ()).expect("a live socket");
                context.recv().expect("a live socket");
            }
        }
    }

    fn datagram(&self, context: &Context<'_, Self>, _: &mut (), received: Result<Datagram, Error>) {
        COUNTED_BY.set(Some(self.counter));
        let Datagram { buffer, sender, .. } = received.expect("no recv is cancelled by itself");
        if self.play == Play::SyncEcho {
            context.sync_send_to(sender, buffer, ()).expect("no other sync send");
        }
        self.recvs.pass();
    }

    fn send(&self, context: &Context<'_, Self>, _: &mut (), sent: Sent<()>) {
        COUNTED_BY.set(Some(self.counter));
        match self.play {
            Play::SyncEcho if sent.result.is_ok() => context.recv().expect("a live socket"),
            // It is refused when the test has ended.
            Play::SendAgain => drop(context.send(sent.buffer, ())),
            _ => {}
        }
        self.sends.pass();
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {
        self.farewells.pass();
    }
}

/// A port of one worker, and its gates.
struct Scene {
    port: Port<Player>,
    counter: &'static AtomicU64,
    recvs: Arc<Gate>,
    sends: Arc<Gate>,
    farewells: Arc<Gate>,
}

impl Scene {
    fn new(lab: &Lab, play: Play) -> Scene {
        let counter: &'static AtomicU64 = forever();
        let gate = || Arc::new(Gate::new());
        let (recvs, sends, farewells) = (gate(), gate(), gate());
        let player = Player { play, counter, recvs: recvs.clone(), sends: sends.clone(), farewells: farewells.clone() };
        let port = Port::new(player, lab.options().threads(1)).expect("a port");
        Scene { port, counter, recvs, sends, farewells }
    }

    fn add(&self, lab: &Lab) -> (SocketHandle, Client) {
        let (socket, client) = lab.pair();
        (self.port.add_connected(socket, ()).expect("a connected socket"), client)
    }

    /// Plays the rounds of the warm-up, then those that are counted; their allocations.
    fn count(&self, mut round: impl FnMut(u64)) -> u64 {
        (1..=WARM_UP).for_each(&mut round);
        let before = self.counter.load(Ordering::Relaxed);
        (WARM_UP + 1..=WARM_UP + ROUNDS).for_each(&mut round);
        self.counter.load(Ordering::Relaxed) - before
    }
}

/// An exchange with a client, on a thread that is not counted.
fn echo(client: &mut Client) {
    client.write_all(b"sixteen bytes...").expect("a live connection");
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += client.read(&mut bytes[filled..]).expect("the echo");
    }
}

fn none_for_recv_and_sync_send_in_callbacks(lab: &Lab) {
    let scene = Scene::new(lab, Play::SyncEcho);
    let (socket, mut client) = scene.add(lab);
    scene.port.recv(socket).expect("a first recv");
    assert_eq!(scene.count(|_| echo(&mut client)), 0);
}

fn one_for_an_async_send_in_callbacks(lab: &Lab) {
    let scene = Scene::new(lab, Play::AsyncEcho);
    let (socket, mut client) = scene.add(lab);
    scene.port.recv(socket).expect("a first recv");
    let allocations = scene.count(|_| echo(&mut client));
    // The last exchange before the count may still be reported in it, hence one more.
    assert!((1..=ROUNDS + 1).contains(&allocations), "{allocations} in {ROUNDS} rounds");
}

fn none_for_recv_and_sync_send_from_another_thread(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, mut client) = scene.add(lab);
    COUNTED_BY.set(Some(scene.counter));
    let allocations = scene.count(|round| {
        scene.port.recv(socket).expect("none is outstanding");
        client.write_all(b"x").expect("a live connection");
        scene.recvs.wait_for("a recv", round);
        scene.port.sync_send(socket, b"y", ()).expect("none is outstanding");
        scene.sends.wait_for("a send", round);
        assert_eq!(client.read(&mut [0]).expect("the byte"), 1);
    });
    COUNTED_BY.set(None);
    assert_eq!(allocations, 0);
}

fn one_for_an_async_send_from_another_thread(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, mut client) = scene.add(lab);
    COUNTED_BY.set(Some(scene.counter));
    let allocations = scene.count(|round| {
        scene.port.send(socket, b"y", ()).expect("a live socket");
        scene.sends.wait_for("a send", round);
        assert_eq!(client.read(&mut [0]).expect("the byte"), 1);
    });
    COUNTED_BY.set(None);
    assert!((1..=ROUNDS).contains(&allocations), "{allocations} for {ROUNDS} sends");
}

fn one_for_an_answer_by_a_copy_in_callbacks(lab: &Lab) {
    let scene = Scene::new(lab, Play::CopiedEcho);
    let (socket, mut client) = scene.add(lab);
    scene.port.recv(socket).expect("a first recv");
    let allocations = scene.count(|_| echo(&mut client));
    // As above: the bytes are in the send's own block.
    assert!((1..=ROUNDS + 1).contains(&allocations), "{allocations} in {ROUNDS} rounds");
}

fn one_for_a_copy_from_another_thread(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, mut client) = scene.add(lab);
    COUNTED_BY.set(Some(scene.counter));
    let allocations = scene.count(|round| {
        scene.port.send_copy(socket, &[7; 64], ()).expect("a live socket");
        scene.sends.wait_for("a send", round);
        assert_eq!(client.read(&mut [0; 64]).expect("the bytes"), 64);
    });
    COUNTED_BY.set(None);
    assert_eq!(allocations, ROUNDS);
}

fn one_for_a_vectored_send(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, mut client) = scene.add(lab);
    COUNTED_BY.set(Some(scene.counter));
    let allocations = scene.count(|round| {
        scene.port.send_vectored(socket, [SendBuffer::from(b"head"), b"body".into()], ()).expect("a live socket");
        scene.sends.wait_for("a send", round);
        assert_eq!(client.read(&mut [0; 8]).expect("the bytes"), 8);
    });
    COUNTED_BY.set(None);
    assert_eq!(allocations, ROUNDS);
}

fn one_for_a_send_from_a_file(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, mut client) = scene.add(lab);
    let file = Arc::new(TestFile::new(64).open());
    COUNTED_BY.set(Some(scene.counter));
    let allocations = scene.count(|round| {
        scene.port.send_file(socket, file.clone(), 8..16, ()).map_err(|refused| refused.error).expect("a live socket");
        scene.sends.wait_for("a send", round);
        assert_eq!(client.read(&mut [0; 8]).expect("the bytes"), 8);
    });
    COUNTED_BY.set(None);
    assert_eq!(allocations, ROUNDS);
}

/// The owner of a send's bytes.
struct Owner(Arc<[u8]>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn none_for_shared_bytes_but_the_send(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, mut client) = scene.add(lab);
    let shared: Arc<[u8]> = Arc::from(&b"shared.."[..]);
    COUNTED_BY.set(Some(scene.counter));
    let allocations = scene.count(|round| {
        let buffer = match round % 2 {
            0 => SendBuffer::from(shared.clone()),
            _ => SendBuffer::from_owner(Owner(shared.clone())).ok().expect("memory"),
        };
        scene.port.send(socket, buffer, ()).expect("a live socket");
        scene.sends.wait_for("a send", round);
        assert_eq!(client.read(&mut [0; 8]).expect("the bytes"), 8);
    });
    COUNTED_BY.set(None);
    assert_eq!(allocations, ROUNDS, "one block a send, with the owner in it");
}

fn none_for_a_copy_that_is_sent_again(lab: &Lab) {
    let scene = Scene::new(lab, Play::SendAgain);
    let (socket, mut client) = scene.add(lab);
    scene.port.send_copy(socket, b"z", ()).expect("a live socket");
    let allocations = scene.count(|round| {
        scene.sends.wait_for("a send", round);
        assert!(client.read(&mut [0; 64]).expect("some") > 0);
    });
    assert_eq!(allocations, 0);
}

fn none_for_an_accept(lab: &Lab) {
    let scene = Scene::new(lab, Play::SyncEcho);
    let (listener, address) = lab.listen();
    scene.port.add_listener(listener, 4, ()).expect("a listener");
    let allocations = scene.count(|round| {
        let mut client = lab.connect(address);
        echo(&mut client);
        client.reset();
        scene.farewells.wait_for("a farewell", round);
    });
    assert_eq!(allocations, 0);
}

/// A datagram socket of a scene, and the one that it speaks to.
fn add_datagram(scene: &Scene, lab: &Lab) -> (SocketHandle, SocketAddr, Correspondent) {
    let (socket, address) = lab.datagram_socket(None);
    (scene.port.add_datagram(socket, ()).expect("a datagram socket"), address, lab.correspondent())
}

fn none_for_datagrams_in_callbacks(lab: &Lab) {
    let scene = Scene::new(lab, Play::SyncEcho);
    let (socket, address, correspondent) = add_datagram(&scene, lab);
    scene.port.recv(socket).expect("a first recv");
    let allocations = scene.count(|_| {
        correspondent.send_to(b"sixteen bytes...", address);
        assert_eq!(correspondent.receive().0.len(), 16);
    });
    assert_eq!(allocations, 0);
}

fn none_for_datagrams_from_another_thread(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, address, correspondent) = add_datagram(&scene, lab);
    // What the other side allocates is its own.
    let counted = |call: &dyn Fn()| {
        COUNTED_BY.set(Some(scene.counter));
        call();
        COUNTED_BY.set(None);
    };
    let allocations = scene.count(|round| {
        counted(&|| scene.port.recv(socket).expect("none is outstanding"));
        correspondent.send_to(b"x", address);
        scene.recvs.wait_for("a recv", round);
        let to = correspondent.address();
        counted(&|| scene.port.sync_send_to(socket, to, b"y", ()).expect("none is outstanding"));
        scene.sends.wait_for("a send", round);
        assert_eq!(correspondent.receive().0, b"y");
    });
    assert_eq!(allocations, 0);
}

fn one_for_an_async_datagram_from_another_thread(lab: &Lab) {
    let scene = Scene::new(lab, Play::Nothing);
    let (socket, _, correspondent) = add_datagram(&scene, lab);
    let to = correspondent.address();
    let allocations = scene.count(|round| {
        COUNTED_BY.set(Some(scene.counter));
        scene.port.send_to(socket, to, b"y", ()).expect("a live socket");
        COUNTED_BY.set(None);
        scene.sends.wait_for("a send", round);
        assert_eq!(correspondent.receive().0, b"y");
    });
    assert_eq!(allocations, ROUNDS, "one block a send, with the address in it");
}
