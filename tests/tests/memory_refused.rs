//! The library's own allocations are fallible: a refusal is an error of the call, or a wait, and never ends the process.

use socket_iocp::{Context, Error, ErrorCode, Farewell, Handler, Port, ReadBuffer, SendBuffer, Sent, SocketHandle};
use socket_iocp_testkit::{BOUND, Client, Lab, forever, in_own_process, on_every_backend, platform};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

// Not on the simulated network, which allocates on the worker's thread as no system does.
on_every_backend!(
    real: an_async_send_gives_everything_back,
    sends_with_a_block_of_their_own_give_everything_back,
    a_datagram_gives_everything_back,
    an_added_socket_comes_back,
    an_added_datagram_socket_comes_back,
    a_listener_comes_back,
    a_connect_to_a_host_is_refused,
    a_worker_without_memory_serves_on,
    a_recv_waits_for_a_buffer_and_resumes,
    a_listener_backs_off_for_want_of_a_place,
    a_listener_backs_off_for_want_of_table_space,
);

/// Refuses memory to the threads that have asked for it.
struct Refusing;

thread_local! {
    static REFUSED_BY: Cell<Option<&'static AtomicBool>> = const { Cell::new(None) };
}

fn refused() -> bool {
    REFUSED_BY.get().is_some_and(|flag| flag.load(Ordering::SeqCst))
}

// SAFETY: every call that is not refused is passed on to the system's allocator as it is, and a refusal is a null pointer.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        if refused() { ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        if refused() { ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        if refused() { ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

/// Runs a call of this thread's with no memory to be had.
fn without_memory<R>(call: impl FnOnce() -> R) -> R {
    let flag: &'static AtomicBool = forever();
    flag.store(true, Ordering::Relaxed);
    REFUSED_BY.set(Some(flag));
    let answer = call();
    REFUSED_BY.set(None);
    answer
}

/// Echoes by sync sends, or keeps what it receives; its worker's memory is refused when `refuse` says so.
struct Poor {
    refuse: &'static AtomicBool,
    keep: bool,
    kept: Mutex<Sender<ReadBuffer>>,
    /// What an async send in a callback answered.
    answers: Mutex<Sender<Option<ErrorCode>>>,
}

