//! `socket-iocp serve`: the echo, discard and chargen services of old, until Ctrl-C.

mod listen;
mod service;
mod tuning;

pub use listen::Listening;
pub use service::{Service, ServiceKind};
pub use tuning::TuningArgs;

use crate::address::{Address, Endpoint};
use crate::arguments::{BackendName, on_or_off, positive_seconds};
use crate::failure::{EXIT_INTERRUPTED, Failure};
use crate::{limits, report, signals};
use clap::Args;
use service::Event;
use socket_iocp::{Ended, MAX_IDLE_TIMEOUT, Options, Port, PortHandle, Statistics};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

/// Serves echo, discard or chargen until Ctrl-C
///
/// When it is ready it prints one line to standard output: `listening on ADDR backend=NAME workers=N`, with the real
/// port where 0 was asked for. The first Ctrl-C or
#[cfg_attr(not(windows), doc = "SIGTERM")]
#[cfg_attr(windows, doc = "Ctrl-Break")]
/// shuts down: no connection is accepted any more, those open finish what is under way and are closed, what is left after
/// `--grace` is reset, the statistics are printed, the exit code is 0. A second one resets what is left at once; the exit
/// code is 130.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// What to serve
    #[arg(value_enum)]
    pub service: ServiceKind,

    /// Where: `HOST:PORT`, `[IPV6]:PORT`
    #[cfg_attr(not(windows), doc = "or `unix:PATH`")]
    #[arg(long, short, value_name = "ADDR")]
    pub listen: Address,

    #[command(flatten)]
    pub port: PortArgs,

    /// Connections taken from the kernel ahead of their accept callback
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub backlog: u32,

    /// The kernel's own queue of connections; the system may cut it
    #[cfg_attr(target_os = "linux", doc = "(net.core.somaxconn)")]
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(i32).range(1..))]
    pub listen_queue: i32,

    /// Share the address with other processes that do the same: the kernel spreads the connections over them (Linux)
    #[arg(long, hide = cfg!(not(target_os = "linux")))]
    pub reuse_port: bool,

    /// The most connections at once; more wait in the kernel's queue [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_connections: Option<u64>,

    /// How long a connection may take to close gracefully
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = positive_seconds)]
    pub linger: Duration,

    /// How long connections may take to finish after the first Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = positive_seconds)]
    pub grace: Duration,

    /// Reset a connection that keeps the server waiting for so long: with nothing to read, or with nothing it reads
    /// [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = idle_seconds)]
    pub idle_timeout: Option<Duration>,

    /// Echo reads on while so many bytes of its answers are queued, counted by whole read buffers [default: none, each
    /// answer is sent before more is read]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_queued_bytes: Option<u32>,

    /// Wait for data without a buffer, so that an idle connection pins no memory; only completion ports mind
    #[arg(long, hide = cfg!(not(windows)))]
    pub idle_reads: bool,

    /// Report what succeeds at once without a turn through the completion port; only completion ports mind [default:
    /// on, where every provider of TCP sockets allows it]
    #[arg(long, value_name = "on|off", value_parser = on_or_off, hide = cfg!(not(windows)))]
    pub skip_on_success: Option<bool>,

    #[command(flatten)]
    pub tuning: TuningArgs,
}

/// A serving port's options, common to `serve` and `demo`.
#[derive(Args, Clone, Debug)]
pub struct PortArgs {
    /// Worker threads [default: the parallelism available]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=socket_iocp::MAX_THREADS as u64))]
    pub workers: Option<u64>,

    /// The backend [default: the best that the machine offers]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,

    /// Bytes of a read buffer
    #[arg(long, value_name = "BYTES", default_value_t = 16_384,
          value_parser = clap::value_parser!(u64).range(1..=socket_iocp::MAX_READ_BUFFER_SIZE as u64))]
    pub read_buffer: u64,
}

impl PortArgs {
    /// The options of the library that they stand for.
    pub fn options(&self) -> Options {
        let mut options = Options::new(self.read_buffer as usize);
        if let Some(workers) = self.workers {
            options = options.threads(workers as usize);
        }
        if let Some(BackendName(kind)) = self.backend {
            options = options.backend(kind);
        }
        options
    }
}

