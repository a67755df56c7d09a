//! What the test's process holds, and a process of its own for a test that counts it or changes its limits.

use crate::{Lab, child, child_role, run_child};
use std::fs;

/// Runs the test `name` (a function under `on_every_backend!`) again in a process of its own, and `body` there.
#[track_caller]
pub fn in_own_process(name: &str, lab: &Lab, body: impl FnOnce(&Lab)) {
    let test = format!("{name}::{}", lab.kind().name());
    if child_role().as_deref() == Some(test.as_str()) {
        return body(lab);
    }
    run_child(child(&test, &test));
}

/// The process's open descriptors.
pub fn open_descriptors() -> usize {
    // One of them is that of the directory being read.
    fs::read_dir("/proc/self/fd").expect("procfs").count() - 1
}

/// The process's resident memory, in KiB.
pub fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}
