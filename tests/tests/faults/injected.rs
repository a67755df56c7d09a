//! System calls made to fail by strace: `inject=CALL:error=ERROR:when=n+n` suppresses every n-th call of each thread and answers
//! the error in its place, see strace(1).
//!
//! # What makes sense
//! A call that is suppressed has done nothing, as one that fails. Where this matters:
//! - EAGAIN says that there is nothing, and from then on an edge-triggered event is due when there is more. Where the socket is not
//!   watched yet, nothing is lost by a lie: the registration looks. Where it is, the event has been taken already, and no program
//!   could find out: there the peer sends more, or connects once more. (`Nudge`.) What nothing follows, the FIN above all, must
//!   not be lied about: these clients ask to be aborted instead.
//! - close gives the number up even when it fails, and a suppressed one does not. So the number stays open, its peer sees no reset
//!   before the program's end; and, the number not being given out again, a second close of it would be seen.
//! - epoll_wait knows EINTR alone of these errors; ENOMEM and EAGAIN are what a filter of system calls might say.
//! - io_uring_enter: EINTR, EAGAIN and EBUSY are in its manual page. EBADR is not tried: it says that a completion is lost.
//! - Every n-th call of all threads together is not to be had: strace counts for each thread. And n = 1 would be for ever.

use crate::client::{Ending, Nudge};
use crate::program::Plan;
use crate::ring::SMALLEST;
use crate::trial::{Fate, Report, Trial};
use crate::{CERTAIN, EVERY_ERROR, steps};
use socket_iocp::BackendKind;
use socket_iocp_testkit::say_left_out;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

/// As many as the loader may make, with libraries to spare.
const CLOSES_OF_THE_LOADER: u64 = 12;

/// The least n that does not make a call fail for ever. A ring that has no memory waits a moment for completions and submits
/// again: every second call is the one that submits.
fn least(calls: &str, errno: i32) -> u64 {
    if calls == "io_uring_enter" && errno != libc::EINTR { 3 } else { 2 }
}

/// Why strace cannot be used here, if it cannot.
fn obstacle() -> Option<&'static str> {
    static OBSTACLE: OnceLock<Option<&'static str>> = OnceLock::new();
    *OBSTACLE.get_or_init(|| {
        let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
        match tried {
            Err(_) => Some("there is no strace"),
            Ok(status) if !status.success() => Some("ptrace(2) is forbidden"),
            Ok(_) => None,
        }
    })
}

/// What strace wrote.
struct Trace(String);

impl Trace {
    /// Lines of calls that were made to fail.
    fn injected(&self) -> impl Iterator<Item = &str> {
        self.0.lines().filter(|line| line.contains("(INJECTED)"))
    }

    /// Each close in its order: the number, and whether it was made to fail. Calls that others came between are written in
    /// two lines, the second of which has no arguments.
    fn closes(&self) -> Vec<(i32, bool)> {
        let mut unfinished: HashMap<&str, i32> = HashMap::new();
        let mut closes = Vec::new();
        for line in self.0.lines() {
            let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
            let injected = call.contains("(INJECTED)");
            let call = call.trim_start();
            if let Some(arguments) = call.strip_prefix("close(") {
                let digits = arguments.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
                let number = digits.parse().expect("a descriptor");
                if call.contains("<unfinished") {
                    unfinished.insert(thread, number);
                } else {
                    closes.push((number, injected));
                }
            } else if call.contains("close resumed") {
                closes.push((unfinished.remove(thread).expect("its first line"), injected));
            }
        }
        closes
    }
}

/// Runs a trial with every n-th of these calls failing.
fn run(trial: &Trial, calls: &str, error: &str, every: u64) -> (Report, Trace) {
    // The loader closes files too, in the first thread, and does not go on when that fails.
    let first = if calls == "close" { every + CLOSES_OF_THE_LOADER } else { every };
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("strace.{}.{number}", process::id()));
    let child = trial.child();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "--seccomp-bpf", "-e", "signal=none", "-e"]).arg(format!("trace={calls}"));
    strace.arg("-e").arg(format!("inject={calls}:error={error}:when={first}+{every}")).arg("-o").arg(&log);
    strace.arg(child.get_program()).args(child.get_args());
    for (name, value) in child.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let report = trial.run(&strace);
    let trace = Trace(fs::read_to_string(&log).expect("what strace wrote"));
    fs::remove_file(&log).expect("what strace wrote");
    let injected = trace.injected().count();
    assert!(injected != 0 || every > CERTAIN, "{}: nothing was put in", trial.name);
    report.say(injected as u64);
    (report, trace)
}

/// Tries these calls with each error, at every n-th for each n that leaves them a way.
fn sweep(
    test: &str,
    plans: &[Plan],
    calls: &str,
    errors: &[(&str, i32)],
    arrange: impl Fn(&mut Trial, i32),
    check: impl Fn(&Trial, i32, &Report, &Trace),
) {
    if let Some(obstacle) = obstacle() {
        return say_left_out(test, obstacle);
    }
    for plan in plans {
        for (error, errno) in errors {
            for every in steps().iter().filter(|every| **every >= least(calls, *errno)) {
                let name = format!("{calls}: {error}, n = {every}");
                let mut trial = Trial::new(&name, plan.clone(), Fate::Harmless);
                arrange(&mut trial, *errno);
                let (report, trace) = run(&trial, calls, error, *every);
                check(&trial, *errno, &report, &trace);
            }
        }
    }
}

fn readiness() -> [Plan; 2] {
    [2, 0].map(|threads| Plan::new(BackendKind::Readiness, threads))
}

fn io_uring() -> [Plan; 2] {
    [2, 0].map(|threads| Plan::new(BackendKind::IoUring, threads))
}