impl Handler for Poor {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Self>, _: &()) -> Option<()> {
        REFUSED_BY.set(Some(self.refuse));
        context.recv().expect("a new socket");
        Some(())
    }

    fn recv(&self, context: &Context<'_, Self>, _: &mut (), received: Result<ReadBuffer, Error>) {
        REFUSED_BY.set(Some(self.refuse));
        let bytes = received.expect("no recv is cancelled by itself");
        if self.keep {
            context.recv().expect("a live socket");
            // The test's own channel may allocate.
            REFUSED_BY.set(None);
            let _ = self.kept.lock().expect("no panic under this lock").send(bytes);
            REFUSED_BY.set(Some(self.refuse));
            return;
        }
        if bytes.is_empty() {
            return;
        }
        if *bytes == *b"async" {
            let answer = context.send(b"async", ()).err().map(|rejected| rejected.error.code());
            REFUSED_BY.set(None);
            let _ = self.answers.lock().expect("no panic under this lock").send(answer);
            REFUSED_BY.set(Some(self.refuse));
        }
        context.sync_send(bytes, ()).expect("no other sync send");
    }

    fn send(&self, context: &Context<'_, Self>, _: &mut (), _: Sent<()>) {
        // An error is a recv that is outstanding already: of the async send.
        let _ = context.recv();
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

struct Scene {
    port: Port<Poor>,
    refuse: &'static AtomicBool,
    kept: Receiver<ReadBuffer>,
    answers: Receiver<Option<ErrorCode>>,
}

impl Scene {
    fn new(lab: &Lab, keep: bool) -> Scene {
        let refuse: &'static AtomicBool = forever();
        let (kept, kept_receiver) = mpsc::channel();
        let (answers, answers_receiver) = mpsc::channel();
        let poor = Poor { refuse, keep, kept: Mutex::new(kept), answers: Mutex::new(answers) };
        let port = Port::new(poor, lab.options().threads(1)).expect("a port");
        Scene { port, refuse, kept: kept_receiver, answers: answers_receiver }
    }

    /// A socket that has been served once, with its recv outstanding: what grows has grown.
    fn served(&self, lab: &Lab) -> (SocketHandle, Client) {
        let (socket, mut client) = lab.pair();
        let socket = self.port.add_connected(socket, ()).expect("a connected socket");
        self.port.recv(socket).expect("a first recv");
        if !self.port.handler().keep {
            echo(&mut client);
        }
        (socket, client)
    }

    fn refuse(&self, refuse: bool) {
        self.refuse.store(refuse, Ordering::SeqCst);
    }
}

fn echo(client: &mut Client) {
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
}

fn an_async_send_gives_everything_back(lab: &Lab) {
    let scene = Scene::new(lab, false);
    let (socket, mut client) = lab.pair();
    let socket = scene.port.add_connected(socket, ()).expect("a connected socket");
    let bytes = vec![1, 2, 3];
    let place = bytes.as_ptr();
    let rejected = without_memory(|| scene.port.send(socket, bytes, ())).expect_err("it needs a block");
    assert_eq!(rejected.error.code(), ErrorCode::NoMemory);
    let bytes = rejected.buffer.into_vec().expect("the vector given");
    assert_eq!(bytes.as_ptr(), place);
    // A sync send needs none.
    without_memory(|| scene.port.sync_send(socket, bytes, ())).expect("none is outstanding");
    assert_eq!(client.read_exact(3).expect("the bytes"), [1, 2, 3]);
    scene.port.send(socket, b"x", ()).expect("there is memory again");
    assert_eq!(client.read_exact(1).expect("the byte"), b"x");
}

fn sends_with_a_block_of_their_own_give_everything_back(lab: &Lab) {
    let scene = Scene::new(lab, false);
    let (socket, mut client) = lab.pair();
    let socket = scene.port.add_connected(socket, ()).expect("a connected socket");
    let rejected = without_memory(|| scene.port.send_copy(socket, b"copy", ())).expect_err("it needs a block");
    assert_eq!(rejected.error.code(), ErrorCode::NoMemory);
    let parts = [SendBuffer::from(vec![1, 2]), vec![3].into()];
    let rejected = without_memory(|| scene.port.send_vectored(socket, parts, ())).expect_err("it needs a block");
    assert_eq!(rejected.error.code(), ErrorCode::NoMemory);
    assert_eq!(rejected.buffer.each_ref().map(SendBuffer::as_slice), [Some(&[1, 2][..]), Some(&[3])]);
    scene.port.send_vectored(socket, rejected.buffer, ()).expect("there is memory again");
    assert_eq!(client.read_exact(3).expect("the bytes"), [1, 2, 3]);
}

fn a_datagram_gives_everything_back(lab: &Lab) {
    let scene = Scene::new(lab, false);
    let correspondent = lab.correspondent();
    let socket = scene.port.add_datagram(lab.datagram_socket(None).0, ()).expect("a datagram socket");
    let (to, bytes) = (correspondent.address(), vec![1, 2, 3]);
    let rejected = without_memory(|| scene.port.send_to(socket, to, bytes, ())).expect_err("it needs a block");
    assert_eq!(rejected.error.code(), ErrorCode::NoMemory);
    let bytes = rejected.buffer.into_vec().expect("the vector given");
    // A sync send needs none.
    without_memory(|| scene.port.sync_send_to(socket, to, bytes, ())).expect("none is outstanding");
    assert_eq!(correspondent.receive().0, [1, 2, 3]);
}

/// It needs memory of its own, whoever has left its slot.
fn an_added_datagram_socket_comes_back(lab: &Lab) {
    let scene = Scene::new(lab, false);
    // The slot and its place in the table are there after the first.
    scene.port.add_datagram(lab.datagram_socket(None).0, ()).expect("a datagram socket");
    let (socket, address) = lab.datagram_socket(None);
    let refused = without_memory(|| scene.port.add_datagram(socket, ())).expect_err("it needs blocks");
    assert_eq!(refused.error.code(), ErrorCode::NoMemory);
    let socket = scene.port.add_datagram(refused.socket, ()).expect("there is memory again");
    let correspondent = lab.correspondent();
    scene.port.sync_send_to(socket, correspondent.address(), b"hello", ()).expect("a live socket");
    assert_eq!(correspondent.receive(), (b"hello".to_vec(), address));
}

fn a_connect_to_a_host_is_refused(lab: &Lab) {
    let scene = Scene::new(lab, false);
    let far = lab.far();
    let (host, number) = (far.address().ip().to_string(), far.address().port());
    let refused =
        without_memory(|| scene.port.connect_host(&host, number, ())).expect_err("nothing is known of it yet");
    assert_eq!(refused.error.code(), ErrorCode::NoMemory);
    let socket = scene.port.connect_host(&host, number, ()).expect("there is memory again");
    scene.port.send(socket, &b"hello"[..], ()).expect("a socket that is being connected");
    assert_eq!(far.accept().read_exact(5).expect("the send"), b"hello");
}

fn an_added_socket_comes_back(lab: &Lab) {
    let scene = Scene::new(lab, false);
    // The port's first socket needs a place; one that another test's port has left may serve, so take what there is.
    let mut clients = Vec::new();
    let refused = loop {
        let (socket, client) = lab.pair();
        match without_memory(|| scene.port.add_connected(socket, ())) {
            Ok(_) => clients.push(client),
            Err(refused) => break (refused, client),
        }
        assert!(clients.len() < 5_000, "5,000 sockets with no memory");
    };
    let (refused, mut client) = refused;
    assert_eq!(refused.error.code(), ErrorCode::NoMemory);
    let socket = scene.port.add_connected(refused.socket, ()).expect("there is memory again");
    scene.port.recv(socket).expect("a first recv");
    echo(&mut client);
}

fn a_worker_without_memory_serves_on(lab: &Lab) {
    let scene = Scene::new(lab, false);
    let (_socket, mut client) = scene.served(lab);
    scene.refuse(true);
    for _ in 0..100 {
        echo(&mut client);
    }
    client.write_all(b"async").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"async");
    assert_eq!(scene.answers.recv_timeout(BOUND), Ok(Some(ErrorCode::NoMemory)));
    scene.refuse(false);
    client.write_all(b"async").expect("a live connection");
    assert_eq!(client.read_exact(10).expect("both sends"), b"asyncasync");
    assert_eq!(scene.answers.recv_timeout(BOUND), Ok(None));
}

