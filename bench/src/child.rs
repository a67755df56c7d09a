//! The bench's own program started again as a server.
//!
//! The child writes one line of JSON for its address and, when it is done, one for its outcome, both to its standard
//! output. A child that measures its memory answers each line on its standard input with one.

use crate::cpus;
use crate::error::{Doing, Error};
use crate::memory::Memory;
use crate::{CHILD_COMMAND, subject, yardstick};
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

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Task {
    role: Role,
    backend: String,
    connections: usize,
    cpu: usize,
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
    let task: Task = serde_json::from_str(task).needed("the child's task")?;
    let Some(kind) = BackendKind::from_name(&task.backend) else {
        return Err(Error::cannot_start(format!("no backend named {}", task.backend)));
    };
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

fn tell(answer: &impl Serialize) -> Result<(), Error> {
    let mut line = serde_json::to_string(answer).doing("JSON")?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).doing("standard output")
}

/// A child, seen from the bench. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    answers: BufReader<ChildStdout>,
    questions: ChildStdin,
    cpu_clock: libc::clockid_t,
    address: SocketAddr,
}

impl Server {
    /// Starts a child; when this returns, its listener is there.
    pub(crate) fn start(role: Role, kind: BackendKind, connections: usize, cpu: usize) -> Result<Server, Error> {
        let program = std::env::current_exe().needed("this program's own path")?;
        let task = Task { role, backend: kind.name().to_owned(), connections, cpu };
        let mut child = Command::new(program)
            .arg(CHILD_COMMAND)
            .arg(serde_json::to_string(&task).needed("JSON")?)
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
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Server { child, answers: BufReader::new(stdout), questions, cpu_clock, address };
        server.address = server.answer()?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time of all its threads so far, as the scheduler counts it.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Error> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is writable for the call.
        let result = unsafe { libc::clock_gettime(self.cpu_clock, &raw mut time) };
        if result != 0 {
            return Err(io::Error::last_os_error()).doing("the CPU clock of a server");
        }
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// Asks a child of [`Role::Idle`] for its memory.
    pub(crate) fn memory(&mut self) -> Result<Memory, Error> {
        self.questions.write_all(b"\n").doing("a question to the server")?;
        self.answer()
    }

    /// Waits for the outcome of an echo server whose connections have all been closed.
    pub(crate) fn outcome(mut self) -> Result<Outcome, Error> {
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        // One line for each question, so nothing is in the reader's buffer here.
        let mut ready = [PollFd::new(self.answers.get_ref(), PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE)).doing("waiting for the server")? == 0 {
            return Err(Error::failed(format!("a server did not answer for {} seconds", PATIENCE.tv_sec)));
        }
        let mut line = String::new();
        self.answers.read_line(&mut line).doing("the server's answer")?;
        if line.is_empty() {
            return Err(Error::failed("a server ended early (what it wrote to standard error says why)"));
        }
        serde_json::from_str(&line).doing("the server's answer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The clock of a process's CPU time; exact to the nanosecond, unlike the ticks of `/proc/PID/stat`.
fn cpu_clock_of(pid: u32) -> Result<libc::clockid_t, Error> {
    let mut clock = 0;
    // SAFETY: the clock's number is writable for the call.
    match unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) } {
        0 => Ok(clock),
        errno => Err(io::Error::from_raw_os_error(errno)).needed("the CPU clock of a server"),
    }
}
