//! What is measured: a service, and the load on it.

use crate::works::{MEMBER_MESSAGE_BYTES, REQUEST_BYTES, Service, Serving, WAKE_BYTES};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most connections of an echo.
const MAX_ECHO_CONNECTIONS: usize = 10_000;
/// The most idle connections.
const MAX_IDLE_CONNECTIONS: usize = 500_000;
/// The longest message of an echo, in bytes.
const MAX_ECHO_BYTES: usize = 1 << 20;

/// Requests in a packet of [`Workload::Answer`].
const REQUESTS_A_PACKET: usize = 32;
/// Connections of [`Workload::Answer`], each with one packet under way.
const ANSWER_CONNECTIONS: usize = 50;
/// Members of [`Workload::FanOut`].
const MEMBERS: usize = 1000;
/// Connections of the streams.
const STREAMS: usize = 8;
/// Connections under way at once of [`Workload::Connections`].
const CONNECTING: usize = 32;
/// The unit of a stream, in bytes.
pub(super) const STREAM_UNIT: usize = 64 << 10;

/// One thing to measure. Its name is what [`fmt::Display`] writes and [`FromStr`] reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Workload {
    /// Messages go there and back, one under way on each connection: `echo:CONNECTIONS:BYTES:WORKERS`.
    Echo {
        /// How many.
        connections: usize,
        /// Of each message.
        bytes: usize,
        /// Threads of the server that serve connections. One is pinned to a CPU, several are not.
        workers: usize,
    },
    /// 32 requests of 64 bytes a packet, each answered by a send call of its own: `answer`.
    Answer,
    /// The same, answered by as few calls as the library can do with: `answer-batched`.
    AnswerBatched,
    /// A message of 128 bytes to 1,000 members.
    FanOut {
        /// Whether a thread sends it that serves no connections (`fan-out-thread`) or the callback that received it
        /// (`fan-out`).
        from_thread: bool,
    },
    /// A stream into the server: `bulk-in`.
    BulkIn,
    /// A stream out of it: `bulk-out`.
    BulkOut,
    /// Connect, one exchange of 64 bytes, reset: `connections`.
    Connections,
    /// A send from a thread that serves no connections, and the answer back to it: `wake`.
    Wake,
    /// What connections cost in memory that have nothing to say: `idle:CONNECTIONS`.
    Idle {
        /// How many.
        connections: usize,
    },
}

/// How a load is made up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub(super) connections: usize,
    /// Of what is sent at once on a connection.
    pub(super) bytes: usize,
    /// What is counted for each of these.
    pub(super) units: u64,
}

impl Workload {
    /// All that the documentation has tables of.
    pub fn standard() -> Vec<Workload> {
        let echo = |connections, bytes| Workload::Echo { connections, bytes, workers: 1 };
        vec![
            echo(1, 64),
            echo(100, 64),
            echo(1000, 64),
            echo(10_000, 64),
            echo(100, 4096),
            echo(100, 64 << 10),
            Workload::Echo { connections: 100, bytes: 64, workers: 2 },
            Workload::Answer,
            Workload::AnswerBatched,
            Workload::FanOut { from_thread: false },
            Workload::FanOut { from_thread: true },
            Workload::BulkIn,
            Workload::BulkOut,
            Workload::Connections,
            Workload::Wake,
            Workload::Idle { connections: 5000 },
            Workload::Idle { connections: 15_000 },
        ]
    }

    /// In words.
    pub fn title(&self) -> String {
        match *self {
            Workload::Echo { connections, bytes, workers } => {
                let (connections, workers) = (counted(connections, "connection"), counted(workers, "worker"));
                format!("Echo of {} over {connections}, {workers}", size(bytes))
            }
            Workload::Answer => format!("{REQUESTS_A_PACKET} requests a packet, a send call for each answer"),
            Workload::AnswerBatched => format!("{REQUESTS_A_PACKET} requests a packet, answers sent together"),
            Workload::FanOut { from_thread: false } => format!("A message to {MEMBERS} members, from a callback"),
            Workload::FanOut { from_thread: true } => format!("A message to {MEMBERS} members, from another thread"),
            Workload::BulkIn => "A stream into the server".to_owned(),
            Workload::BulkOut => "A stream out of the server".to_owned(),
            Workload::Connections => "Connect, one exchange, reset".to_owned(),
            Workload::Wake => "A send from another thread, and its answer".to_owned(),
            Workload::Idle { connections } => format!("{connections} idle connections"),
        }
    }

