//! One trial: the program in a process of its own, its clients here, and the comparison of what both say.

use crate::client::{self, Ending, Nudge, Outcome};
use crate::program::Plan;
use socket_iocp_testkit::{BOUND, Gate, child};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// What an error that is put in may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing that a peer sees: the operation is tried again.
    Harmless,
    /// It ends the one socket that it was given to, with this as the reason.
    EndsSocket(i32),
}

impl Fate {
    /// Of a recv or a send, or what stands for it: EINTR and EAGAIN are not for the program, every other error ends the
    /// socket.
    pub fn of_transfer(errno: i32) -> Fate {
        match errno {
            libc::EINTR | libc::EAGAIN => Fate::Harmless,
            errno => Fate::EndsSocket(errno),
        }
    }
}

/// A trial.
#[derive(Clone, Debug)]
pub struct Trial {
    pub name: String,
    pub plan: Plan,
    pub fate: Fate,
    pub endings: Vec<Ending>,
    pub nudge: Nudge,
    /// The sizes of the ring, see `sys/io_uring/faults.rs`.
    pub ring: Option<&'static str>,
    /// Faults inside the library.
    pub faults: String,
    /// Descriptors are not given back when close is what fails.
    pub keeps_descriptors: bool,
}

/// What the program says of one connection.
#[derive(Debug)]
struct Ended {
    port: u16,
    received: u64,
    sent: u64,
    operations: u64,
    completed: u64,
    code: String,
    os: i32,
}

/// What the program has printed so far.
#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

/// What came of a trial.
#[derive(Debug)]
pub struct Report {
    name: String,
    pub connections: usize,
    pub bytes: u64,
    /// Recvs and sends that were accepted, and those that got their callback; the others are recvs that ended with their
    /// socket.
    pub operations: u64,
    pub completed: u64,
    /// Connections ended by the error that was put in.
    pub ended: usize,
    pub accept_errors: u64,
    pub accept_backoffs: u64,
    /// Recvs and sends that had to wait for memory.
    pub shortages: u64,
    /// Of the faults inside the library: the operation, how many, how many failed.
    pub faults: Vec<(String, u64, u64)>,
    /// System calls after which completions waited for room in their queue, if that is counted.
    pub overflows: Option<u64>,
}

impl Trial {
    pub fn new(name: &str, plan: Plan, fate: Fate) -> Trial {
        let endings = [Ending::Fin, Ending::Abort, Ending::Reset, Ending::Fin, Ending::Abort, Ending::Stay];
        let endings = endings.iter().copied().cycle().take(18).collect();
        let name = format!("{} with {} threads, {name}", plan.backend.name(), plan.threads);
        Trial {
            name,
            plan,
            fate,
            endings,
            nudge: Nudge::Never,
            ring: None,
            faults: String::new(),
            keeps_descriptors: false,
        }
    }

    /// The command that runs the program.
    pub fn child(&self) -> Command {
        let mut program = child("the_program_without_a_fault", &self.plan.role());
        program.env("SOCKET_IOCP_RING", self.ring.unwrap_or_default()).env("SOCKET_IOCP_FAULTS", &self.faults);
        program
    }

    /// Runs the program by this command and serves it its clients.
    ///
    /// # Panics
    /// When anything is lost, doubled or changed.
    pub fn run(&self, program: &Command) -> Report {
        let mut program = clone(program);
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program");
        let output = Output::default();
        let (input, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let outcomes = thread::scope(|scope| {
            scope.spawn(|| output.read(stdout));
            self.serve(&output, input)
        });
        let status = child.wait().expect("a child");
        let lines = output.lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert!(status.success(), "{}: {status}\n{}", self.name, lines.join("\n"));
        self.compare(&outcomes, &lines)
    }

    /// All clients at once; the program is told to end when only those are left that wait for it.
    fn serve(&self, output: &Output, input: ChildStdin) -> Vec<Outcome> {
        let address = output.await_line("the address", |line| line.strip_prefix("@address: ")?.parse().ok());
        let idle = Gate::new();
        let idle = &idle;
        thread::scope(|scope| {
            let (mut staying, mut others) = (Vec::new(), Vec::new());
            for (number, ending) in (0..).zip(&self.endings) {
                let thread = scope.spawn(move || client::run(address, number, *ending, self.nudge, idle));
                if *ending == Ending::Stay { &mut staying } else { &mut others }.push(thread);
            }
            let join = |thread: thread::ScopedJoinHandle<'_, Outcome>| {
                thread.join().unwrap_or_else(|_| panic!("{}: see above", self.name))
            };
            let mut outcomes: Vec<Outcome> = others.into_iter().map(join).collect();
            for outcome in &outcomes {
                let start = format!("@farewell: {} ", outcome.port);
                output.await_line("a farewell", |line| line.starts_with(&start).then_some(()));
            }
            idle.wait_for("clients that stay", staying.len() as u64);
            drop(input);
            outcomes.extend(staying.into_iter().map(join));
            outcomes
        })
    }

