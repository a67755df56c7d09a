//! How a port comes to be: options and environment, the choice of the backend, workers.

use crate::buffer::BufferPool;
use crate::handle::{Mailbox, PortNumber, Slots, Token};
use crate::handler::Handler;
use crate::options::{MAX_THREADS, Options};
use crate::port::PortHandle;
use crate::shared::{Parts, Shared, WorkerShared};
use crate::sys::net::Net;
use crate::sys::{Backend, Config, process};
use crate::trace::traced;
use crate::worker::Worker;
use crate::{BackendKind, Error, ErrorCode};
use std::env;
use std::sync::Arc;
use std::thread;

/// The backends of this platform, the best first.
#[cfg(target_os = "linux")]
const BACKENDS: &[BackendKind] = &[BackendKind::IoUring, BackendKind::Readiness];
#[cfg(all(unix, not(target_os = "linux")))]
const BACKENDS: &[BackendKind] = &[BackendKind::Readiness];
#[cfg(windows)]
const BACKENDS: &[BackendKind] = &[BackendKind::Iocp];

/// What a worker is made from.
struct Made {
    token: Token,
    backend: Backend,
    pool: BufferPool,
}

/// Makes a port and starts its workers.
pub(crate) fn open<H: Handler>(handler: H, options: Options) -> Result<Arc<Shared<H>>, Error> {
    if process::is_forked_child() {
        return Err(ErrorCode::Closed.into());
    }
    let mut options = options;
    overridden(&mut options)?;
    options.check()?;
    process::prepare()?;

    let net = options.net()?;
    let count = match options.threads {
        Some(0) => options.driven_workers(),
        Some(threads) => threads,
        None => thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
    };
    let (kind, made, reason) = make_backends(&options, &net, count)?;
    #[cfg(unix)]
    let pollable = made[0].backend.pollable()?;

    let number = PortNumber::new();
    let shared_part = |(index, made): (usize, &Made)| {
        let mailbox = Arc::new(Mailbox::new(made.backend.waker()));
        WorkerShared::new(mailbox.clone(), Slots::new(number.get(), index, &made.token, mailbox))
    };
    let workers = made.iter().enumerate().map(shared_part).collect();
    let parts = Parts {
        number,
        handler,
        options,
        net,
        kind,
        reason,
        workers,
        #[cfg(unix)]
        pollable,
    };
    let shared = Arc::new(Shared::new(parts));
    traced!(INFO, "port made", port = shared.number.get(), backend = kind.name(), workers = count);
    if !shared.reason.is_empty() {
        traced!(INFO, "backend passed over", port = shared.number.get(), reason = shared.reason.as_str());
    }
    start(&shared, made)?;
    Ok(shared)
}

/// Applies the environment, which overrides backend and worker count for the process.
fn overridden(options: &mut Options) -> Result<(), Error> {
    if options.backend != Some(BackendKind::Sim)
        && let Some(name) = variable("SOCKET_IOCP_BACKEND")
    {
        options.backend = Some(BackendKind::from_name(&name).ok_or(ErrorCode::BackendUnavailable)?);
    }
    if options.threads != Some(0)
        && let Some(count) = variable("SOCKET_IOCP_THREADS")
    {
        let count = count.parse().ok().filter(|count| *count != 0).ok_or(ErrorCode::InvalidArgument)?;
        options.threads = Some(count);
    }
    Ok(())
}

/// An environment variable that is set and not empty. One that is no text is as good as a wrong one.
fn variable(name: &str) -> Option<String> {
    let value = env::var_os(name)?;
    (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
}

/// One backend for each worker, all of the same kind: the one that is forced, or the best that can be had; and why a
/// better one was passed over.
fn make_backends(options: &Options, net: &Net, count: usize) -> Result<(BackendKind, Vec<Made>, String), Error> {
    if let Some(kind) = options.backend {
        let made = make_kind(kind, options, net, count).map_err(|error| match error.code() {
            ErrorCode::NoMemory | ErrorCode::NoDescriptors => error,
            _ => Error::with_os(ErrorCode::BackendUnavailable, error.os_error().unwrap_or(0)),
        })?;
        return Ok((kind, made, String::new()));
    }
    let mut reason = String::new();
    let mut last = ErrorCode::BackendUnavailable.into();
    for kind in BACKENDS {
        match make_kind(*kind, options, net, count) {
            Ok(made) => return Ok((*kind, made, reason)),
            Err(error) => {
                reason = format!("{}: {error}", kind.name());
                last = error;
            }
        }
    }
    Err(last)
}

fn make_kind(kind: BackendKind, options: &Options, net: &Net, count: usize) -> Result<Vec<Made>, Error> {
    let mut all = Vec::new();
    all.try_reserve(count).map_err(|_| ErrorCode::NoMemory)?;
    for _ in 0..count {
        let config = Config::new(options, net);
        let mut pool = BufferPool::new(options.read_buffer_size);
        let backend = Backend::new(kind, &config, &mut pool)?;
        all.push(Made { token: Token::new(), backend, pool });
    }
    Ok(all)
}

fn start<H: Handler>(shared: &Arc<Shared<H>>, made: Vec<Made>) -> Result<(), Error> {
    for (index, made) in made.into_iter().enumerate() {
        let worker = Worker::new(made.token, index, PortHandle::new(shared.clone()), made.backend, made.pool);
        if shared.options.threads == Some(0) {
            worker.start_driven()?;
            shared.keep_driven(Box::new(worker));
            continue;
        }
        match process::spawn_worker(format_args!("iocp-{index}"), move || worker.run_thread()) {
            Ok(thread) => shared.keep_thread(thread),
            Err(error) => {
                shared.delete();
                return Err(Error::from_os(error.raw_os_error().unwrap_or(0)));
            }
        }
    }
    Ok(())
}
