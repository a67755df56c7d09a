//! A send from a file is a send like the others: in its turn, whole, never interleaved, one completion; refused, it gives its file
//! back. How one ends that does not go to its end is in `file_sends_ended.rs`.

use socket_iocp::{ErrorCode, Handler, Port, PortHandle, SendBuffer, SocketHandle};
use socket_iocp_testkit::{
    BOUND, Client, Completion, Event, GivesBack, Lab, Probe, TestFile, on_every_backend, platform,
};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::RangeBounds;
use std::sync::Arc;
use std::thread;

on_every_backend!(
    all_of_a_file_arrives,
    ranges_go_in_their_turn_among_other_sends,
    a_range_of_nothing_is_done_in_its_turn,
    many_sockets_send_of_one_file,
    threads_do_not_come_between,
    a_large_file_holds_up_nobody,
    a_recv_goes_on_meanwhile,
    what_is_no_file_is_refused_and_comes_back,
    what_is_refused_comes_back,
    the_file_comes_back,
    it_counts_as_what_is_in_memory,
);

/// Several times what a backend reads at once, and no multiple of it.
pub(super) const MEDIUM_BYTES: usize = 300_007;
/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

pub(super) fn added<H: Handler<Socket = S>, S>(lab: &Lab, port: &PortHandle<H>, state: S) -> (SocketHandle, Client) {
    let (socket, client) = lab.pair();
    (port.add_connected(socket, state).map_err(|refused| refused.error).expect("a connected socket"), client)
}

/// A port, a socket in it, and its client.
pub(super) fn connected(lab: &Lab) -> (Port<Probe>, SocketHandle, Client) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, client) = added(lab, &port, 1);
    (port, socket, client)
}

pub(super) fn send_file(
    port: &PortHandle<Probe>,
    socket: SocketHandle,
    file: File,
    range: impl RangeBounds<u64>,
    write: u64,
) {
    port.send_file(socket, file, range, write).map_err(|rejected| rejected.error).expect("a live socket");
}

fn all_of_a_file_arrives(lab: &Lab) {
    let (port, socket, mut client) = connected(lab);
    for (write, len) in [1, 4096, 65_535, 65_536, 65_537, MEDIUM_BYTES, LARGE_BYTES].into_iter().enumerate() {
        let content = TestFile::new(len);
        let mut file = content.open();
        // Where the file stands does not matter.
        file.seek(SeekFrom::Start(len as u64 / 2)).expect("a place in it");
        send_file(&port, socket, file, .., write as u64);
        TestFile::read_by(&mut client, 0, len);
        assert_eq!(port.handler().wait_for_sends(write + 1)[write], (write as u64, None, len));
    }
}

fn ranges_go_in_their_turn_among_other_sends(lab: &Lab) {
    let content = TestFile::new(MEDIUM_BYTES);
    let (port, socket, mut client) = connected(lab);
    let mut expected = Vec::new();
    for write in 0..50 {
        let (start, len) = (write as usize * 3001, write as usize * 2003);
        let text = format!("before {write} ");
        match write % 3 {
            0 => port.send(socket, text.clone(), 1000 + write).expect("a live socket"),
            1 => port.send_copy(socket, text.as_bytes(), 1000 + write).expect("a live socket"),
            _ => {
                let parts = [SendBuffer::from("before "), format!("{write} ").into()];
                port.send_vectored(socket, parts, 1000 + write)
                    .map_err(|refused| refused.error)
                    .expect("a live socket");
            }
        }
        send_file(&port, socket, content.open(), start as u64..(start + len) as u64, write);
        expected.push((text, start, len));
    }
    for (text, start, len) in &expected {
        assert_eq!(client.read_exact(text.len()).expect("the bytes"), text.as_bytes());
        TestFile::read_by(&mut client, *start, *len);
    }
    let reports: Vec<Completion> = (0..)
        .zip(&expected)
        .flat_map(|(write, (text, _, len))| [(1000 + write, None, text.len()), (write, None, *len)])
        .collect();
    assert_eq!(port.handler().wait_for_sends(100), reports);
}

fn a_range_of_nothing_is_done_in_its_turn(lab: &Lab) {
    let content = TestFile::new(10);
    let (port, socket, mut client) = connected(lab);
    send_file(&port, socket, content.open(), 4..4, 1);
    port.send(socket, b"a", 2).expect("a live socket");
    send_file(&port, socket, content.open(), 10.., 3);
    send_file(&port, socket, content.open(), 1_000.., 4);
    send_file(&port, socket, content.open(), ..=0, 5);
    assert_eq!(client.read_exact(2).expect("the bytes"), [b'a', TestFile::byte_at(0)]);
    let reports = [(1, None, 0), (2, None, 1), (3, None, 0), (4, None, 0), (5, None, 1)];
    assert_eq!(port.handler().wait_for_sends(5), reports);
}

