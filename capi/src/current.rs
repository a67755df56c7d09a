//! The callback that runs on this thread: what `socket_iocp_result` reports, and the short way to its port.

use crate::abi::{Completion, Operation};
use crate::addresses::Addresses;
use crate::handler::CHandler;
use engine::{Context, Error, PortHandle, RawSocket};
use std::cell::{Cell, OnceCell};
use std::ptr::{self, NonNull};

thread_local! {
    /// The innermost callback on this thread; null outside of any. A callback may run another port and so hold inner
    /// ones: each leaves what it found.
    static CURRENT: Cell<*const Current> = const { Cell::new(ptr::null()) };
}

/// A callback, as long as it runs. It lies on the stack of the thread that `CURRENT` belongs to.
struct Current {
    port: NonNull<PortHandle<CHandler>>,
    /// None in a listen socket's farewell.
    context: Option<NonNull<Context<'static, CHandler>>>,
    report: Report,
    /// Made when they are asked for; their place does not change, so that C may be given pointers to them.
    addresses: OnceCell<Addresses>,
}

/// What a callback reports.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    pub(crate) operation: Operation,
    pub(crate) result: Result<(), Error>,
    pub(crate) byte_count: u64,
    pub(crate) socket: RawSocket,
}

/// Puts back what was there when the callback began.
struct Restore(*const Current);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs a callback of C.
pub(crate) fn run<T>(
    port: &PortHandle<CHandler>,
    context: Option<&Context<'_, CHandler>>,
    report: Report,
    callback: impl FnOnce() -> T,
) -> T {
    let current = Current {
        port: NonNull::from(port),
        context: context.map(|context| NonNull::from(context).cast()),
        report,
        addresses: OnceCell::new(),
    };
    let _restore = Restore(CURRENT.replace(&raw const current));
    callback()
}

pub(crate) fn in_callback() -> bool {
    !CURRENT.get().is_null()
}

/// Calls `look` with the running callback, if it is one of this port.
fn with_current<T>(handle: usize, look: impl FnOnce(&Current, &PortHandle<CHandler>) -> T) -> Option<T> {
    // SAFETY: what `CURRENT` points to lies in the frame of `run`, further down on this thread's stack, which resets
    // `CURRENT` before it goes; the port is borrowed for as long as that frame.
    let (current, port) = unsafe {
        let current = CURRENT.get().as_ref()?;
        (current, current.port.as_ref())
    };
    (port.handler().port == handle).then(|| look(current, port))
}

/// The port of the running callback, if that is its handle. Valid until the callback returns.
pub(crate) fn port(handle: usize) -> Option<NonNull<PortHandle<CHandler>>> {
    with_current(handle, |_, port| NonNull::from(port))
}

/// The completion that the running callback reports, if it is one of this port.
pub(crate) fn completion(handle: usize) -> Option<Completion> {
    with_current(handle, |current, _| {
        let Report { operation, result, byte_count, socket } = current.report;
        let mut completion = Completion {
            size: 0,
            operation: operation as u32,
            status: result.err().map_or(0, |error| error.code() as i32),
            os_error: result.err().and_then(|error| error.os_error()).unwrap_or(0),
            local_address_size: 0,
            remote_address_size: 0,
            socket,
            socket_iocp_socket_state: ptr::null_mut(),
            local_address: ptr::null(),
            remote_address: ptr::null(),
            byte_count,
            segment_size: 0,
        };
        if let Some(context) = current.context {
            // SAFETY: as for the port in `with_current`: borrowed for as long as the frame of `run`.
            let context = unsafe { context.as_ref() };
            let named = current.report.operation != Operation::Farewell;
            let addresses = current.addresses.get_or_init(|| Addresses::of(context, named));
            completion.socket_iocp_socket_state = ptr::without_provenance_mut(context.handle().into_raw());
            completion.segment_size = context.segment_size();
            (completion.local_address, completion.local_address_size) = addresses.local();
            (completion.remote_address, completion.remote_address_size) = addresses.remote();
        }
        completion
    })
}