/// `socket-iocp serve`.
pub fn command(args: &ServeArgs) -> Result<ExitCode, Failure> {
    limits::raise_descriptors();
    let (notices, events) = mpsc::channel();
    let queue = queue_of(args)?;
    let listening = Listening::open(&args.listen.resolve()?, args.listen_queue, args.reuse_port)?;
    let mut service = Service::new(args.service, notices.clone());
    if queue.is_some() {
        service = service.reading_on();
    }
    let port = make_port(service, args, queue)?;
    let over = notices.clone();
    signals::on_interrupt(move || {
        // The receiver goes only when the process ends.
        let _ = notices.send(Event::Interrupt);
    })?;
    let server = Server::start(port, listening, args.backlog as usize)?;
    report::print(&server.ready_line())?;
    server.run_until_interrupted(args.grace, &events, over)
}

/// Parses an idle time-out that a port takes.
fn idle_seconds(text: &str) -> Result<Duration, String> {
    let timeout = positive_seconds(text)?;
    if timeout > MAX_IDLE_TIMEOUT {
        return Err(format!("at most {} seconds", MAX_IDLE_TIMEOUT.as_secs()));
    }
    Ok(timeout.max(Duration::from_millis(1)))
}

/// What may be queued on one connection; `None` where nothing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct QueueLimits {
    sends: u32,
    bytes: u32,
}

/// The limits that `--max-queued-bytes` stands for. An answer of one byte holds its whole read buffer, so it is their
/// number that bounds the memory.
fn queue_of(args: &ServeArgs) -> Result<Option<QueueLimits>, Failure> {
    let Some(bytes) = args.max_queued_bytes else { return Ok(None) };
    let read_buffer = args.port.read_buffer;
    if args.service != ServiceKind::Echo {
        return Err(Failure::cannot_start("--max-queued-bytes is for echo: no other service queues anything"));
    }
    match u32::try_from(u64::from(bytes) / read_buffer) {
        Ok(sends @ 1..) => Ok(Some(QueueLimits { sends, bytes })),
        _ => Err(Failure::cannot_start(format!(
            "--max-queued-bytes must be at least a read buffer: {read_buffer} bytes"
        ))),
    }
}

fn make_port(service: Service, args: &ServeArgs, queue: Option<QueueLimits>) -> Result<Port<Service>, Failure> {
    let mut options = args.port.options().linger(args.linger.max(Duration::from_millis(1))).idle_reads(args.idle_reads);
    if let Some(connections) = args.max_connections {
        options = options.max_sockets(usize::try_from(connections).unwrap_or(usize::MAX));
    }
    if let Some(timeout) = args.idle_timeout {
        options = options.idle_timeout(timeout);
    }
    if let Some(QueueLimits { sends, bytes }) = queue {
        options = options.max_queued_sends(sends).max_queued_bytes(bytes);
    }
    if let Some(skip) = args.skip_on_success {
        options = options.skip_on_success(skip);
    }
    new_port(service, args.tuning.apply(options))
}

/// Makes a port; a refusal names the backend's reason in one line.
pub fn new_port(service: Service, options: Options) -> Result<Port<Service>, Failure> {
    Port::new(service, options).map_err(|error| Failure::cannot_start(format!("cannot make a port: {error}")))
}

/// A port that serves one listen socket.
pub struct Server {
    port: Port<Service>,
    endpoint: Endpoint,
}

impl Server {
    /// Hands the listen socket to the port.
    pub fn start(port: Port<Service>, listening: Listening, backlog: usize) -> Result<Server, Failure> {
        let Listening { socket, endpoint } = listening;
        let added = port.add_listener(socket, backlog, ());
        added.map_err(|refused| Failure::cannot_start(format!("cannot listen on {endpoint}: {}", refused.error)))?;
        Ok(Server { port, endpoint })
    }

