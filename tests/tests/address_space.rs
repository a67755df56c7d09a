//! An address space at its limit (RLIMIT_AS): rings, buffers, chunks of slots and threads' stacks are refused. Calls answer
//! so, what is served goes on, and all resumes when there is room.

#![cfg(target_os = "linux")]

use fastrand::Rng;
use socket_iocp::{Error, ErrorCode, Port};
use socket_iocp_testkit::{Client, Lab, Ledger, Talk};
use socket_iocp_testkit::{
    child, child_role, in_own_process, on_every_backend, open_descriptors, talk, threads, tries, wait_for_threads,
};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;

// Real only: the simulated network's sockets are memory of the process.
on_every_backend!(real: a_port_that_finds_no_room_is_an_error_of_the_call, what_is_served_goes_on_and_all_resumes);

/// The size of the process's address space, in bytes.
fn address_space() -> u64 {
    const PAGE: u64 = 4096;
    let pages = fs::read_to_string("/proc/self/statm").expect("procfs");
    PAGE * pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()).expect("a number")
}

fn set_limit(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call reads one `rlimit`.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

/// The answers of a refusal: NoMemory, and of a thread's stack the system's own.
fn is_refusal(error: Error) -> bool {
    error.code() == ErrorCode::NoMemory || (error.code(), error.os_error()) == (ErrorCode::Os, Some(libc::EAGAIN))
}

fn a_port_that_finds_no_room_is_an_error_of_the_call(lab: &Lab) {
    in_own_process("a_port_that_finds_no_room_is_an_error_of_the_call", lab, |lab| {
        // What is made once for a process. No worker: the stack of one that has ended would be used again.
        drop(Port::new(Ledger::with_room_for(1), lab.options().threads(0)).expect("a port"));
        let (descriptors, threads_before) = (open_descriptors(), threads());
        // With ever more room, whatever a port needs is what is refused.
        let step = tries(16, 4) * 1024;
        let (mut refusals, mut room) = (0, 0);
        loop {
            set_limit(address_space() + room);
            let made = Port::new(Ledger::with_room_for(1), lab.options().threads(3));
            set_limit(libc::RLIM_INFINITY);
            match made {
                Ok(_) => break,
                Err(error) => assert!(is_refusal(error), "{error:?} with {room} bytes"),
            }
            assert_eq!(open_descriptors(), descriptors, "some are left over, with {room} bytes");
            wait_for_threads(threads_before, &format!("{room} bytes"));
            refusals += 1;
            room += step;
        }
        // At least one stack: those of the tries before may be used again.
        assert!(room > 2 * 1024 * 1024, "{room} bytes were enough");
        println!("{}: {refusals} refusals up to {room} bytes", lab.name());
    });
}

/// Clients that are served all the time, and those that come when there is room again.
const CLIENTS: usize = 8;
/// Connections that come while there is none, at most.
const MORE: usize = 4000;

fn what_is_served_goes_on_and_all_resumes(lab: &Lab) {
    let role = format!("what_is_served_goes_on_and_all_resumes::{}", lab.name());
    if child_role().is_some_and(|own| own == role) {
        return serve(lab);
    }
    // Clients are another process, whose memory is not short.
    let mut server = Server::start(&role);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    let mut random = Rng::with_seed(1);
    clients.iter_mut().for_each(|client| exchange(client, random.fork()));
    server.ask("limit");
    let (mut served, mut turned_away) = (0, 0);
    let mut waiting = Vec::new();
    while server.ask("backoffs") == 0 {
        clients.iter_mut().for_each(|client| exchange(client, random.fork()));
        for _ in 0..50 {
            waiting.push(server.connect());
        }
        assert!(waiting.len() < MORE, "{MORE} connections in no room");
    }
    clients.iter_mut().for_each(|client| exchange(client, random.fork()));
    server.ask("unlimit");
    // Nobody tells the listener that there is room again, and no connection ends before this one is served.
    clients.push(server.connect());
    exchange(&mut clients[CLIENTS], random.fork());
    // Whether a connection that found no room was turned away or waits is not promised; it is never served in part.
    for mut client in waiting {
        match client.write_all(b"hello").and_then(|()| client.read_exact(5)) {
            Ok(echo) => {
                assert_eq!(echo, b"hello");
                served += 1;
            }
            Err(error) => {
                assert!([io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe].contains(&error.kind()), "{error}");
                turned_away += 1;
            }
        }
    }
    let address = server.address;
    let talk = |mut random: Rng| {
        let len = random.usize(1..100_000);
        talk(TcpStream::connect(address).expect("a listener"), len, random)
    };
    let talks: Vec<Talk> = thread::scope(|scope| {
        let talks: Vec<_> = (0..CLIENTS)
            .map(|_| (random.fork(), &talk))
            .map(|(random, talk)| scope.spawn(move || talk(random)))
            .collect();
        talks.into_iter().map(|talk| talk.join().expect("a client")).collect()
    });
    assert!(talks.iter().all(|talk| talk.end.is_ok() && talk.said == talk.heard), "not all resumed");
    for mut client in clients {
        exchange(&mut client, random.fork());
        client.shutdown_write();
        assert_eq!(client.read_to_end().expect("a clean end"), b"");
    }
    server.end();
    println!("{}: {served} connections served that came without room, {turned_away} turned away", lab.name());
}

/// Says something long and hears it again.
fn exchange(client: &mut Client, mut random: Rng) {
    let len = random.usize(1..30_000);
    let said: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
    client.write_all(&said).expect("a live connection");
    assert_eq!(client.read_exact(said.len()).expect("the echo"), said);
}

/// The process that serves.
struct Server {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(role: &str) -> Server {
        let mut command = child(role, role);
        // One heap, and blocks of 16 KiB each in a mapping of its own: else malloc has room reserved that no limit refuses.
        command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "16384").env("MALLOC_TOP_PAD_", "0");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child process");
        let questions = process.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let address = answer(&mut answers).parse().expect("an address");
        Server { process, questions, answers, address }
    }

    fn connect(&self) -> Client {
        TcpStream::connect(self.address).expect("a listener").into()
    }

    fn ask(&mut self, question: &str) -> u64 {
        writeln!(self.questions, "{question}").expect("a live child");
        answer(&mut self.answers).parse().expect("a number")
    }

    fn end(mut self) {
        drop(self.questions);
        assert!(self.process.wait().expect("a child").success());
    }
}

/// A line of the child's own, among those of the test harness.
fn answer(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(answers.read_line(&mut line).expect("a pipe"), 0, "the child has ended");
        if let Some((_, answer)) = line.split_once("answer: ") {
            return answer.trim().to_owned();
        }
    }
}

/// The child.
fn serve(lab: &Lab) {
    let port = Port::new(Ledger::with_room_for(2 * MORE), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 16, ()).expect("a listener");
    println!("\nanswer: {address}");
    let mut line = String::with_capacity(100);
    let mut questions = io::stdin().lock();
    loop {
        line.clear();
        questions.read_line(&mut line).expect("a pipe");
        let answer = match line.trim() {
            "limit" => {
                set_limit(address_space());
                let refusal = Port::new(Ledger::with_room_for(0), lab.options()).err();
                assert!(refusal.is_some_and(is_refusal), "{refusal:?}");
                0
            }
            "backoffs" => port.statistics().accept_backoffs,
            "unlimit" => {
                set_limit(libc::RLIM_INFINITY);
                0
            }
            _ => break,
        };
        println!("\nanswer: {answer}");
    }
    Ledger::settle(port);
}
