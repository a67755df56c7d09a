//! The ports of this process, and the way from a `socket_iocp_state` to the engine.

use crate::abi::{self, ErrorCallback, RecvCallback, SWITCH_OFF, SWITCH_ON, SendCallback, THREADS_NONE};
use crate::handler::{CHandler, Callbacks};
use crate::table::{Entered, Named, Table};
use crate::{current, platform};
use engine::{BackendKind, Ended, Error, ErrorCode, Options, Port, PortHandle};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The default of `max_taken_buffers`.
const DEFAULT_TAKEN_BUFFERS: usize = 65_536;

/// A port in the table.
struct Entry {
    port: PortHandle<CHandler>,
    /// Until somebody ends the port.
    owner: Mutex<Option<Port<CHandler>>>,
}

impl Named for Entry {
    const INDEX_BITS: u32 = if usize::BITS >= 64 { 16 } else { 8 };
    const TAG: usize = 0b01;
}

impl Entry {
    /// The port itself, for who ends it.
    fn take_owner(&self) -> Option<Port<CHandler>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

static PORTS: Table<Entry> = Table::new();

/// Calls `call` with the port of this handle.
///
/// In a callback of that port no atomic is written: the engine holds the port while the callback runs.
pub(crate) fn with_port<T>(
    handle: usize,
    call: impl FnOnce(&PortHandle<CHandler>) -> Result<T, Error>,
) -> Result<T, Error> {
    if handle == 0 {
        return Err(ErrorCode::NullPointer.into());
    }
    match current::port(handle) {
        // SAFETY: the callback is further down on this thread's stack, so it runs until `call` has returned.
        Some(port) => call(unsafe { port.as_ref() }),
        None => call(&PORTS.enter(handle)?.port),
    }
}

/// Makes a port and its handle.
pub(crate) fn create(read_buffer_size: usize, callbacks: Callbacks, given: &abi::Options) -> Result<usize, Error> {
    let options = engine_options(read_buffer_size, given)?;
    platform::stay_loaded()?;
    let claim = PORTS.claim()?;
    let handle = claim.handle();
    let handler = CHandler {
        port: handle,
        callbacks,
        taken_buffers: AtomicUsize::new(0),
        max_taken_buffers: or_default(given.max_taken_buffers, DEFAULT_TAKEN_BUFFERS),
    };
    let owner = Port::new(handler, options)?;
    claim.publish(Entry { port: (*owner).clone(), owner: Mutex::new(Some(owner)) });
    Ok(handle)
}

/// Deletes a port. Outside of callbacks it returns when the port and every call that was in it are gone.
pub(crate) fn delete(handle: usize) -> Result<(), Error> {
    if handle == 0 {
        return Err(ErrorCode::NullPointer.into());
    }
    let entry = PORTS.close(handle)?;
    match entry.take_owner() {
        Some(port) => port.delete(),
        // Another thread is shutting it down: that ends now, or has ended.
        None => drop(entry.port.begin_shutdown(Duration::ZERO)),
    }
    leave(handle, entry);
    Ok(())
}

/// Leaves a port that is closed, and waits for the others.
fn leave(handle: usize, entry: Entered<'_, Entry>) {
    drop(entry);
    // A callback must not wait for calls: the call that it waits for could be the one that it runs in.
    if !current::in_callback() {
        PORTS.wait_until_freed(handle);
    }
}

/// Ends a port gracefully. Only a call that waits for the end gives the handle up.
pub(crate) fn shut_down(handle: usize, within: Duration) -> Result<Ended, Error> {
    if current::in_callback() {
        return with_port(handle, |port| {
            port.begin_shutdown(within)?;
            Ok(port.ended())
        });
    }
    if handle == 0 {
        return Err(ErrorCode::NullPointer.into());
    }
    // The port stays in the table meanwhile: calls on it go on working.
    let entry = PORTS.enter(handle)?;
    let Some(port) = entry.take_owner() else {
        // Another thread waits for the end of it.
        entry.port.begin_shutdown(within)?;
        return Ok(entry.port.ended());
    };
    let ended = port.shutdown(within);
    match PORTS.close(handle) {
        Ok(closed) => {
            drop(entry);
            leave(handle, closed);
        }
        // Deleted meanwhile by a thread that waits for this call to leave.
        Err(_) => drop(entry),
    }
    Ok(ended)
}

fn or_default<T: Default + PartialEq>(given: T, default: T) -> T {
    if given == T::default() { default } else { given }
}

fn engine_options(read_buffer_size: usize, given: &abi::Options) -> Result<Options, Error> {
    let mut options = Options::new(read_buffer_size);
    options = match given.threads {
        0 => options,
        THREADS_NONE => options.threads(0),
        count => options.threads(usize::try_from(count).map_err(|_| ErrorCode::InvalidArgument)?),
    };
    options = match given.backend {
        0 => options,
        number => options.backend(backend_of(number).ok_or(ErrorCode::InvalidArgument)?),
    };
    if given.linger_ms != 0 {
        options = options.linger(Duration::from_millis(given.linger_ms.into()));
    }
    if given.max_queued_sends != 0 {
        options = options.max_queued_sends(given.max_queued_sends);
    }
    if given.max_queued_bytes != 0 {
        options = options.max_queued_bytes(given.max_queued_bytes);
    }
    if given.idle_timeout_ms != 0 {
        options = options.idle_timeout(Duration::from_millis(given.idle_timeout_ms.into()));
    }
    if given.max_sockets != 0 {
        options = options.max_sockets(given.max_sockets);
    }
    options = options.idle_reads(switched(given.idle_reads)?.unwrap_or(false));
    if let Some(skip) = switched(given.skip_on_success)? {
        options = options.skip_on_success(skip);
    }
    options = options.pin_workers(switched(given.pin_workers)?.unwrap_or(false));
    options = options.busy_poll(Duration::from_micros(given.busy_poll_us.into()));
    options = options.zero_copy_from(given.zero_copy_from);
    if given.sqpoll_idle_ms != 0 {
        options = options.sqpoll(Duration::from_millis(given.sqpoll_idle_ms.into()));
    }
    if given.high_watermark != 0 {
        options = options.high_watermark(given.high_watermark);
    } else if given.watermark_callback_function.is_some() {
        return Err(ErrorCode::InvalidArgument.into());
    }
    options = options.low_watermark(given.low_watermark);
    if given.max_port_queued_bytes != 0 {
        options = options.max_port_queued_bytes(given.max_port_queued_bytes);
    }
    options = options.shutdown_closes_idle(switched(given.shutdown_closes_idle)?.unwrap_or(true));
    options = options.multishot_recv(switched(given.multishot_recv)?.unwrap_or(false));
    Ok(options)
}

/// What a switch is set to; `None` for its default.
fn switched(given: u32) -> Result<Option<bool>, Error> {
    match given {
        0 => Ok(None),
        SWITCH_ON => Ok(Some(true)),
        SWITCH_OFF => Ok(Some(false)),
        _ => Err(ErrorCode::InvalidArgument.into()),
    }
}

/// `enum socket_iocp_backend`.
pub(crate) fn backend_of(number: u32) -> Option<BackendKind> {
    [BackendKind::IoUring, BackendKind::Readiness, BackendKind::Iocp].into_iter().find(|kind| *kind as u32 == number)
}

/// The four callbacks of the seed, none of which may be NULL, and those among the options.
pub(crate) fn callbacks(
    accept: Option<abi::AcceptCallback>,
    recv: Option<RecvCallback>,
    send: Option<SendCallback>,
    error: Option<ErrorCallback>,
    options: &abi::Options,
) -> Result<Callbacks, Error> {
    match (accept, recv, send, error) {
        (Some(accept), Some(recv), Some(send), Some(error)) => Ok(Callbacks {
            accept,
            recv,
            send,
            error,
            listen_error: options.listen_error_callback_function,
            watermark: options.watermark_callback_function,
            timer: options.timer_callback_function,
            connect: options.connect_callback_function,
            datagram: options.datagram_callback_function,
        }),
        _ => Err(ErrorCode::NullPointer.into()),
    }
}
