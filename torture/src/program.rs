//! Programs: what is done to the engine, as data that can be made from a seed, cut down and printed.
//!
//! An operation names its target by a number that is taken modulo what there is at that moment. So every part of a
//! program is a program too, which is what makes cutting down possible.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// One thing done to the port, its sockets, or the network around it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum Op {
    /// A client connects to a listener.
    Connect(u8),
    /// A connected socket is added.
    Add,
    /// The port connects a socket, with a time limit in milliseconds if that is not 0.
    ConnectOut(Whither, u16),
    /// The port connects to a host, with a time limit in milliseconds if that is not 0.
    ConnectHost(Host, u16),
    /// The network's own listener takes the connections in its queue: they are clients from then on.
    Answer,
    /// A datagram socket is added, connected or not.
    AddDatagram(u8),
    /// A datagram of so many bytes is sent to one of them.
    Mail(u8, u16),
    /// A socket that was handed back is added again.
    AddBack(u8),
    /// A client sends bytes.
    PeerWrite(u8, u16),
    /// A client reads what is there, up to so many bytes.
    PeerRead(u8, u16),
    /// A client sends FIN.
    PeerShutdown(u8),
    /// A client resets its connection.
    PeerReset(u8),
    /// A client closes.
    PeerClose(u8),
    /// A call on a live socket of the port.
    Call(u8, Call),
    /// A call on a socket that has bid farewell.
    CallDead(u8, Call),
    /// A worker has some turns.
    Run(u8, u8),
    /// A worker waits, so that time passes: in milliseconds.
    Wait(u8, u16),
    /// The accept backlog changes.
    Backlog(u8, u8),
    /// A listener is handed back.
    RemoveListener(u8),
    /// Another listener is added.
    AddListener(u8),
    /// The next such operation of the network fails.
    Fail(Faulty, u8),
    /// Descriptors run out, or are there again.
    Exhaust(bool),
    /// A socket of the port is closed behind its back.
    CloseBehind(u8),
    /// The network behaves otherwise from here on.
    Behave(u8),
    /// Callbacks do otherwise from here on.
    React(u32),
    /// The port is deleted.
    Delete,
    /// The port is shut down, within so many milliseconds.
    Shutdown(u16),
}

/// Where the port connects a socket to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Whither {
    /// To the network's own listener.
    Far,
    /// To a listener of the port: then it has both ends.
    Own(u8),
    /// To an address where nobody listens.
    Nobody,
    /// To an address where nobody answers.
    Silent,
}

/// What a host's name is that the port connects to. None of its addresses is one of the port's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Host {
    /// That of nobody.
    Unknown,
    /// One of which the resolver says nothing.
    Hangs,
    /// An address, in its own words.
    Literal,
    /// That of two addresses, the second tried after the first.
    Known(Whither, Whither),
}

/// A call on a connected socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Call {
    /// A recv.
    Recv,
    /// An async send of so many bytes.
    Send(u16),
    /// An async send for which memory is refused.
    SendWithoutMemory(u16),
    /// A sync send of so many bytes.
    SyncSend(u16),
    /// A half-close.
    Shutdown,
    /// A graceful close.
    Close,
    /// An abort.
    Abort,
    /// A removal.
    Remove,
    /// An async send of a copy of so many bytes.
    SendCopy(u16),
    /// An async send of so many bytes in several parts.
    SendParts(u16),
    /// An async send of so many bytes that a value of the program's owns.
    SendOwned(u16),
    /// A recv with a time limit in milliseconds.
    RecvWithin(u16),
    /// An async send of so many bytes with a time limit in milliseconds.
    SendWithin(u16, u16),
    /// A sync send of so many bytes with a time limit in milliseconds.
    SyncSendWithin(u16, u16),
    /// The cancel of the recv.
    CancelRecv,
    /// The cancel of every other send: of those with an odd number, or of those with an even one.
    CancelSends(bool),
    /// A timer of so many milliseconds.
    Timer(u16),
    /// The cancel of the timer.
    CancelTimer,
    /// The cancel of the connect.
    CancelConnect,
    /// An async send of so many bytes from a file.
    SendFile(u16),
    /// The same of a file that ends within the range, if there are bytes.
    SendShortFile(u16),
}

