//! What servers are asked to do. The names and their meaning are those of `bench/peers/README.md`.

use serde::{Deserialize, Serialize};

/// Bytes of a request of [`Service::Answer`].
pub(crate) const REQUEST_BYTES: usize = 64;
/// Bytes of a message of [`Service::FanOut`].
pub(crate) const MEMBER_MESSAGE_BYTES: usize = 128;
/// Bytes of a message of [`Service::Wake`].
pub(crate) const WAKE_BYTES: usize = 64;
/// Byte number n of a stream of [`Service::Source`] is n modulo this.
pub(crate) const SOURCE_PERIOD: usize = 251;

/// What a server does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Service {
    Echo,
    Answer,
    AnswerBatched,
    FanOut,
    FanOutThread,
    Sink,
    Source,
    Wake,
}

impl Service {
    pub(crate) const ALL: [Service; 8] = [
        Service::Echo,
        Service::Answer,
        Service::AnswerBatched,
        Service::FanOut,
        Service::FanOutThread,
        Service::Sink,
        Service::Source,
        Service::Wake,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Echo => "echo",
            Service::Answer => "answer",
            Service::AnswerBatched => "answer-batched",
            Service::FanOut => "fan-out",
            Service::FanOutThread => "fan-out-thread",
            Service::Sink => "sink",
            Service::Source => "source",
            Service::Wake => "wake",
        }
    }
}

/// How a server is to serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) service: Service,
    /// Bytes of the buffer that a connection is read into, and about those of each piece of [`Service::Source`].
    pub(crate) read_buffer: usize,
    /// Threads that serve connections.
    pub(crate) threads: usize,
}

/// What a server counted while it served.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Times that it asked the system for events.
    pub(crate) waits: u64,
    /// Events or completions that these brought.
    pub(crate) completions: u64,
}

/// A piece of the stream of [`Service::Source`] that is sent again and again: a whole number of periods, `at_least` bytes
/// or a few more.
pub(crate) fn source_piece(at_least: usize) -> Vec<u8> {
    let len = at_least.next_multiple_of(SOURCE_PERIOD);
    (0..len).map(|at| (at % SOURCE_PERIOD) as u8).collect()
}