    fn compare(&self, outcomes: &[Outcome], lines: &[String]) -> Report {
        let said = |key: &str| -> Vec<Vec<&str>> {
            let all = lines.iter().filter_map(|line| line.strip_prefix('@')?.strip_prefix(key)?.strip_prefix(": "));
            all.map(|rest| rest.split(' ').collect()).collect()
        };
        let all = lines.join("\n");
        assert!(said("broken").is_empty(), "{}\n{all}", self.name);
        assert_eq!(said("over").len(), 1, "{}\n{all}", self.name);
        assert_eq!(said("listener"), [["Some(Cancelled)"]], "{}", self.name);
        let descriptors: Vec<usize> = numbers(&said("descriptors")[0]);
        assert!(descriptors[0] == descriptors[1] || self.keeps_descriptors, "{}: {descriptors:?}", self.name);
        let accepts: Vec<u64> = numbers(&said("accepts")[0]);
        let farewells = said("farewell");
        assert_eq!(accepts[0], farewells.len() as u64, "{}: a farewell for each connection", self.name);

        let ended: Vec<Ended> = farewells.iter().map(|words| Ended::parse(words)).collect();
        for outcome in outcomes {
            self.compare_one(outcome, &ended);
        }
        let is_fault = |ended: &&Ended| matches!(self.fate, Fate::EndsSocket(errno) if ended.os == errno);
        Report {
            name: self.name.clone(),
            connections: farewells.len(),
            bytes: ended.iter().map(|ended| ended.received).sum(),
            operations: ended.iter().map(|ended| ended.operations).sum(),
            completed: ended.iter().map(|ended| ended.completed).sum(),
            ended: ended.iter().filter(is_fault).count(),
            accept_errors: accepts[1],
            accept_backoffs: accepts[2],
            shortages: numbers(&said("shortages")[0])[0],
            overflows: said("overflows").first().map(|words| numbers(words)[0]),
            faults: said("fault").iter().map(|words| Report::fault(words)).collect(),
        }
    }

    fn compare_one(&self, outcome: &Outcome, all: &[Ended]) {
        let mut of_this = all.iter().filter(|ended| ended.port == outcome.port);
        let (Some(ended), None) = (of_this.next(), of_this.next()) else {
            panic!("{}: {outcome:?} has not one farewell\n{all:#?}", self.name);
        };
        assert!(outcome.echoed <= ended.sent && ended.sent <= ended.received, "{}: {outcome:?}, {ended:?}", self.name);
        if matches!(self.fate, Fate::EndsSocket(errno) if ended.os == errno) {
            return;
        }
        let expected = match outcome.ending {
            Ending::Fin => "Ok",
            Ending::Abort | Ending::Stay => "Cancelled",
            Ending::Reset => "Reset",
            Ending::Linger => "TimedOut",
        };
        let whole = outcome.broken.is_none() && outcome.echoed == outcome.written && ended.code == expected;
        assert!(whole, "{}: {outcome:?}, {ended:?}", self.name);
    }
}

impl Output {
    fn read(&self, stdout: ChildStdout) {
        for line in BufReader::new(stdout).lines() {
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.expect("text"));
            self.grown.notify_all();
        }
    }

    fn await_line<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + BOUND;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = lines.iter().find_map(|line| look(line)) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}:\n{}", lines.join("\n"));
            lines = self.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Ended {
    fn parse(words: &[&str]) -> Ended {
        let counts: Vec<u64> = numbers(&words[..7]);
        Ended {
            port: counts[0] as u16,
            received: counts[1],
            sent: counts[2],
            operations: counts[3] + counts[5],
            completed: counts[4] + counts[6],
            code: words[7].to_owned(),
            os: words[8].parse().expect("an errno"),
        }
    }
}

impl Report {
    fn fault(words: &[&str]) -> (String, u64, u64) {
        let counts: Vec<u64> = numbers(&words[2..]);
        (words[0].to_owned(), counts[0], counts[1])
    }

    /// Says what came of it, past the harness, which keeps what tests print that pass.
    pub fn say(&self, injected: u64) {
        let Report { name, connections, operations, completed, bytes, ended, .. } = self;
        let with_socket = operations - completed;
        // Nobody may be there to read it.
        let _ = writeln!(
            io::stderr(),
            "faults: {injected} injected, {connections} connections, {ended} of them ended by it, {operations} operations, \
             {completed} completed, {with_socket} ended with their socket, {bytes} bytes: {name}"
        );
    }
}

fn numbers<T: FromStr>(words: &[&str]) -> Vec<T> {
    words.iter().map(|word| word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))).collect()
}

/// The same command once more.
fn clone(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}
