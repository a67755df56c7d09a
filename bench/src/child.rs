//! Processes that the bench starts: its own program again, with a task, or a peer.
//!
//! A server speaks the protocol of `bench/peers/README.md`; one of this program adds a line of JSON at its end, its outcome.
//! Children of the hostile bench write lines of JSON, and answer each line on their standard input with one.

use crate::compare::contestants::Own;
use crate::error::{Doing, Error};
use crate::works::Serving;
use crate::{CHILD_COMMAND, hostile, own, yardstick};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use socket_iocp::BackendKind;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long a server may take for an answer.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// The task of a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct OwnTask {
    pub(crate) whose: Own,
    pub(crate) backend: String,
    pub(crate) serving: Serving,
}

/// What a child is started for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Serve(OwnTask),
    /// A server that hostile peers attack.
    Attacked(hostile::ServerTask),
    /// Those peers.
    Attack(hostile::AttackTask),
}

/// The child's main: does what the task says.
pub(crate) fn serve(task: &str) -> Result<(), Error> {
    // Whoever started it and dies takes it along.
    set_parent_process_death_signal(Some(Signal::KILL)).needed("prctl")?;
    match serde_json::from_str(task).needed("the child's task")? {
        Task::Serve(task) => serve_own(&task),
        Task::Attacked(task) => hostile::serve(&task),
        Task::Attack(task) => hostile::attack(&task),
    }
}

/// The backend of a task.
pub(crate) fn backend_named(name: &str) -> Result<BackendKind, Error> {
    BackendKind::from_name(name).ok_or_else(|| Error::cannot_start(format!("no backend named {name}")))
}

fn serve_own(task: &OwnTask) -> Result<(), Error> {
    let backend = backend_named(&task.backend)?;
    let outcome = match task.whose {
        Own::Subject => own::serve(backend, task.serving, tell_addresses)?,
        Own::Yardstick => yardstick::serve(backend, task.serving, tell_addresses)?,
    };
    tell(&outcome)
}

fn tell_addresses(addresses: &[SocketAddr]) -> Result<(), Error> {
    let line: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    write_line(line.join(" "))
}

/// Writes one line for the parent.
pub(crate) fn tell(answer: &impl Serialize) -> Result<(), Error> {
    write_line(serde_json::to_string(answer).doing("JSON")?)
}

fn write_line(mut line: String) -> Result<(), Error> {
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).doing("standard output")
}

/// A child, seen from the bench. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    answers: BufReader<ChildStdout>,
    /// Its standard input, until it is to end.
    questions: Option<ChildStdin>,
    cpu_clock: libc::clockid_t,
}

impl Process {
    /// Starts this program again.
    pub(crate) fn start(task: &Task) -> Result<Process, Error> {
        let program = std::env::current_exe().needed("this program's own path")?;
        Process::spawn(Command::new(program).arg(CHILD_COMMAND).arg(serde_json::to_string(task).needed("JSON")?))
    }

    /// Starts a program.
    pub(crate) fn spawn(command: &mut Command) -> Result<Process, Error> {
        let mut child = command
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
        Ok(Process { child, answers: BufReader::new(stdout), questions: Some(questions), cpu_clock })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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
        let Some(questions) = &mut self.questions else { unreachable!("nothing is asked of a process that is to end") };
        questions.write_all(b"\n").doing("a question to a child")?;
        self.answer()
    }

    /// Waits for an answer.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        serde_json::from_str(&self.line()?).doing("a child's answer")
    }

    /// Waits for a line.
    pub(crate) fn line(&mut self) -> Result<String, Error> {
        let line = self.line_or_end()?;
        if line.is_empty() {
            return Err(Error::failed("a child ended early (what it wrote to standard error says why)"));
        }
        Ok(line)
    }

    /// Ends its standard input, and waits for its end. Returns the line that it wrote before, or nothing.
    pub(crate) fn end(&mut self) -> Result<String, Error> {
        self.questions = None;
        let line = self.line_or_end()?;
        if !line.is_empty() && !self.line_or_end()?.is_empty() {
            return Err(Error::failed("a child wrote more than it was asked for"));
        }
        // Its output has ended, so it has, or is about to.
        let status = self.child.wait().doing("the end of a child")?;
        if status.success() { Ok(line) } else { Err(Error::failed(format!("a server ended with {status}"))) }
    }

    fn line_or_end(&mut self) -> Result<String, Error> {
        // One line for each question, so nothing is in the reader's buffer here.
        let mut ready = [PollFd::new(self.answers.get_ref(), PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE)).doing("waiting for a child")? == 0 {
            return Err(Error::failed(format!("a child did not answer for {} seconds", PATIENCE.tv_sec)));
        }
        let mut line = String::new();
        self.answers.read_line(&mut line).doing("a child's answer")?;
        Ok(line)
    }
}

impl Drop for Process {
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
        errno => Err(io::Error::from_raw_os_error(errno)).needed("the CPU clock of a child"),
    }
}