    pub fn port(&self) -> &Port<Service> {
        &self.port
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn ready_line(&self) -> String {
        let (backend, workers) = (self.port.backend().name(), self.port.threads());
        format!("listening on {} backend={backend} workers={workers}\n", self.endpoint)
    }

    fn run_until_interrupted(
        self,
        grace: Duration,
        events: &Receiver<Event>,
        over: Sender<Event>,
    ) -> Result<ExitCode, Failure> {
        let lost = match wait(events) {
            Event::ListenerGone(reason) => reason.err(),
            Event::Interrupt | Event::Over => None,
        };
        let handle = PortHandle::clone(&self.port);
        let (ended, interrupted) = self.shut_down(grace, events, over);
        report::print(&statistics_line(&handle.statistics(), ended))?;
        match lost {
            Some(error) => Err(Failure::failed(format!("the listen socket failed: {error}"))),
            None if interrupted => Ok(EXIT_INTERRUPTED.into()),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Lets the connections finish, and says whether that was interrupted.
    fn shut_down(self, grace: Duration, events: &Receiver<Event>, over: Sender<Event>) -> (Ended, bool) {
        let Server { port, endpoint } = self;
        endpoint.remove_file();
        let handle = PortHandle::clone(&port);
        // It may be over already. What comes to an end from here on is counted as finished.
        let _ = handle.begin_shutdown(grace);
        port.handler().finish();
        thread::scope(|scope| {
            let ending = scope.spawn(move || {
                let ended = port.shutdown(grace);
                // The receiver goes only when the process ends.
                let _ = over.send(Event::Over);
                ended
            });
            let mut interrupted = false;
            loop {
                match wait(events) {
                    Event::Over => break,
                    Event::ListenerGone(_) => {}
                    Event::Interrupt => {
                        interrupted = true;
                        // It may be over.
                        let _ = handle.begin_shutdown(Duration::ZERO);
                    }
                }
            }
            (ending.join().expect("it does not panic"), interrupted)
        })
    }
}

fn wait(events: &Receiver<Event>) -> Event {
    // The signal handler's sender lives as long as the process; were it gone, ending would be all that is left to do.
    events.recv().unwrap_or(Event::Interrupt)
}

fn statistics_line(statistics: &Statistics, ended: Ended) -> String {
    format!(
        "statistics accepts={} recvs={} sends={} received_bytes={} sent_bytes={} farewells={} accept_backoffs={} panics={} finished={} aborted={}\n",
        statistics.accepts,
        statistics.recvs,
        statistics.sends,
        statistics.received_bytes,
        statistics.sent_bytes,
        statistics.farewells,
        statistics.accept_backoffs,
        statistics.panics,
        ended.finished,
        ended.aborted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn queue(line: &str) -> Result<Option<QueueLimits>, String> {
        let words = ["serve"].into_iter().chain(line.split_whitespace()).chain(["--listen", "127.0.0.1:0"]);
        queue_of(&Cli::parse_from(words).args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn queued_bytes_are_counted_by_whole_read_buffers() {
        assert_eq!(queue("echo"), Ok(None));
        let limits = QueueLimits { sends: 2, bytes: 2999 };
        assert_eq!(queue("echo --read-buffer 1000 --max-queued-bytes 2999"), Ok(Some(limits)));
        let refused = queue("echo --read-buffer 1000 --max-queued-bytes 999").expect_err("less than one");
        assert!(refused.contains("1000 bytes"), "{refused}");
        let refused = queue("discard --max-queued-bytes 65536").expect_err("nothing to queue");
        assert!(refused.contains("for echo"), "{refused}");
    }

    #[test]
    fn an_idle_timeout_is_one_that_a_port_takes() {
        assert_eq!(idle_seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(idle_seconds("0.0000001"), Ok(Duration::from_millis(1)));
        assert!(idle_seconds("0").is_err());
        let most = MAX_IDLE_TIMEOUT.as_secs();
        assert_eq!(idle_seconds(&most.to_string()), Ok(MAX_IDLE_TIMEOUT));
        assert!(idle_seconds(&(most + 1).to_string()).is_err());
    }
}