fn many_sockets_send_of_one_file(lab: &Lab) {
    // More at once than a worker has chunks of memory.
    const SOCKETS: usize = 200;
    let content = TestFile::new(MEDIUM_BYTES);
    let file = Arc::new(content.open());
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let mut ends: Vec<_> = (0..SOCKETS).map(|at| added(lab, &port, at as u64)).collect();
    for (at, (socket, _)) in ends.iter().enumerate() {
        port.send_file(*socket, file.clone(), at as u64.., at as u64)
            .map_err(|refused| refused.error)
            .expect("a live socket");
    }
    for (at, (_, client)) in ends.iter_mut().enumerate() {
        TestFile::read_by(client, at, MEDIUM_BYTES - at);
    }
    let mut reports = port.handler().wait_for_sends(SOCKETS);
    reports.sort_unstable_by_key(|(write, ..)| *write);
    let expected: Vec<Completion> = (0..SOCKETS).map(|at| (at as u64, None, MEDIUM_BYTES - at)).collect();
    assert_eq!(reports, expected);
    port.delete();
    assert_eq!(Arc::strong_count(&file), 1, "the library has let go of it");
}

fn threads_do_not_come_between(lab: &Lab) {
    const THREADS: usize = 4;
    const SENDS: usize = 100;
    let content = TestFile::new(256 * 256);
    let file = Arc::new(content.open());
    let (port, socket, mut client) = connected(lab);
    // Each send is the number of its thread in a way that tells: a range that begins at it and is as long.
    let issuers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (port, file, start) = (PortHandle::clone(&port), file.clone(), 10 * (thread as u64 + 1));
            thread::spawn(move || {
                for _ in 0..SENDS {
                    port.send_file(socket, file.clone(), start..2 * start, start)
                        .map_err(|r| r.error)
                        .expect("a socket");
                }
            })
        })
        .collect();
    for _ in 0..THREADS * SENDS {
        let start = usize::from(client.read_exact(1).expect("the first byte")[0]);
        TestFile::read_by(&mut client, start + 1, start - 1);
    }
    issuers.into_iter().for_each(|issuer| issuer.join().expect("every send is accepted"));
    port.handler().wait_for_sends(THREADS * SENDS);
}

fn a_large_file_holds_up_nobody(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let port = Port::new(Probe::echo(), lab.options().threads(1)).expect("a port");
    let (greedy, mut reader) = added(lab, &port, 1);
    let (quiet, mut client) = added(lab, &port, 2);
    port.recv(quiet).expect("a live socket");
    for write in 0..2 {
        send_file(&port, greedy, content.open(), .., write);
    }
    let reading = thread::spawn(move || {
        let mut left = 2 * LARGE_BYTES;
        let mut part = vec![0; 1 << 20];
        while left > 0 {
            left -= reader.read(&mut part).expect("a live connection");
        }
    });
    // It is served while the file goes: all of its words long before the last of the file's bytes.
    for word in 0..20_u8 {
        client.write_all(&[word]).expect("a live connection");
        assert_eq!(client.read_exact(1).expect("an answer"), [word]);
    }
    reading.join().expect("all of it");
    // Its own reports, and the echoes'.
    port.handler().wait_for_sends(22);
}

fn a_recv_goes_on_meanwhile(lab: &Lab) {
    let content = TestFile::new(LARGE_BYTES);
    let port = Port::new(Probe::reader(), lab.options().threads(1)).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    for write in 0..2 {
        send_file(&port, socket, content.open(), .., write);
    }
    port.recv(socket).expect("a live socket");
    for turn in 0..16 {
        TestFile::read_by(&mut client, turn % 8 * (LARGE_BYTES / 8), LARGE_BYTES / 8);
        client.write_all(&[turn as u8; 1000]).expect("a live connection");
        // What was said before the file has gone is received before it has.
        port.handler().wait_for_bytes(socket, 1000 * (turn + 1));
    }
    assert_eq!(port.handler().wait_for_sends(2), [0, 1].map(|write| (write, None, LARGE_BYTES)));
}

fn what_is_no_file_is_refused_and_comes_back(lab: &Lab) {
    let (port, socket, mut client) = connected(lab);
    let refuse = |file: File, range: (u64, u64)| {
        let rejected = port.send_file(socket, file, range.0..range.1, 7).expect_err("a refusal");
        assert_eq!((rejected.error.code(), rejected.write), (ErrorCode::InvalidArgument, 7));
        rejected.buffer.into_file().expect("the file given")
    };
    // What Windows says of its own is another code.
    if cfg!(unix) {
        refuse(platform::null_device(), (0, 1));
    }
    let content = TestFile::new(10);
    let file = refuse(content.open(), (5, 4));
    let file = refuse(file, (0, 1 << 63));
    // Not as one of several.
    let buffer = SendBuffer::from_file(file, ..).map_err(|(error, _)| error).expect("a file");
    let nested = port.send_vectored(socket, [b"x".into(), buffer], 8).expect_err("a file among buffers");
    assert_eq!(nested.error.code(), ErrorCode::InvalidArgument);
    let [_, buffer] = nested.buffer;
    port.send(socket, buffer, 9).expect("a live socket");
    TestFile::read_by(&mut client, 0, 10);
    assert_eq!(port.handler().wait_for_sends(1), [(9, None, 10)]);
}

