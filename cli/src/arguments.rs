//! Argument types that several commands share.

use socket_iocp::BackendKind;
use std::str::FromStr;
use std::time::Duration;

/// A backend by the name that `SOCKET_IOCP_BACKEND` takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackendName(pub BackendKind);

/// The backends that a user may ask for; the simulated one has no sockets to serve.
pub const BACKENDS: [BackendKind; 3] = [BackendKind::IoUring, BackendKind::Readiness, BackendKind::Iocp];

impl FromStr for BackendName {
    type Err = String;

    fn from_str(name: &str) -> Result<BackendName, String> {
        let found = BACKENDS.into_iter().find(|kind| kind.name() == name);
        found.map(BackendName).ok_or_else(|| format!("the backends are {}", BACKENDS.map(BackendKind::name).join(", ")))
    }
}

const MAX_SECONDS: f64 = 30.0 * 24.0 * 3600.0;

/// Parses seconds, whole or not, with or without an `s` behind them.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    match number.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected seconds, such as 3 or 0.5".into()),
    }
}

/// Parses seconds that are not zero.
pub fn positive_seconds(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if duration.is_zero() { Err("must be more than 0 seconds".into()) } else { Ok(duration) }
}

/// Parses a switch.
pub fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_on_or_off() {
        assert_eq!((on_or_off("on"), on_or_off("off")), (Ok(true), Ok(false)));
        assert!(on_or_off("yes").is_err());
    }

    #[test]
    fn seconds_are_parsed() {
        assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
        assert_eq!(seconds("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for text in ["", "s", "-1", "1m", "nan", "inf", "1e99"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(positive_seconds("0").is_err());
        assert_eq!(positive_seconds("1"), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn backends_go_by_the_names_of_the_environment_variable() {
        assert_eq!("readiness".parse(), Ok(BackendName(BackendKind::Readiness)));
        let refused = "sim".parse::<BackendName>().expect_err("not for users");
        assert_eq!(refused, "the backends are io_uring, readiness, iocp");
    }
}
