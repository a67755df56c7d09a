//! `socket-iocp probe`: what this machine offers, and why the rest is not to be had.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

use crate::arguments::BACKENDS;
use crate::failure::Failure;
use crate::report::{self, Lines};
use clap::Args;
use serde::{Deserialize, Serialize};
use socket_iocp::{BackendKind, Context, Error, Farewell, Handler, Options, Port, ReadBuffer, Sent};
use std::process::{Command, ExitCode};
use std::thread;

/// The variables that override a port's options.
const OVERRIDES: [&str; 2] = ["SOCKET_IOCP_BACKEND", "SOCKET_IOCP_THREADS"];

/// Tells what this machine offers: backends, facts about the system, limits
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// The JSON document of `probe --json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Findings {
    version: String,
    #[serde(flatten)]
    system: System,
    /// What a port with default options runs on here; `None` if it cannot be made.
    default_backend: Option<String>,
    /// Why a better backend is passed over, or why no port can be made; empty if neither.
    default_reason: String,
    /// Each without the environment's overrides.
    backends: Vec<Backend>,
    overrides: Vec<Override>,
    parallelism: Option<usize>,
    #[serde(flatten)]
    platform: platform::Facts,
}

/// The operating system and what it runs on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct System {
    system: String,
    kernel: String,
    machine: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Backend {
    name: String,
    available: bool,
    /// Why not; empty if available.
    reason: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Override {
    variable: String,
    value: String,
}

/// `socket-iocp probe`.
pub fn command(args: &ProbeArgs) -> Result<ExitCode, Failure> {
    let findings = look()?;
    if args.json {
        report::print_json(&findings)?;
    } else {
        report::print(&text(&findings))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn look() -> Result<Findings, Failure> {
    let overrides = overrides();
    let backends = if overrides.is_empty() { BACKENDS.map(probe_backend).to_vec() } else { probe_without_overrides()? };
    let (default_backend, default_reason) = default_port();
    Ok(Findings {
        version: env!("CARGO_PKG_VERSION").into(),
        system: platform::system(),
        default_backend,
        default_reason,
        backends,
        overrides,
        parallelism: thread::available_parallelism().ok().map(usize::from),
        platform: platform::Facts::look(),
    })
}

fn overrides() -> Vec<Override> {
    OVERRIDES
        .into_iter()
        .filter_map(|variable| {
            let value = std::env::var_os(variable)?.to_string_lossy().into_owned();
            Some(Override { variable: variable.into(), value })
        })
        .collect()
}

/// Callbacks that never run: the ports here get no sockets.
struct Nothing;

impl Handler for Nothing {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        None
    }
    fn recv(&self, _: &Context<'_, Self>, _: &mut (), _: Result<ReadBuffer, Error>) {}
    fn send(&self, _: &Context<'_, Self>, _: &mut (), _: Sent<()>) {}
    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}

const PROBE_READ_BUFFER: usize = 4096;

fn default_port() -> (Option<String>, String) {
    match Port::new(Nothing, Options::new(PROBE_READ_BUFFER)) {
        Ok(port) => (Some(port.backend().name().into()), port.backend_reason().into()),
        Err(error) => (None, error.to_string()),
    }
}

/// Makes a port on the backend. The environment must not override the choice.
fn probe_backend(kind: BackendKind) -> Backend {
    let made = Port::new(Nothing, Options::new(PROBE_READ_BUFFER).threads(1).backend(kind));
    Backend {
        name: kind.name().into(),
        available: made.is_ok(),
        reason: made.err().map_or(String::new(), |error| error.to_string()),
    }
}

/// Asks this same program again with the overrides taken away, since a process cannot change its own environment
/// safely.
fn probe_without_overrides() -> Result<Vec<Backend>, Failure> {
    let failed = |why: String| Failure::failed(format!("cannot probe without the environment's overrides: {why}"));
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut again = Command::new(program);
    again.args(["probe", "--json"]);
    for variable in OVERRIDES {
        again.env_remove(variable);
    }
    let output = again.output().map_err(|error| failed(error.to_string()))?;
    let findings: Findings = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    Ok(findings.backends)
}

fn text(findings: &Findings) -> String {
    let mut lines = Lines::default();
    lines.add("socket-iocp", &findings.version);
    let System { system, kernel, machine } = &findings.system;
    lines.add("system", format!("{system} {kernel} {machine}"));
    lines.add("a port here", default_text(findings));
    for backend in &findings.backends {
        let state = if backend.available { "available".into() } else { format!("not available: {}", backend.reason) };
        lines.add(&format!("  {}", backend.name), state);
    }
    if findings.overrides.is_empty() {
        lines.add("environment", format!("{} not set", OVERRIDES.join(" and ")));
    }
    for Override { variable, value } in &findings.overrides {
        lines.add("environment", format!("{variable}={value}"));
    }
    findings.platform.add_facts(&mut lines);
    lines.heading("limits");
    lines.add("  processors", number_text(findings.parallelism.map(|count| count as u64), "to run on at once"));
    findings.platform.add_limits(&mut lines);
    lines.text().to_owned()
}

fn default_text(findings: &Findings) -> String {
    match (&findings.default_backend, findings.default_reason.as_str()) {
        (None, reason) => format!("cannot be made: {reason}"),
        (Some(backend), "") => format!("runs on {backend}"),
        (Some(backend), reason) => format!("runs on {backend} ({reason})"),
    }
}

fn number_text(number: Option<u64>, what: &str) -> String {
    match number {
        Some(number) => format!("{} {what}", report::thousands(number)),
        None => "not known".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        Findings {
            version: "1.2.3".into(),
            system: System { system: "Linux".into(), kernel: "6.1.0".into(), machine: "x86_64".into() },
            default_backend: Some("readiness".into()),
            default_reason: "io_uring: not permitted".into(),
            backends: vec![
                Backend { name: "io_uring".into(), available: false, reason: "not permitted".into() },
                Backend { name: "readiness".into(), available: true, reason: String::new() },
            ],
            overrides: vec![Override { variable: "SOCKET_IOCP_THREADS".into(), value: "3".into() }],
            parallelism: Some(4),
            platform: platform::tests::facts(),
        }
    }

    #[test]
    fn the_text_tells_every_finding() {
        let text = text(&findings());
        for part in [
            "socket-iocp  1.2.3\n",
            "Linux 6.1.0 x86_64\n",
            "runs on readiness (io_uring: not permitted)\n",
            "  io_uring   not available: not permitted\n",
            "  readiness  available\n",
            "environment  SOCKET_IOCP_THREADS=3\n",
            "limits\n  processors 4 to run on at once\n",
        ] {
            assert!(text.contains(part), "'{part}' is missing in\n{text}");
        }
    }

    #[test]
    fn the_json_document_is_read_back_as_it_was() {
        let json = serde_json::to_string(&findings()).expect("JSON");
        assert_eq!(serde_json::from_str::<Findings>(&json).expect("read"), findings());
    }
}
