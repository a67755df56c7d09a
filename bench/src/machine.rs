//! The machine that figures come from.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its name and release.
    pub kernel: String,
    /// As the kernel names it.
    pub architecture: String,
    /// The model's name.
    pub cpu: String,
    /// CPUs that the process may use.
    pub cpus_allowed: usize,
    /// The CPU that the servers ran on.
    pub server_cpu: usize,
    /// The CPU that the load ran on, when it ran apart.
    pub load_cpu: usize,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}, CPUs to use: {}.", self.kernel, self.architecture, self.cpu, self.cpus_allowed)
    }
}
