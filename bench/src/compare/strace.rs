//! System calls, counted by `strace -c -f`. Each costs a traced server much more than otherwise, so that its batches grow:
//! where calls depend on batches, the figure is a lower bound.

use super::report::SystemCalls;
use crate::error::{Doing, Error};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

/// Names that are told of each server.
const NAMES: usize = 4;

/// A process that is being traced.
#[derive(Debug)]
pub(super) struct Trace {
    strace: Child,
    said: BufReader<ChildStderr>,
}

/// Whether there is a strace, and it may trace.
pub(super) fn is_there() -> bool {
    let found = Command::new("strace").args(["-c", "-f", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

impl Trace {
    /// When this returns, calls are counted.
    pub(super) fn start(process: u32) -> Result<Trace, Error> {
        let mut strace = Command::new("strace")
            .args(["-c", "-f", "-p", &process.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .doing("strace")?;
        let Some(stderr) = strace.stderr.take() else { unreachable!("it was asked for") };
        let mut trace = Trace { strace, said: BufReader::new(stderr) };
        let mut line = String::new();
        trace.said.read_line(&mut line).doing("strace")?;
        if line.contains("attached") { Ok(trace) } else { Err(Error::failed(format!("strace: {}", line.trim()))) }
    }

    /// Stops counting. The process goes on.
    pub(super) fn stop(mut self, server: &str, units: u64) -> Result<SystemCalls, Error> {
        let pid = Pid::from_raw(self.strace.id() as i32).expect("a child is not 0");
        kill_process(pid, Signal::INT).doing("ending strace")?;
        let mut table = String::new();
        self.said.read_to_string(&mut table).doing("strace's table")?;
        self.strace.wait().doing("strace")?;
        let calls = parse(&table);
        let total: u64 = calls.iter().map(|(_, count)| count).sum();
        let each = |count: u64| count as f64 / units.max(1) as f64;
        let by_name = calls.into_iter().take(NAMES).map(|(name, count)| (name, each(count))).collect();
        Ok(SystemCalls { server: server.to_owned(), each: each(total), by_name })
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Names and counts, the most frequent first. A line: % time, seconds, usecs/call, calls, errors or nothing, name.
fn parse(table: &str) -> Vec<(String, u64)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [percent, _, _, calls, .., name] = fields[..] else { return None };
        percent.parse::<f64>().ok()?;
        (name != "total").then_some(())?;
        Some((name.to_owned(), calls.parse().ok()?))
    };
    let mut calls: Vec<(String, u64)> = table.lines().filter_map(row).collect();
    calls.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_strace_is_read() {
        let table = "strace: Process 1 detached\n\
            % time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            96.87    0.371285           3    111250           sendto\n  \
             3.13    0.011993           0    111400        20 recvfrom\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.383278           3    222650        20 total\n";
        assert_eq!(parse(table), [("recvfrom".to_owned(), 111_400), ("sendto".to_owned(), 111_250)]);
        assert_eq!(parse(""), []);
    }
}
