//! Every work of every server of our own, each byte looked at.

use crate::works::{MEMBER_MESSAGE_BYTES, Outcome, REQUEST_BYTES, SOURCE_PERIOD, Service, Serving, WAKE_BYTES};
use crate::{own, yardstick};
use socket_iocp::BackendKind;
use std::io::{PipeWriter, Read, Write, pipe};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// After which a test fails that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Own,
    Yardstick,
}

/// A server in this process.
struct Running {
    addresses: Vec<SocketAddr>,
    end: PipeWriter,
    thread: JoinHandle<Outcome>,
}

impl Running {
    fn start(by: By, kind: BackendKind, serving: Serving) -> Running {
        let (end_read, end) = pipe().expect("a pipe");
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let ready = |addresses: &[SocketAddr]| {
                tell.send(addresses.to_vec()).expect("the test listens");
                Ok(())
            };
            match by {
                By::Own => own::serve_until(end_read.as_fd(), kind, serving, ready),
                By::Yardstick => yardstick::serve_until(end_read.as_fd(), kind, serving, ready),
            }
            .expect("it serves")
        });
        let addresses = told.recv_timeout(PATIENCE).expect("addresses");
        Running { addresses, end, thread }
    }

    fn connect(&self) -> TcpStream {
        connect(self.addresses[0])
    }

    fn finish(mut self) {
        // What is not the end does not end it.
        self.end.write_all(b"?").expect("it reads");
        drop(self.end);
        let outcome = self.thread.join().expect("no panic");
        assert!(outcome.waits > 0 && outcome.completions > 0, "{outcome:?}");
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("a listener");
    client.set_read_timeout(Some(PATIENCE)).expect("a limit");
    client.set_write_timeout(Some(PATIENCE)).expect("a limit");
    client
}

/// Runs a test against a server of each kind that has the service, with one thread and with two where there can be two.
fn on_each(service: Service, read_buffer: usize, test: impl Fn(&Running)) {
    for kind in [BackendKind::IoUring, BackendKind::Readiness] {
        for (by, services, threads) in
            [(By::Own, own::services(), 1), (By::Own, own::services(), 2), (By::Yardstick, yardstick::services(), 1)]
        {
            if services.contains(&service) {
                eprintln!("{} by {by:?}, {}, {threads} threads", service.name(), kind.name());
                let server = Running::start(by, kind, Serving { service, read_buffer, threads });
                test(&server);
                server.finish();
            }
        }
    }
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(31).wrapping_add(seed * 17) >> 3) as u8).collect()
}

fn read(client: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut read = vec![0; len];
    client.read_exact(&mut read).expect("as many bytes");
    read
}

fn assert_closed(client: &mut TcpStream) {
    assert_eq!(client.read(&mut [0]).expect("a FIN"), 0);
}

/// Closes with a reset.
fn reset(client: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("SO_LINGER");
}

/// Sends all of it, in pieces that fit nothing, while as much is read, and then the FIN.
fn exchange(client: &TcpStream, sent: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            sent.chunks(7777).for_each(|piece| (&*client).write_all(piece).expect("a server that reads"));
            client.shutdown(Shutdown::Write).expect("a FIN");
        });
        let mut read = Vec::new();
        (&*client).read_to_end(&mut read).expect("what was sent, and a FIN");
        read
    })
}

fn echoes(server: &Running) {
    let mut clients: Vec<TcpStream> = (0..40).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(&bytes(64, number + round)).expect("a server that reads");
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert!(read(client, 64) == bytes(64, number + round));
        }
        // Others go, with a FIN and with a reset, and others come.
        for client in clients.drain(..10) {
            reset(client);
        }
        clients.extend((0..10).map(|_| server.connect()));
    }
    for mut client in clients {
        client.shutdown(Shutdown::Write).expect("a FIN");
        assert_closed(&mut client);
    }
}

fn echoes_much(server: &Running) {
    let sent = bytes(10 << 20, 1);
    assert!(exchange(&server.connect(), &sent) == sent);
}

#[test]
fn echo() {
    on_each(Service::Echo, 4096, echoes);
}

#[test]
fn echo_of_more_than_any_buffer_holds() {
    on_each(Service::Echo, 4096, echoes_much);
    on_each(Service::Echo, 64 << 10, echoes_much);
}

/// A client that sends a message and the FIN at once is told both by one event.
#[test]
fn echo_of_a_message_that_comes_with_the_fin() {
    on_each(Service::Echo, 4096, |server| {
        for number in 0..20 {
            let mut client = server.connect();
            client.write_all(&bytes(64, number)).expect("a server that reads");
            client.shutdown(Shutdown::Write).expect("a FIN");
            assert!(read(&mut client, 64) == bytes(64, number));
            assert_closed(&mut client);
        }
    });
}

/// A client that reads only when its server can send no more.
#[test]
fn echo_to_a_client_that_does_not_read_for_a_while() {
    on_each(Service::Echo, 64 << 10, |server| {
        let client = server.connect();
        client.set_nonblocking(true).expect("a socket that does not block");
        let piece = bytes(64 << 10, 0);
        let mut sent = 0;
        while let Ok(len) = (&client).write(&piece[sent % piece.len()..]) {
            sent += len;
        }
        echoes(server);
        client.set_nonblocking(false).expect("a socket that blocks");
        client.shutdown(Shutdown::Write).expect("a FIN");
        let mut echo = Vec::new();
        (&client).read_to_end(&mut echo).expect("all of it, and a FIN");
        assert_eq!(echo.len(), sent);
        assert!(echo.chunks(piece.len()).all(|part| part == &piece[..part.len()]));
    });
}