impl Call {
    /// Whether it is a send that on a datagram socket may have an address.
    pub(crate) fn may_have_address(self) -> bool {
        let plain = matches!(self, Call::Send(_) | Call::SendWithoutMemory(_) | Call::SyncSend(_));
        plain || matches!(self, Call::SendOwned(_))
    }
}

/// Where a fault goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Faulty {
    /// The next recv that ends.
    Recv,
    /// The next send that ends.
    Send,
    /// The next accept that ends.
    Accept,
    /// The next connect that ends.
    Connect,
    /// A worker's next wait.
    Wait,
    /// The next read of a file.
    ReadFile,
}

/// How the port and the network are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Seeds the network's chances and the reactions of the callbacks.
    pub seed: u64,
    /// Workers of the port.
    pub workers: usize,
    /// The read buffer size in bytes.
    pub read_buffer_size: usize,
    /// The port's limit of sockets; 0 for none.
    pub max_sockets: usize,
    /// The limit of queued sends; 0 for none.
    pub max_queued_sends: u32,
    /// The limit of queued bytes; 0 for none.
    pub max_queued_bytes: u32,
    /// The idle time-out in milliseconds; 0 for none.
    pub idle_timeout_ms: u32,
    /// The high mark of queued bytes; 0 for none.
    pub high_watermark: u32,
    /// The low mark.
    pub low_watermark: u32,
    /// The port's limit of queued bytes; 0 for none.
    pub max_port_queued_bytes: usize,
}

/// A program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Program {
    /// What it starts with.
    pub setup: Setup,
    /// What is done, in order.
    pub ops: Vec<Op>,
}

/// The longest time limit, and the longest delay of a timer.
const LONGEST_MS: u16 = 8_000;
/// Operations of one program.
const LENGTH: std::ops::RangeInclusive<usize> = 20..=400;

impl Program {
    /// The program of a seed.
    pub fn from_seed(seed: u64) -> Program {
        let mut random = Rng::with_seed(seed);
        let setup = Setup {
            seed,
            workers: random.usize(1..=3),
            read_buffer_size: *random.choice(&[1, 7, 64, 256, 1024]).unwrap_or(&64),
            max_sockets: if random.u8(..) < 32 { random.usize(1..=6) } else { 0 },
            max_queued_sends: if random.u8(..) < 48 { random.u32(1..=5) } else { 0 },
            max_queued_bytes: if random.u8(..) < 32 { random.u32(1..=5000) } else { 0 },
            idle_timeout_ms: if random.u8(..) < 40 { random.u32(1..=5000) } else { 0 },
            high_watermark: if random.u8(..) < 48 { random.u32(1..=3000) } else { 0 },
            low_watermark: 0,
            max_port_queued_bytes: if random.u8(..) < 32 { random.usize(1..=10_000) } else { 0 },
        };
        let setup = Setup { low_watermark: random.u32(0..=setup.high_watermark), ..setup };
        // Some programs have neither faults nor resets: in those nothing may be lost at all.
        let faulty = random.bool();
        let mut ops = vec![Op::React(random.u32(..)), Op::AddListener(random.u8(..)), Op::Behave(random.u8(..))];
        let length = random.usize(LENGTH);
        while ops.len() < length {
            let next = op(&mut random, faulty);
            ops.push(next);
            // A number closed behind the library's back matters most when it comes back while its socket ends.
            if let Op::CloseBehind(at) = next {
                let endings = [Call::Remove, Call::Remove, Call::Close, Call::Abort];
                let ending = *random.choice(&endings).unwrap_or(&Call::Remove);
                ops.extend([Op::Call(at, ending), Op::Add]);
            }
        }
        Program { setup, ops }
    }
}