fn both() -> Vec<Plan> {
    readiness().into_iter().chain(io_uring()).collect()
}

/// Each fault on a connected socket ended exactly one socket.
fn ends_one_each(trial: &Trial, _: i32, report: &Report, trace: &Trace) {
    let expected = if trial.fate == Fate::Harmless { 0 } else { trace.injected().count() };
    assert_eq!(report.ended, expected, "{}", trial.name);
}

#[test]
fn readiness_recv() {
    let arrange = |trial: &mut Trial, errno| {
        trial.fate = Fate::of_transfer(errno);
        if errno == libc::EAGAIN {
            trial.nudge = Nudge::Byte;
            trial.endings.fill(Ending::Abort);
        }
    };
    sweep("readiness_recv", &readiness(), "recvfrom,recvmsg", &EVERY_ERROR, arrange, ends_one_each);
}

fn send_with(test: &str, call: &str) {
    let arrange = |trial: &mut Trial, errno| {
        trial.fate = Fate::of_transfer(errno);
        if errno == libc::EAGAIN {
            trial.nudge = Nudge::Byte;
        }
    };
    sweep(test, &readiness(), call, &EVERY_ERROR, arrange, ends_one_each);
}

#[test]
fn readiness_send() {
    send_with("readiness_send", "sendto");
}

#[test]
fn readiness_sendmsg() {
    send_with("readiness_sendmsg", "sendmsg");
}

#[test]
fn readiness_accept() {
    let arrange = |trial: &mut Trial, errno| {
        if errno == libc::EAGAIN {
            trial.nudge = Nudge::Connection;
        }
    };
    let check = |trial: &Trial, errno, report: &Report, trace: &Trace| {
        let told = if matches!(errno, libc::EINTR | libc::EAGAIN) { 0 } else { trace.injected().count() as u64 };
        assert_eq!(report.accept_errors, told, "{}", trial.name);
        let short = matches!(errno, libc::ENOMEM | libc::ENOBUFS | libc::EMFILE);
        assert_eq!(report.accept_backoffs, if short { told } else { 0 }, "{}", trial.name);
    };
    sweep("readiness_accept", &readiness(), "accept,accept4", &EVERY_ERROR, arrange, check);
}

#[test]
fn readiness_wait() {
    let errors = [EVERY_ERROR[0], EVERY_ERROR[1], EVERY_ERROR[2]];
    sweep("readiness_wait", &readiness(), "epoll_wait,epoll_pwait", &errors, |_, _| {}, |_, _, _, _| {});
}

/// A registration that is refused ends the socket that it was for. The listener's own is its worker's first.
#[test]
fn readiness_watch() {
    let errors = [("ENOMEM", libc::ENOMEM), ("ENOSPC", libc::ENOSPC)];
    let arrange = |trial: &mut Trial, errno| trial.fate = Fate::EndsSocket(errno);
    let check = |trial: &Trial, _, report: &Report, trace: &Trace| {
        // A listener's deregistration may fail: it is closed next.
        let expected = trace.injected().filter(|line| !line.contains("EPOLL_CTL_DEL")).count();
        assert_eq!(report.ended, expected, "{}", trial.name);
    };
    // With one worker: the registrations of two workers' wakers would be the caller's first two.
    let plan = Plan::new(BackendKind::Readiness, 1);
    sweep("readiness_watch", &[plan], "epoll_ctl", &errors, arrange, check);
}

#[test]
fn close() {
    let errors = [("EINTR", libc::EINTR), ("EIO", libc::EIO)];
    let arrange = |trial: &mut Trial, _| {
        trial.keeps_descriptors = true;
        trial.endings = vec![Ending::Fin; 80];
    };
    let check = |trial: &Trial, _, _: &Report, trace: &Trace| {
        let mut failed = HashSet::new();
        for (number, injected) in trace.closes() {
            assert!(!failed.contains(&number), "{}: {number} is closed again", trial.name);
            if injected {
                failed.insert(number);
            }
        }
        assert_eq!(failed.len(), trace.injected().count(), "{}", trial.name);
    };
    sweep("close", &both(), "close", &errors, arrange, check);
}

/// What wakes a worker: a write to a counter. Nobody else writes so often.
#[test]
fn wake() {
    sweep("wake", &both(), "write", &[("EINTR", libc::EINTR)], |_, _| {}, |_, _, _, _| {});
}

#[test]
fn io_uring_enter() {
    let errors = [("EINTR", libc::EINTR), ("EAGAIN", libc::EAGAIN), ("EBUSY", libc::EBUSY)];
    sweep("io_uring_enter", &io_uring(), "io_uring_enter", &errors, |_, _| {}, |_, _, _, _| {});
}

/// With the smallest of rings, where every submission is a call of its own.
#[test]
fn io_uring_enter_with_small_rings() {
    let errors = [("EINTR", libc::EINTR), ("EAGAIN", libc::EAGAIN), ("EBUSY", libc::EBUSY)];
    let arrange = |trial: &mut Trial, _| trial.ring = Some(SMALLEST);
    sweep("io_uring_enter_with_small_rings", &io_uring(), "io_uring_enter", &errors, arrange, |_, _, _, _| {});
}

/// The timer of a driven port: one that cannot be set is set by the next run.
#[test]
fn readiness_timer() {
    let arrange = |trial: &mut Trial, _| {
        trial.plan.linger_ms = 200;
        trial.endings.fill(Ending::Linger);
    };
    let plan = Plan::new(BackendKind::Readiness, 0);
    sweep("readiness_timer", &[plan], "timerfd_settime", &[("ENOMEM", libc::ENOMEM)], arrange, |_, _, _, _| {});
}