fn answers(server: &Running) {
    // Whole requests and parts of one, which come together with the next.
    let mut client = server.connect();
    let sent = bytes(REQUEST_BYTES * 20, 1);
    let (first, rest) = sent.split_at(REQUEST_BYTES * 3 + 10);
    client.write_all(first).expect("a server that reads");
    assert!(read(&mut client, REQUEST_BYTES * 3) == sent[..REQUEST_BYTES * 3]);
    client.write_all(rest).expect("a server that reads");
    assert!(read(&mut client, REQUEST_BYTES * 17) == sent[REQUEST_BYTES * 3..]);
    // Less than a request is not answered.
    client.write_all(&sent[..REQUEST_BYTES - 1]).expect("a server that reads");
    client.shutdown(Shutdown::Write).expect("a FIN");
    assert_closed(&mut client);

    let sent = bytes(REQUEST_BYTES << 13, 2);
    assert!(exchange(&server.connect(), &sent) == sent);
    reset(server.connect());
}

#[test]
fn answer() {
    on_each(Service::Answer, 4096, answers);
    on_each(Service::Answer, 100, answers);
}

#[test]
fn answer_batched() {
    on_each(Service::AnswerBatched, 4096, answers);
    on_each(Service::AnswerBatched, 100, answers);
}

#[test]
fn fan_out() {
    on_each(Service::FanOut, 4096, |server| {
        let mut members: Vec<TcpStream> = Vec::new();
        for number in 0..4 {
            // Its own message comes back when it is a member.
            let mut member = server.connect();
            let message = bytes(MEMBER_MESSAGE_BYTES, number);
            member.write_all(&message[..50]).expect("a server that reads");
            member.write_all(&message[50..]).expect("a server that reads");
            members.push(member);
            members.iter_mut().for_each(|member| assert!(read(member, MEMBER_MESSAGE_BYTES) == message));
        }
        reset(members.remove(0));
        // Messages from two at once come to all in one order.
        let spoken = |base: usize| (0..50).map(move |number| bytes(MEMBER_MESSAGE_BYTES, base + number));
        for (member, base) in members.iter_mut().zip([100, 200]) {
            let messages: Vec<u8> = spoken(base).flatten().collect();
            member.write_all(&messages).expect("a server that reads");
        }
        let told: Vec<Vec<u8>> = members.iter_mut().map(|member| read(member, 100 * MEMBER_MESSAGE_BYTES)).collect();
        assert!(told[0] == told[1] && told[1] == told[2]);
        let mut messages: Vec<&[u8]> = told[0].chunks(MEMBER_MESSAGE_BYTES).collect();
        messages.sort_unstable();
        let mut expected: Vec<Vec<u8>> = spoken(100).chain(spoken(200)).collect();
        expected.sort_unstable();
        assert!(messages == expected);
    });
}

#[test]
fn fan_out_thread() {
    on_each(Service::FanOutThread, 4096, |server| {
        let mut publisher = connect(server.addresses[1]);
        let mut members: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
        // Nobody says when a connection has become a member: by then messages come.
        let note = [0; MEMBER_MESSAGE_BYTES];
        for member in &mut members {
            member.set_nonblocking(true).expect("a socket that does not block");
            while member.peek(&mut [0]).is_err() {
                publisher.write_all(&note).expect("a server that reads");
                thread::yield_now();
            }
            member.set_nonblocking(false).expect("a socket that blocks");
        }
        reset(members.remove(0));
        let sent: Vec<u8> = (0..50).flat_map(|number| bytes(MEMBER_MESSAGE_BYTES, number + 1)).collect();
        publisher.write_all(&sent).expect("a server that reads");
        for member in &mut members {
            let mut message = read(member, MEMBER_MESSAGE_BYTES);
            while message == note {
                message = read(member, MEMBER_MESSAGE_BYTES);
            }
            let rest = read(member, sent.len() - MEMBER_MESSAGE_BYTES);
            assert!([message, rest].concat() == sent);
        }
    });
}

#[test]
fn sink() {
    on_each(Service::Sink, 4096, |server| {
        for len in [0, 1, 4096, 5 << 20] {
            let total = exchange(&server.connect(), &bytes(len, 3));
            assert_eq!(total, (len as u64).to_le_bytes());
        }
        reset(server.connect());
        assert_eq!(exchange(&server.connect(), b"four"), 4_u64.to_le_bytes());
    });
}

#[test]
fn source() {
    on_each(Service::Source, 4096, |server| {
        let mut clients = [server.connect(), server.connect(), server.connect()];
        for client in &mut clients {
            let stream = read(client, 3 << 20);
            assert!(stream.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % SOURCE_PERIOD));
        }
        drop(clients);
        assert_eq!(read(&mut server.connect(), 3), [0, 1, 2]);
    });
}

#[test]
fn wake() {
    on_each(Service::Wake, 4096, |server| {
        let mut client = server.connect();
        for number in 0..20 {
            read(&mut client, WAKE_BYTES);
            client.set_nonblocking(true).expect("a socket that does not block");
            assert!(client.read(&mut [0]).is_err(), "the next waits for the answer");
            client.set_nonblocking(false).expect("a socket that blocks");
            let answer = [number; WAKE_BYTES];
            let (first, rest) = answer.split_at(usize::from(number));
            client.write_all(first).and_then(|()| client.write_all(rest)).expect("a server that reads");
        }
        read(&mut client, WAKE_BYTES);
    });
}

#[test]
fn a_yardstick_with_two_threads_is_refused() {
    let (end, _writer) = pipe().expect("a pipe");
    for kind in [BackendKind::IoUring, BackendKind::Readiness] {
        let serving = Serving { service: Service::Echo, read_buffer: 4096, threads: 2 };
        let refused = yardstick::serve_until(end.as_fd(), kind, serving, |_| Ok(()));
        assert!(!refused.expect_err("two threads").had_started());
    }
}
