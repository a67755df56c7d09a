//! Sends from several threads and from callbacks at once: one whose issue call has returned is never overtaken by one
//! issued later, wherever the later one is issued.

use socket_iocp::{Context, Error, ErrorCode, Farewell, Handler, Port, ReadBuffer, Sent, SocketHandle};
use socket_iocp_testkit::{BOUND, Lab, on_every_backend};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

on_every_backend!(four_threads_and_callbacks);

const THREADS: u64 = 4;
const SENDS_PER_THREAD: u64 = 3_000;
/// Each send of the callbacks' chain issues the next one, so many in all.
const CHAIN: u64 = 3_000;
const TOTAL: u64 = THREADS * SENDS_PER_THREAD + CHAIN;
/// A record on the wire: the send's number, eight bytes.
const RECORD_BYTES: usize = 8;

/// When an issue call was made and when it had returned, by a clock that all threads share.
#[derive(Clone, Copy)]
struct Span {
    begun: u64,
    returned: u64,
}

/// The clock, and the spans of the accepted sends by their number.
#[derive(Default)]
struct Book {
    clock: AtomicU64,
    next: AtomicU64,
    spans: Mutex<HashMap<u64, Span>>,
}

impl Book {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Issues one send, a sync one if `sync` and none is outstanding, and writes its span down.
    fn issue(&self, port: &socket_iocp::PortHandle<Chain>, socket: SocketHandle, sync: bool, chained: bool) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let write = Write { number, chained };
        let bytes = number.to_le_bytes().to_vec();
        let mut begun = self.tick();
        let mut issued = if sync { port.sync_send(socket, bytes, write) } else { port.send(socket, bytes, write) };
        if let Err(busy) = issued {
            assert_eq!(busy.error.code(), ErrorCode::Busy);
            begun = self.tick();
            issued = port.send(socket, busy.buffer, busy.write);
        }
        let returned = self.tick();
        issued.expect("a live socket");
        self.spans.lock().expect("no panic").insert(number, Span { begun, returned });
    }
}

#[derive(Debug)]
struct Write {
    number: u64,
    /// Its callback issues the next of the chain.
    chained: bool,
}

struct Chain {
    book: Arc<Book>,
    left: AtomicU64,
    reported: Sender<u64>,
}

impl Handler for Chain {
    type Listener = ();
    type Socket = ();
    type Write = Write;

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        unreachable!("nobody listens")
    }

    fn recv(&self, _: &Context<'_, Self>, _: &mut (), _: Result<ReadBuffer, Error>) {}

    fn send(&self, context: &Context<'_, Self>, _: &mut (), sent: Sent<Write>) {
        sent.result.expect("the peer reads");
        if sent.write.chained {
            let left = self.left.fetch_sub(1, Ordering::Relaxed);
            if left > 1 {
                self.book.issue(context.port(), context.handle(), left.is_multiple_of(3), true);
            }
        }
        self.reported.send(sent.write.number).expect("the test waits");
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

fn four_threads_and_callbacks(lab: &Lab) {
    let book = Arc::new(Book::default());
    let (reported, reports) = mpsc::channel();
    let chain = Chain { book: book.clone(), left: AtomicU64::new(CHAIN), reported };
    let port = Port::new(chain, lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, ()).expect("a connected socket");
    let mut on_the_wire: Vec<u64> = Vec::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (book, port) = (&book, &port);
            scope.spawn(move || {
                for at in 0..SENDS_PER_THREAD {
                    book.issue(port, socket, (thread + at).is_multiple_of(4), false);
                }
            });
        }
        book.issue(&port, socket, false, true);
        for _ in 0..TOTAL {
            let record = client.read_exact(RECORD_BYTES).expect("a record");
            on_the_wire.push(u64::from_le_bytes(record.try_into().expect("eight bytes")));
        }
    });
    let reported: Vec<u64> = (0..TOTAL).map(|_| reports.recv_timeout(BOUND).expect("a report")).collect();
    assert!(reported == on_the_wire, "the order of the reports is not that of the bytes");
    check(&on_the_wire, &book.spans.lock().expect("no panic"));
}

/// No send stands behind one that was issued after it had returned.
fn check(on_the_wire: &[u64], spans: &HashMap<u64, Span>) {
    assert_eq!(spans.len() as u64, TOTAL);
    let mut latest_begun = 0;
    for (place, number) in on_the_wire.iter().enumerate() {
        let span = spans.get(number).unwrap_or_else(|| panic!("{number} was never sent: bytes are interleaved"));
        assert!(
            span.returned > latest_begun,
            "send {number}, at place {place}, had returned before one in front of it was issued"
        );
        latest_begun = latest_begun.max(span.begun);
    }
}
