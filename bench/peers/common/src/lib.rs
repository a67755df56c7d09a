//! What the peers written in Rust share: their arguments, their address, their end. See `bench/peers/README.md`.

mod backlog;
mod intake;
mod threads;

pub use backlog::{Backlog, tried};
pub use intake::Intake;
pub use threads::{keep_waking, serve_by_threads};

use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::exit;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

/// Bytes of a request of `answer`.
pub const REQUEST_BYTES: usize = 64;
/// Bytes of a message of `fan-out`.
pub const MESSAGE_BYTES: usize = 128;
/// Bytes of a message of `wake`.
pub const WAKE_BYTES: usize = 64;
/// Byte number n of a stream of `source` is n modulo this.
pub const SOURCE_PERIOD: usize = 251;
/// How long a peer leaves its listener alone when the system is short of what a connection takes.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The works of `bench/peers/README.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    Echo,
    Answer,
    AnswerBatched,
    FanOut,
    FanOutThread,
    Sink,
    Source,
    Wake,
}

impl Work {
    pub const ALL: [Work; 8] = [
        Work::Echo,
        Work::Answer,
        Work::AnswerBatched,
        Work::FanOut,
        Work::FanOutThread,
        Work::Sink,
        Work::Source,
        Work::Wake,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Work::Echo => "echo",
            Work::Answer => "answer",
            Work::AnswerBatched => "answer-batched",
            Work::FanOut => "fan-out",
            Work::FanOutThread => "fan-out-thread",
            Work::Sink => "sink",
            Work::Source => "source",
            Work::Wake => "wake",
        }
    }
}

/// What a peer was asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub work: Work,
    pub read_buffer: usize,
    pub threads: usize,
}

/// Reads the command line; prints the works and ends the process if that is what was asked for. A wrong argument ends it with
/// code 2, more than one thread where `several_threads` says no with code 3.
pub fn task(works: &[Work], several_threads: bool) -> Task {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let fields: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match fields[..] {
        ["works"] => {
            works.iter().for_each(|work| println!("{}", work.name()));
            exit(0);
        }
        [work, read_buffer, threads] => {
            let work = Work::ALL.into_iter().find(|known| known.name() == work && works.contains(known));
            let (Some(work), Ok(read_buffer), Ok(threads)) = (work, read_buffer.parse(), threads.parse()) else {
                usage()
            };
            if read_buffer == 0 || threads == 0 {
                usage()
            }
            if threads > 1 && !several_threads {
                eprintln!("this peer has one thread");
                exit(3);
            }
            Task { work, read_buffer, threads }
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: PEER works | PEER WORK READ_BUFFER THREADS");
    exit(2);
}

/// A listener on a free port of 127.0.0.1, blocking.
pub fn listen() -> io::Result<TcpListener> {
    listen_on(0, false)
}

fn listen_on(port: u16, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// Writes the line with the addresses.
pub fn tell(addresses: &[SocketAddr]) -> io::Result<()> {
    let line: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", line.join(" "))?;
    stdout.flush()
}

/// Ends the process when standard input ends.
pub fn end_with_stdin() {
    thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = io::stdin().lock().read_to_end(&mut rest);
        exit(0);
    });
}

/// Accepts the publisher of `fan-out-thread` and gives each of its messages to `publish`, until it goes.
pub fn read_messages(listener: &TcpListener, mut publish: impl FnMut([u8; MESSAGE_BYTES])) -> io::Result<()> {
    let (mut publisher, _) = listener.accept()?;
    let mut message = [0; MESSAGE_BYTES];
    while publisher.read_exact(&mut message).is_ok() {
        publish(message);
    }
    Ok(())
}

/// What the thread of `wake` does with a connection: has a message sent, waits for its answer, and so on until one of them says
/// that the connection has gone.
pub fn exchange(answers: &Receiver<()>, mut send: impl FnMut([u8; WAKE_BYTES]) -> bool) {
    for number in 0_u64.. {
        let mut message = [0; WAKE_BYTES];
        message[..8].copy_from_slice(&number.to_le_bytes());
        if !send(message) || answers.recv().is_err() {
            return;
        }
    }
}

/// How many of so many bytes are whole records of a size.
pub fn whole_records(bytes: usize, record: usize) -> usize {
    bytes - bytes % record
}

/// A piece of the stream of `source` that is sent again and again: a whole number of periods, `at_least` bytes or a few more.
pub fn source_piece(at_least: usize) -> Vec<u8> {
    let len = at_least.next_multiple_of(SOURCE_PERIOD);
    (0..len).map(|at| (at % SOURCE_PERIOD) as u8).collect()
}
