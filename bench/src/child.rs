//! The bench's own program started again as a server.
//!
//! A child writes lines of JSON to its standard output: one for its address and, when it is done, one for its outcome. One
//! that measures its memory, or is told what to do, answers each line on its standard input with one.

use crate::cpus;
use crate::error::{Doing, Error};
use crate::memory::Memory;
use crate::{CHILD_COMMAND, hostile, subject, yardstick};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use socket_iocp::{BackendKind, Statistics};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long a server may take for an answer.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// What a child does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Echoes with a hand-written loop.
    Yardstick,
    /// Echoes with socket-iocp.
    Subject,
    /// Echoes with socket-iocp, and tells its memory when asked.
    Idle,
}

/// The task of a child that echoes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Echoing {
    role: Role,
    backend: String,
    connections: usize,
    cpu: usize,
}

/// What a child is started for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Echo(Echoing),
    /// A server that hostile peers attack.
    Attacked(hostile::ServerTask),
    /// Those peers.
    Attack(hostile::AttackTask),
}

/// What a server counted over its life.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Times that it asked the system for events.
    pub(crate) waits: u64,
    pub(crate) messages: u64,
}

impl From<Statistics> for Outcome {
    fn from(statistics: Statistics) -> Outcome {
        Outcome { waits: statistics.waits, messages: statistics.sends }
    }
}

/// The child's main: does what the task says.
pub(crate) fn serve(task: &str) -> Result<(), Error> {
    // Whoever started it and dies takes it along.
    set_parent_process_death_signal(Some(Signal::KILL)).needed("prctl")?;
    match serde_json::from_str(task).needed("the child's task")? {
        Task::Echo(task) => echo(&task),
        Task::Attacked(task) => hostile::serve(&task),
        Task::Attack(task) => hostile::attack(&task),
    }
}

/// The backend of a task.
pub(crate) fn backend_named(name: &str) -> Result<BackendKind, Error> {
    BackendKind::from_name(name).ok_or_else(|| Error::cannot_start(format!("no backend named {name}")))
}

fn echo(task: &Echoing) -> Result<(), Error> {
    let kind = backend_named(&task.backend)?;
    cpus::pin(task.cpu)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).needed("a listener on loopback")?;
    let address = listener.local_addr().needed("its address")?;
    match (task.role, kind) {
        (Role::Yardstick, BackendKind::IoUring) => {
            tell(&address)?;
            tell(&yardstick::io_uring::serve(&listener, task.connections)?)
        }
        (Role::Yardstick, _) => {
            tell(&address)?;
            tell(&yardstick::epoll::serve(&listener, task.connections)?)
        }
        (Role::Subject, _) => {
            tell(&address)?;
            tell(&Outcome::from(subject::serve(subject::options(kind), listener, task.connections, || {})?))
        }
        (Role::Idle, _) => {
            let (port, _farewells) = subject::open(subject::options(kind), listener, || {})?;
            tell(&address)?;
            for question in io::stdin().lock().lines() {
                question.doing("standard input")?;
                tell(&Memory::of_this_process(port.statistics().sockets_now)?)?;
            }
            Ok(())
        }
    }
}

/// Writes one line for the parent.
pub(crate) fn tell(answer: &impl Serialize) -> Result<(), Error> {
    let mut line = serde_json::to_string(answer).doing("JSON")?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).doing("standard output")
}

/// A child, seen from the bench. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    answers: BufReader<ChildStdout>,
    questions: ChildStdin,
    cpu_clock: libc::clockid_t,
}

impl Process {
    /// Starts a child.
    pub(crate) fn start(task: &Task) -> Result<Process, Error> {
        let program = std::env::current_exe().needed("this program's own path")?;
        let mut child = Command::new(program)
            .arg(CHILD_COMMAND)
            .arg(serde_json::to_string(task).needed("JSON")?)
            // They would override what is asked for here.
            .env_remove("SOCKET_IOCP_BACKEND")
            .env_remove("SOCKET_IOCP_THREADS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .needed("a child process")?;
        let (Some(questions), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for");
        };
        let cpu_clock = cpu_clock_of(child.id())?;
        Ok(Process { child, answers: BufReader::new(stdout), questions, cpu_clock })
    }

    /// The CPU time of all its threads so far, as the scheduler counts it.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Error> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is writable for the call.
        let result = unsafe { libc::clock_gettime(self.cpu_clock, &raw mut time) };
        if result != 0 {
            return Err(io::Error::last_os_error()).doing("the CPU clock of a child");
        }
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// Asks for one answer more.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.questions.write_all(b"\n").doing("a question to a child")?;
        self.answer()
    }

    /// Waits for an answer.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        // One line for each question, so nothing is in the reader's buffer here.
        let mut ready = [PollFd::new(self.answers.get_ref(), PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE)).doing("waiting for a child")? == 0 {
            return Err(Error::failed(format!("a child did not answer for {} seconds", PATIENCE.tv_sec)));
        }
        let mut line = String::new();
        self.answers.read_line(&mut line).doing("a child's answer")?;
        if line.is_empty() {
            return Err(Error::failed("a child ended early (what it wrote to standard error says why)"));
        }
        serde_json::from_str(&line).doing("a child's answer")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child that echoes.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts a child; when this returns, its listener is there.
    pub(crate) fn start(role: Role, kind: BackendKind, connections: usize, cpu: usize) -> Result<Server, Error> {
        let task = Echoing { role, backend: kind.name().to_owned(), connections, cpu };
        let mut process = Process::start(&Task::Echo(task))?;
        let address = process.answer()?;
        Ok(Server { process, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time of all its threads so far, as the scheduler counts it.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Error> {
        self.process.cpu_time()
    }

    /// Asks a child of [`Role::Idle`] for its memory.
    pub(crate) fn memory(&mut self) -> Result<Memory, Error> {
        self.process.ask()
    }

    /// Waits for the outcome of an echo server whose connections have all been closed.
    pub(crate) fn outcome(mut self) -> Result<Outcome, Error> {
        self.process.answer()
    }
}

/// The clock of a process's CPU time; exact to the nanosecond, unlike the ticks of `/proc/PID/stat`.
fn cpu_clock_of(pid: u32) -> Result<libc::clockid_t, Error> {
    let mut clock = 0;
    // SAFETY: the clock's number is writable for the call.
    match unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) } {
        0 => Ok(clock),
        errno => Err(io::Error::from_raw_os_error(errno)).needed("the CPU clock of a child"),
    }
}
