//! Why there is no report.

use std::{fmt, io};

/// One sentence, and whether the bench had begun.
#[derive(Debug)]
pub struct Error {
    message: String,
    started: bool,
}

impl Error {
    pub(crate) fn cannot_start(message: impl Into<String>) -> Error {
        Error { message: message.into(), started: false }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Error {
        Error { message: message.into(), started: true }
    }

    /// Adds what it happened at.
    #[cfg(target_os = "linux")]
    pub(crate) fn about(self, what: &str) -> Error {
        Error { message: format!("{what}: {}", self.message), ..self }
    }

    /// Whether measuring had begun: else what was asked for cannot be measured here.
    pub fn had_started(&self) -> bool {
        self.started
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Adds what was being done when the system said no.
#[cfg_attr(not(any(target_os = "linux", windows)), expect(dead_code, reason = "only measuring makes system calls"))]
pub(crate) trait Doing<T> {
    /// The failure of something after the start.
    fn doing(self, what: &str) -> Result<T, Error>;
    /// The failure of something without which the bench cannot start.
    fn needed(self, what: &str) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::failed(format!("{what}: {}", error.into())))
    }

    fn needed(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::cannot_start(format!("{what}: {}", error.into())))
    }
}
