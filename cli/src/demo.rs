//! `socket-iocp demo`: an echo server on loopback and the load on it, in one process.

use crate::address::{self, Endpoint};
use crate::arguments::positive_seconds;
use crate::failure::Failure;
use crate::load::{self, Plan, ShapeArgs, Summary};
use crate::progress::Progress;
use crate::report::{self, Lines, counted};
use crate::serve::{self, Listening, PortArgs, Server, Service, ServiceKind};
use crate::{limits, signals};
use clap::Args;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Connections that the port takes ahead of their accept callback.
const ACCEPT_BACKLOG: usize = 128;
const LISTEN_QUEUE: i32 = 4096;
/// How long the load waits for what does not come.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Serves echo on loopback, loads it for three seconds, and prints what came of it
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    #[command(flatten)]
    shape: ShapeArgs,

    /// Worker threads of the server [default: the parallelism available]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=socket_iocp::MAX_THREADS as u64))]
    workers: Option<u64>,

    /// How long to load it
    #[arg(long, short, value_name = "SECONDS", default_value = "3", value_parser = positive_seconds)]
    duration: Duration,
}

/// `socket-iocp demo`.
pub fn command(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let connections = args.shape.connections as usize;
    limits::raise_descriptors();
    // Both ends of every connection are in this process.
    let workers = args.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, |count| count.get() as u64));
    limits::check_descriptors(args.shape.connections, 2, args.shape.threads + workers)?;
    let stop = signals::stop_flag()?;
    let server = start_server(args)?;
    let (endpoint, sockets) = load::connect_all(&[server.endpoint().clone()], connections, TIMEOUT)?;
    let summary = load::run(&args.plan(), endpoint.to_string(), sockets, &stop, Progress::new("messages", false))?;
    report::print(&text(&server, &endpoint, &summary))?;
    Ok(load::exit_code(&summary))
}

fn start_server(args: &DemoArgs) -> Result<Server, Failure> {
    // The demo ends by deleting its port, so nobody waits for the service's notices.
    let (notices, _) = mpsc::channel();
    let service = Service::new(ServiceKind::Echo, notices);
    let port_args = PortArgs { workers: args.workers, backend: args.shape.backend, read_buffer: 16_384 };
    let port = serve::new_port(service, port_args.options())?;
    Server::start(port, Listening::open(&[address::loopback()], LISTEN_QUEUE, false)?, ACCEPT_BACKLOG)
}

impl DemoArgs {
    fn plan(&self) -> Plan {
        Plan {
            shape: self.shape.clone(),
            rate: None,
            messages: None,
            warmup: Duration::ZERO,
            duration: self.duration,
            timeout: TIMEOUT,
        }
    }
}

fn text(server: &Server, endpoint: &Endpoint, summary: &Summary) -> String {
    let port = server.port();
    let mut lines = Lines::default();
    lines.add("echo server", format!("{endpoint}, in this process"));
    lines.add("backend", port.backend().name());
    if !port.backend_reason().is_empty() {
        lines.add("passed over", port.backend_reason());
    }
    lines.add("workers", port.threads().to_string());
    let load_threads = counted(summary.threads, "load thread");
    lines.add("connections", format!("{}, from {load_threads}", report::thousands(summary.connections)));
    lines.add("message", format!("{} there and back, every one checked", counted(summary.message_bytes, "byte")));
    summary.add_result(&mut lines);
    lines.text().to_owned()
}
