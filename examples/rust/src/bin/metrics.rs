//! `metrics ADDRESS`: tells Prometheus over HTTP what the port and each of its workers have done, in the text format 0.0.4.
//!
//! The port that is measured is the one that answers; a server of something else adds one more listen socket for this, and takes
//! the statistics of its own port. Reading them stops no worker. A connection has one request: a scrape every few seconds gains
//! nothing by keeping its connection.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Error, Farewell, Handler, Options, PortHandle, ReadBuffer, Sent, Statistics};
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Bytes of a request at most.
const MAX_REQUEST: usize = 8 << 10;
/// Lines of a request's head at most.
const MAX_HEADERS: usize = 64;
/// How long a client may say nothing, or read nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric: its name, its type, what it says, and where it is found.
type Metric = (&'static str, &'static str, &'static str, fn(&Statistics) -> u64);

const METRICS: &[Metric] = &[
    ("sockets", "gauge", "Connected sockets.", |now| now.sockets_now),
    ("queued_sends", "gauge", "Async sends outstanding.", |now| now.queued_sends_now),
    ("queued_bytes", "gauge", "Bytes in the async sends outstanding.", |now| now.queued_bytes_now),
    ("accepts_total", "counter", "Connections accepted.", |now| now.accepts),
    ("recvs_total", "counter", "Recvs completed.", |now| now.recvs),
    ("sends_total", "counter", "Sends completed.", |now| now.sends),
    ("received_bytes_total", "counter", "Bytes received.", |now| now.received_bytes),
    ("sent_bytes_total", "counter", "Bytes sent.", |now| now.sent_bytes),
    ("farewells_total", "counter", "Sockets that have ended.", |now| now.farewells),
    ("panics_total", "counter", "Panics caught.", |now| now.panics),
    ("accept_errors_total", "counter", "Accepts that failed.", |now| now.accept_errors),
    ("connects_total", "counter", "Connects completed with success.", |now| now.connects),
    ("accept_backoffs_total", "counter", "Pauses of listeners.", |now| now.accept_backoffs),
    ("buffer_shortages_total", "counter", "Operations that waited for memory.", |now| now.buffer_shortages),
    ("empty_rings_total", "counter", "Recvs that found no read buffer.", |now| now.empty_rings),
    ("shortage_pauses_total", "counter", "Pauses for want of memory.", |now| now.shortage_pauses),
    ("linger_timeouts_total", "counter", "Sockets ended by the linger limit.", |now| now.linger_timeouts),
    ("idle_timeouts_total", "counter", "Sockets ended by the idle time-out.", |now| now.idle_timeouts),
    ("timers_total", "counter", "Timers that have ended.", |now| now.timers),
    ("operation_timeouts_total", "counter", "Operations ended by their time limit.", |now| now.operation_timeouts),
    ("high_watermarks_total", "counter", "Crossings of the high watermark.", |now| now.high_watermarks),
    ("waits_total", "counter", "Waits for completions.", |now| now.waits),
    ("completions_total", "counter", "Completions taken from the system.", |now| now.completions),
    ("wakeups_total", "counter", "Wake-ups by other threads.", |now| now.wakeups),
];

/// The statistics of each worker, as Prometheus reads them; it adds them up.
fn exposition(port: &PortHandle<Metrics>) -> String {
    let workers: Vec<Statistics> = (0..).map_while(|worker| port.worker_statistics(worker)).collect();
    let mut text = String::new();
    for (name, kind, help, value) in METRICS {
        // A String takes all that is written to it.
        let _ = write!(text, "# HELP socket_iocp_{name} {help}\n# TYPE socket_iocp_{name} {kind}\n");
        for (number, worker) in workers.iter().enumerate() {
            let _ = writeln!(text, "socket_iocp_{name}{{worker=\"{number}\"}} {}", value(worker));
        }
    }
    text
}

struct Metrics;

impl Metrics {
    /// The answer to a request; `None` while it is not here in full.
    fn answer(port: &PortHandle<Metrics>, request: &[u8]) -> Option<String> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let (status, body) = match head.parse(request) {
            Ok(httparse::Status::Partial) if request.len() < MAX_REQUEST => return None,
            Ok(httparse::Status::Complete(_)) => match (head.method, head.path) {
                (Some("GET"), Some("/metrics")) => ("200 OK", exposition(port)),
                (Some("GET"), _) => ("404 Not Found", "see /metrics\n".into()),
                _ => ("405 Method Not Allowed\r\nAllow: GET", "GET only\n".into()),
            },
            _ => ("400 Bad Request", "not a request\n".into()),
        };
        let length = body.len();
        let head = format!("Content-Type: {CONTENT_TYPE}\r\nContent-Length: {length}\r\nConnection: close");
        Some(format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}"))
    }
}

impl Handler for Metrics {
    type Listener = ();
    type Socket = Vec<u8>;
    type Write = ();

    fn accept(&self, context: &Context<'_, Metrics>, (): &()) -> Option<Vec<u8>> {
        context.recv().ok().map(|()| Vec::new())
    }

    // An issue call here is refused only if the socket is ending already; its farewell is then on the way.
    fn recv(&self, context: &Context<'_, Metrics>, request: &mut Vec<u8>, received: Result<ReadBuffer, Error>) {
        let bytes = received.as_deref().unwrap_or_default();
        request.extend_from_slice(bytes);
        let _ = match Metrics::answer(context.port(), request) {
            Some(answer) => context.sync_send(answer.into_bytes(), ()).map_err(|refused| refused.error),
            None if bytes.is_empty() => context.close(),
            None => context.recv(),
        };
    }

    fn send(&self, context: &Context<'_, Metrics>, _: &mut Vec<u8>, _: Sent<()>) {
        let _ = context.close();
    }

    fn error(&self, _: &Context<'_, Metrics>, _: Vec<u8>, _: Farewell) {}
}

fn main() -> ExitCode {
    socket_iocp_examples::run("metrics ADDRESS", |[address]| {
        // With a limit of bytes the port counts what is queued.
        let options = Options::new(4 << 10).idle_timeout(IDLE_TIMEOUT).max_queued_bytes(1 << 20);
        socket_iocp_examples::serve(Metrics, options, &address)
    })
}