fn op(random: &mut Rng, faulty: bool) -> Op {
    let at = random.u8(..);
    match random.u16(0..1000) {
        0..=99 => Op::Connect(at),
        100..=116 => Op::Add,
        117..=121 => Op::AddDatagram(at),
        122..=131 => connect_out(random),
        132..=139 => Op::Answer,
        140..=149 => Op::AddBack(at),
        150..=264 => Op::PeerWrite(at, length(random)),
        265..=279 => Op::Mail(at, length(random)),
        280..=379 => Op::PeerRead(at, length(random)),
        380..=409 => Op::PeerShutdown(at),
        410..=419 if faulty => Op::PeerReset(at),
        410..=429 => Op::PeerClose(at),
        430..=659 => Op::Call(at, call(random)),
        660..=679 => Op::CallDead(at, call(random)),
        680..=899 => Op::Run(at, random.u8(1..=12)),
        900..=929 => Op::Wait(at, random.u16(..=8000)),
        930..=939 => Op::Backlog(at, random.u8(1..=9)),
        940..=944 => Op::RemoveListener(at),
        945..=949 => Op::AddListener(at),
        950..=964 if faulty => Op::Fail(fault(random), random.u8(..)),
        965..=972 if faulty => Op::Exhaust(random.bool()),
        973..=981 => Op::CloseBehind(at),
        982..=984 => Op::Behave(random.u8(..)),
        985..=997 => Op::React(random.u32(..)),
        998 if random.u8(..) < 64 => Op::Delete,
        999 if random.u8(..) < 64 => Op::Shutdown(random.u16(..=8000)),
        _ => Op::Run(at, 1),
    }
}

pub(crate) fn call(random: &mut Rng) -> Call {
    match random.u8(..130) {
        0..=34 => Call::Recv,
        35..=64 => send(random),
        65..=66 => Call::SendWithoutMemory(length(random)),
        67..=84 => Call::SyncSend(length(random)),
        85..=88 => Call::Shutdown,
        89..=93 => Call::Close,
        94..=96 => Call::Abort,
        97..=99 => Call::Remove,
        100..=105 => Call::RecvWithin(time_ms(random)),
        106..=109 => Call::SendWithin(length(random), time_ms(random)),
        110..=111 => Call::SyncSendWithin(length(random), time_ms(random)),
        112..=114 => Call::CancelRecv,
        115..=119 => Call::CancelSends(random.bool()),
        120..=124 => Call::Timer(time_ms(random)),
        125..=127 => Call::CancelTimer,
        _ => Call::CancelConnect,
    }
}

fn connect_out(random: &mut Rng) -> Op {
    let choice = random.u8(..12);
    let limit_ms = if random.bool() { time_ms(random).max(1) } else { 0 };
    let whither = match choice {
        0 => Whither::Nobody,
        1 => Whither::Silent,
        2 | 3 => Whither::Own(random.u8(..)),
        4..=7 => Whither::Far,
        _ => return Op::ConnectHost(host(random), limit_ms),
    };
    Op::ConnectOut(whither, limit_ms)
}

fn host(random: &mut Rng) -> Host {
    let address = |random: &mut Rng| match random.u8(..4) {
        0 => Whither::Nobody,
        1 => Whither::Silent,
        _ => Whither::Far,
    };
    match random.u8(..10) {
        0 => Host::Unknown,
        1 => Host::Hangs,
        2 => Host::Literal,
        _ => Host::Known(address(random), address(random)),
    }
}

/// Mostly a few turns of a worker, sometimes longer than most programs.
fn time_ms(random: &mut Rng) -> u16 {
    match random.u8(..4) {
        0 => random.u16(..=3),
        1 | 2 => random.u16(..=300),
        _ => random.u16(..=LONGEST_MS),
    }
}

/// An async send, in one of its ways.
fn send(random: &mut Rng) -> Call {
    let len = length(random);
    match random.u8(..8) {
        0 => Call::SendCopy(len),
        1 => Call::SendParts(len),
        2 => Call::SendOwned(len),
        // One that is too short ends its socket.
        3 if random.u8(..8) == 0 => Call::SendShortFile(len),
        3 => Call::SendFile(len),
        _ => Call::Send(len),
    }
}

/// Mostly short, none now and then, sometimes more than the network holds.
fn length(random: &mut Rng) -> u16 {
    match random.u8(..16) {
        0 => 0,
        1..=9 => random.u16(1..=20),
        10..=14 => random.u16(1..=700),
        _ => random.u16(1..=9000),
    }
}

fn fault(random: &mut Rng) -> Faulty {
    *random
        .choice(&[Faulty::Recv, Faulty::Send, Faulty::Accept, Faulty::Connect, Faulty::Wait, Faulty::ReadFile])
        .unwrap_or(&Faulty::Recv)
}
