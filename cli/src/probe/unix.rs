//! POSIX, and Linux in particular.

use super::{System, number_text};
use crate::report::{self, Lines};
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use std::fs;

/// What there is to tell here beside the backends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// kernel.io_uring_disabled: 0 allowed, 1 privileged processes only, 2 forbidden; `None` where the kernel has no
    /// such setting.
    io_uring_disabled: Option<u64>,
    descriptors: Limit,
    /// Bytes.
    locked_memory: Limit,
    somaxconn: Option<u64>,
}

/// A resource limit; `None` is no limit.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Limit {
    soft: Option<u64>,
    hard: Option<u64>,
}

pub fn system() -> System {
    let names = rustix::system::uname();
    System {
        system: names.sysname().to_string_lossy().into_owned(),
        kernel: names.release().to_string_lossy().into_owned(),
        machine: names.machine().to_string_lossy().into_owned(),
    }
}

impl Facts {
    pub fn look() -> Facts {
        Facts {
            io_uring_disabled: kernel_setting("kernel/io_uring_disabled"),
            descriptors: limit(Resource::Nofile),
            locked_memory: limit(Resource::Memlock),
            somaxconn: kernel_setting("net/core/somaxconn"),
        }
    }

    pub fn add_facts(&self, lines: &mut Lines) {
        lines.heading("kernel");
        lines.add("  io_uring", io_uring_text(self.io_uring_disabled));
        lines.add("  listening", number_text(self.somaxconn, "connections in a listen queue at most (somaxconn)"));
    }

    pub fn add_limits(&self, lines: &mut Lines) {
        lines.add("  files", limit_text(self.descriptors, "descriptors (RLIMIT_NOFILE)"));
        lines.add("  locked", limit_text(self.locked_memory, "bytes of memory (RLIMIT_MEMLOCK)"));
    }
}

fn limit(resource: Resource) -> Limit {
    let limit = getrlimit(resource);
    Limit { soft: limit.current, hard: limit.maximum }
}

/// A number under /proc/sys, where there is such a thing.
fn kernel_setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

fn io_uring_text(disabled: Option<u64>) -> String {
    match disabled {
        None => "kernel.io_uring_disabled is not there".into(),
        Some(0) => "kernel.io_uring_disabled is 0: allowed to every process".into(),
        Some(1) => "kernel.io_uring_disabled is 1: allowed to privileged processes only".into(),
        Some(value) => format!("kernel.io_uring_disabled is {value}: forbidden"),
    }
}

fn limit_text(limit: Limit, what: &str) -> String {
    let text = |limit: Option<u64>| limit.map_or("unlimited".into(), report::thousands);
    format!("{} {what}, could be raised to {}", text(limit.soft), text(limit.hard))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn facts() -> Facts {
        Facts {
            io_uring_disabled: Some(2),
            descriptors: Limit { soft: Some(1024), hard: Some(1_048_576) },
            locked_memory: Limit { soft: None, hard: None },
            somaxconn: Some(4096),
        }
    }

    #[test]
    fn the_text_tells_every_fact() {
        let mut lines = Lines::default();
        facts().add_facts(&mut lines);
        facts().add_limits(&mut lines);
        let text = lines.text();
        for part in [
            "kernel.io_uring_disabled is 2: forbidden\n",
            "4,096 connections in a listen queue",
            "1,024 descriptors (RLIMIT_NOFILE), could be raised to 1,048,576\n",
            "unlimited bytes of memory (RLIMIT_MEMLOCK), could be raised to unlimited\n",
        ] {
            assert!(text.contains(part), "'{part}' is missing in\n{text}");
        }
    }
}
