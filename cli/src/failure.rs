//! Why a command did not do what was asked, and the exit code that says so.

use std::fmt;

/// One line for stderr and an exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

/// The command ran, and something went wrong on its way.
pub const EXIT_FAILED: u8 = 1;
/// The command could not start: a wrong argument, an address in use, a limit that is too low.
pub const EXIT_CANNOT_START: u8 = 2;
/// Ended by a second Ctrl-C.
pub const EXIT_INTERRUPTED: u8 = 130;

impl Failure {
    /// What was asked cannot be started.
    pub fn cannot_start(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), code: EXIT_CANNOT_START }
    }

    /// It started and then failed.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), code: EXIT_FAILED }
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.message))
    }
}

/// The text on one line: whatever an error message brings, stderr gets one line of it.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::cannot_start("first\n  second\r\nthird");
        assert_eq!(failure.to_string(), "first second third");
        assert_eq!(failure.code(), 2);
    }
}
