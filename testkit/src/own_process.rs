//! A process of its own, for a test that counts what a process holds or changes its limits.

use crate::{Lab, child, child_role, run_child};

/// Runs the test `name` (a function under `on_every_backend!`) again in a process of its own, and `body` there. What it prints
/// is printed here.
#[track_caller]
pub fn in_own_process(name: &str, lab: &Lab, body: impl FnOnce(&Lab)) {
    let test = format!("{name}::{}", lab.name());
    if child_role().as_deref() == Some(test.as_str()) {
        return body(lab);
    }
    print!("{}", String::from_utf8_lossy(&run_child(child(&test, &test)).stdout));
}