    /// What is counted, in the singular.
    pub fn unit(&self) -> &'static str {
        match self {
            Workload::Echo { .. } => "message",
            Workload::Answer | Workload::AnswerBatched => "request",
            Workload::FanOut { .. } => "delivery",
            Workload::BulkIn | Workload::BulkOut => "64 KiB",
            Workload::Connections | Workload::Idle { .. } => "connection",
            Workload::Wake => "round trip",
        }
    }

    /// The same, in the plural.
    pub fn units(&self) -> &'static str {
        match self {
            Workload::Echo { .. } => "messages",
            Workload::Answer | Workload::AnswerBatched => "requests",
            Workload::FanOut { .. } => "deliveries",
            Workload::BulkIn | Workload::BulkOut => "times 64 KiB",
            Workload::Connections | Workload::Idle { .. } => "connections",
            Workload::Wake => "round trips",
        }
    }

    /// Whether memory is measured rather than time.
    pub fn is_idle(&self) -> bool {
        matches!(self, Workload::Idle { .. })
    }

    pub(super) fn shape(&self) -> Shape {
        let shape = |connections, bytes, units| Shape { connections, bytes, units };
        match *self {
            Workload::Echo { connections, bytes, .. } => shape(connections, bytes, 1),
            Workload::Answer | Workload::AnswerBatched => {
                shape(ANSWER_CONNECTIONS, REQUESTS_A_PACKET * REQUEST_BYTES, REQUESTS_A_PACKET as u64)
            }
            Workload::FanOut { .. } => shape(MEMBERS, MEMBER_MESSAGE_BYTES, MEMBERS as u64),
            Workload::BulkIn | Workload::BulkOut => shape(STREAMS, 4 * STREAM_UNIT, 1),
            Workload::Connections => shape(CONNECTING, 64, 1),
            Workload::Wake => shape(1, WAKE_BYTES, 1),
            Workload::Idle { connections } => shape(connections, 64, 1),
        }
    }

    pub(super) fn serving(&self) -> Serving {
        let service = match self {
            Workload::Echo { .. } | Workload::Connections | Workload::Idle { .. } => Service::Echo,
            Workload::Answer => Service::Answer,
            Workload::AnswerBatched => Service::AnswerBatched,
            Workload::FanOut { from_thread: false } => Service::FanOut,
            Workload::FanOut { from_thread: true } => Service::FanOutThread,
            Workload::BulkIn => Service::Sink,
            Workload::BulkOut => Service::Source,
            Workload::Wake => Service::Wake,
        };
        let read_buffer = match self {
            Workload::BulkIn | Workload::BulkOut => STREAM_UNIT,
            Workload::Echo { bytes, .. } => (*bytes).clamp(4096, STREAM_UNIT),
            _ => 4096,
        };
        let threads = if let Workload::Echo { workers, .. } = self { *workers } else { 1 };
        Serving { service, read_buffer, threads }
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn size(bytes: usize) -> String {
    if bytes >= 1024 && bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} bytes") }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Workload::Echo { connections, bytes, workers: 1 } => write!(f, "echo:{connections}:{bytes}"),
            Workload::Echo { connections, bytes, workers } => write!(f, "echo:{connections}:{bytes}:{workers}"),
            Workload::Answer => f.write_str("answer"),
            Workload::AnswerBatched => f.write_str("answer-batched"),
            Workload::FanOut { from_thread: false } => f.write_str("fan-out"),
            Workload::FanOut { from_thread: true } => f.write_str("fan-out-thread"),
            Workload::BulkIn => f.write_str("bulk-in"),
            Workload::BulkOut => f.write_str("bulk-out"),
            Workload::Connections => f.write_str("connections"),
            Workload::Wake => f.write_str("wake"),
            Workload::Idle { connections } => write!(f, "idle:{connections}"),
        }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Workload, String> {
        let number = |text: &str, most| match text.parse::<usize>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(format!("{text} in {name} is not a number from 1 to {most}")),
        };
        let fields: Vec<&str> = name.split(':').collect();
        match fields[..] {
            ["echo", connections, bytes] | ["echo", connections, bytes, _] => Ok(Workload::Echo {
                connections: number(connections, MAX_ECHO_CONNECTIONS)?,
                bytes: number(bytes, MAX_ECHO_BYTES)?,
                workers: fields.get(3).map_or(Ok(1), |workers| number(workers, 1024))?,
            }),
            ["idle", connections] => Ok(Workload::Idle { connections: number(connections, MAX_IDLE_CONNECTIONS)? }),
            _ => {
                let known = Workload::standard().into_iter().find(|workload| workload.to_string() == name);
                known.ok_or_else(|| format!("no work named {name}"))
            }
        }
    }
}

impl From<Workload> for String {
    fn from(workload: Workload) -> String {
        workload.to_string()
    }
}

impl TryFrom<String> for Workload {
    type Error = String;

    fn try_from(name: String) -> Result<Workload, String> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for workload in Workload::standard() {
            assert_eq!(workload.to_string().parse(), Ok(workload), "{workload}");
        }
        assert_eq!("echo:7:100:3".parse(), Ok(Workload::Echo { connections: 7, bytes: 100, workers: 3 }));
        for wrong in ["", "echo", "echo:0:64", "echo:1:64:0", "echo:1:2:3:4", "idle:", "idle:x", "echo:1:9999999"] {
            assert!(wrong.parse::<Workload>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn titles_tell_works_apart() {
        let mut titles: Vec<String> = Workload::standard().iter().map(Workload::title).collect();
        titles.sort();
        titles.dedup();
        assert_eq!(titles.len(), Workload::standard().len());
    }
}
