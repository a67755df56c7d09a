//! What the tests of programs need of POSIX.

#![allow(dead_code, reason = "each program's tests use a part of this")]

use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::process::{Child, Command};

/// What asks a program to end.
pub type Interrupt = Signal;

/// All of them, Ctrl-C first.
pub const INTERRUPTS: &[Interrupt] = &[Signal::INT, Signal::TERM];

/// What the system says of an address that another socket has.
pub const IN_USE: &str = "Address already in use";
/// What it says of one where nobody listens.
pub const REFUSED: &str = "Connection refused";
/// A backend that this platform has not.
pub const ABSENT_BACKEND: &str = "iocp";

pub fn send(interrupt: Interrupt, child: &Child) {
    kill_process(Pid::from_child(child), interrupt).expect("it runs");
}

/// Starts a child as `send` needs it: as it is.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

/// The right to kill a child from another thread.
pub struct Killer(Pid);

impl Killer {
    pub fn of(child: &Child) -> Killer {
        Killer(Pid::from_child(child))
    }

    pub fn kill(&self) {
        // It may have ended in this moment.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// The most memory that a living child had in use at once, in bytes.
pub fn peak_memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("a living process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel's line");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes << 10
}

/// Whether a reset that comes while nobody reads looks like an end in order: never.
pub fn is_reset_told_as_fin() -> bool {
    false
}