fn a_recv_waits_for_a_buffer_and_resumes(lab: &Lab) {
    let scene = Scene::new(lab, true);
    let (_socket, mut client) = scene.served(lab);
    client.write_all(b"0").expect("a live connection");
    let first = scene.kept.recv_timeout(BOUND).expect("a recv");
    assert_eq!(*first, *b"0");
    scene.refuse(true);
    // The handler keeps every buffer until there are no more: the recv waits, as the counter shows.
    let mut kept = vec![first];
    let mut sent = 1u32;
    while scene.port.statistics().buffer_shortages == 0 {
        if let Ok(buffer) = scene.kept.try_recv() {
            kept.push(buffer);
        }
        let brought: usize = kept.iter().map(|buffer| buffer.len()).sum();
        if brought as u32 == sent {
            client.write_all(b"1").expect("a live connection");
            sent += 1;
        }
        assert!(sent < 100_000, "buffers without memory");
        thread::yield_now();
    }
    // It goes on when there is memory, and nothing is lost.
    scene.refuse(false);
    let mut brought: usize = kept.iter().map(|buffer| buffer.len()).sum();
    while brought < sent as usize {
        brought += scene.kept.recv_timeout(BOUND).expect("the recv that waited").len();
    }
    assert_eq!(brought, sent as usize);
}

fn a_listener_backs_off_for_want_of_a_place(lab: &Lab) {
    // A process of its own: another test's port would leave its places to this one.
    in_own_process("a_listener_backs_off_for_want_of_a_place", lab, back_off_and_resume);
}

fn a_listener_backs_off_for_want_of_table_space(lab: &Lab) {
    in_own_process("a_listener_backs_off_for_want_of_table_space", lab, |lab| {
        // The numbers of the connections reach a part of the table that is not made yet, long before places run out.
        let low_numbers: Vec<File> = (0..960).map(|_| platform::null_device()).collect();
        back_off_and_resume(lab);
        drop(low_numbers);
    });
}

fn back_off_and_resume(lab: &Lab) {
    let scene = Scene::new(lab, false);
    let (listener, address) = lab.listen();
    scene.port.add_listener(listener, 2, ()).expect("a listener");
    let mut clients = vec![lab.connect(address)];
    echo(&mut clients[0]);
    // The worker has served another one since: the next recv of the first is with the system, and has its buffer where the
    // system wants it beforehand.
    let _served = scene.served(lab);
    scene.refuse(true);
    // Connections come until one needs memory: the listener backs off, as the counter shows.
    let statistics = || scene.port.statistics();
    while statistics().accept_backoffs == 0 {
        let before = statistics().accepts;
        clients.push(lab.connect(address));
        let end = Instant::now() + BOUND;
        while statistics().accept_backoffs == 0 && statistics().accepts == before {
            assert!(Instant::now() < end, "neither accepted nor put off: {:?}", statistics());
            thread::yield_now();
        }
        assert!(clients.len() < 450, "450 sockets with no memory");
    }
    // The others are served meanwhile.
    echo(&mut clients[0]);
    // Whether the connection that found no place was dropped or waits is not promised; the next is accepted in any case.
    scene.refuse(false);
    echo(&mut lab.connect(address));
}

fn a_listener_comes_back(lab: &Lab) {
    let scene = Scene::new(lab, false);
    let (listener, address) = lab.listen();
    let refused = without_memory(|| scene.port.add_listener(listener, 4, ())).expect_err("it needs memory");
    assert_eq!(refused.error.code(), ErrorCode::NoMemory);
    scene.port.add_listener(refused.socket, 4, ()).expect("there is memory again");
    echo(&mut lab.connect(address));
}