fn what_is_refused_comes_back(lab: &Lab) {
    let content = TestFile::new(10);
    let port = Port::new(Probe::silent(), lab.options().max_queued_sends(1)).expect("a port");
    let (socket, _client) = added(lab, &port, 1);
    port.send(socket, vec![7; LARGE_BYTES], 1).expect("the first");
    let file = Arc::new(content.open());
    let refuse = |code| {
        let rejected = port.send_file(socket, file.clone(), .., 42).expect_err("a refusal");
        assert_eq!((rejected.error.code(), rejected.write), (code, 42));
        assert!(rejected.buffer.into_shared().is_ok_and(|back| Arc::ptr_eq(&back, &file)));
    };
    refuse(ErrorCode::QueueFull);
    port.shutdown_send(socket).expect("a live socket");
    refuse(ErrorCode::Shutdown);
    port.abort(socket).expect("a live socket");
    port.handler().wait_for_farewell(socket).expect_err("an abort");
    refuse(ErrorCode::Closed);
    assert_eq!(Arc::strong_count(&file), 1);
}

fn the_file_comes_back(lab: &Lab) {
    let content = TestFile::new(100);
    let (handler, given_back) = GivesBack::new();
    let port = Port::new(handler, lab.options()).expect("a port");
    let (socket, mut client) = added(lab, &port, ());
    let next = || given_back.recv_timeout(BOUND).expect("a report");
    port.send_file(socket, content.open(), 10..30, ()).map_err(|refused| refused.error).expect("a live socket");
    TestFile::read_by(&mut client, 10, 20);
    let (buffer, result) = next();
    assert_eq!((buffer.len(), buffer.is_file(), buffer.as_slice(), result), (20, true, None, Ok(())));
    assert_eq!(buffer.slices().count(), 0, "its bytes are in the file");
    // As it is it can be sent again, as a sync send too.
    port.sync_send(socket, buffer, ()).map_err(|refused| refused.error).expect("none is outstanding");
    TestFile::read_by(&mut client, 10, 20);
    let file = next().0.into_file().expect("a file").into_file().expect("its own");
    assert_eq!(file.metadata().expect("an open file").len(), 100);
    // And from a socket that has ended.
    port.send(socket, vec![7; LARGE_BYTES], ()).expect("a live socket");
    port.send_file(socket, file, .., ()).map_err(|refused| refused.error).expect("a live socket");
    port.abort(socket).expect("a live socket");
    let (_, before) = next();
    assert!(before.is_err());
    let (buffer, result) = next();
    assert_eq!(result.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    assert!(buffer.into_file().is_ok_and(|file| file.into_file().is_ok()));
}

fn it_counts_as_what_is_in_memory(lab: &Lab) {
    let content = TestFile::new(MEDIUM_BYTES);
    let file = Arc::new(content.open());
    let options = lab.options().max_queued_bytes(2 * 65_536 + 9).high_watermark(65_540).low_watermark(9);
    let port = Port::new(Probe::silent(), options.max_port_queued_bytes(1 << 20)).expect("a port");
    let (socket, mut client) = added(lab, &port, 1);
    // The one that the others wait for counts nothing.
    port.sync_send(socket, vec![7; LARGE_BYTES], 0).expect("the first");
    let issue = |range: std::ops::Range<u64>, write| port.send_file(socket, file.clone(), range, write);
    issue(0..9, 1).map_err(|refused| refused.error).expect("its length counts");
    assert_eq!(port.queued_bytes(socket), Ok(9));
    issue(0..MEDIUM_BYTES as u64, 2).map_err(|refused| refused.error).expect("what is in memory counts");
    assert_eq!(port.queued_bytes(socket), Ok(9 + 65_536));
    issue(0..MEDIUM_BYTES as u64, 3).map_err(|refused| refused.error).expect("just the limit");
    assert_eq!(issue(0..1, 4).map_err(|refused| refused.error.code()), Err(ErrorCode::QueueFull));
    client.read_exact(LARGE_BYTES + 9 + 2 * MEDIUM_BYTES).expect("all of it");
    port.handler().wait_for_sends(4);
    port.handler().wait_for_count("both marks", 2, |event| matches!(event, Event::Watermark { .. }));
    assert_eq!(port.queued_bytes(socket), Ok(0));
}
