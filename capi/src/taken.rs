//! Read buffers that C has taken: a registry by address, so that whatever is given to `socket_iocp_release_buffer` can be
//! judged without looking at it. A taken buffer may outlive its port.

use crate::handler::CHandler;
use crate::{fork, ports};
use engine::{Error, ErrorCode, PortHandle, ReadBuffer, SocketHandle};
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a taken buffer came from.
struct Origin {
    /// The handle of its port, which may be gone.
    port: usize,
    fork_depth: u32,
}

type Registry = Option<HashMap<usize, Origin>>;

static REGISTRY: Mutex<Registry> = Mutex::new(None);

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Detaches the read buffer that the socket's last recv callback was given.
pub(crate) fn take(port: &PortHandle<CHandler>, socket: SocketHandle) -> Result<*mut c_void, Error> {
    let handler = port.handler();
    let mut registry = registry();
    let taken = registry.get_or_insert_with(HashMap::new);
    // The counter goes up under the lock only.
    if handler.taken_buffers.load(Ordering::Relaxed) >= handler.max_taken_buffers {
        return Err(ErrorCode::Limit.into());
    }
    taken.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
    let buffer = port.take_lent(socket)?.into_raw();
    taken.insert(buffer as usize, Origin { port: handler.port, fork_depth: fork::depth() });
    handler.taken_buffers.fetch_add(1, Ordering::Relaxed);
    Ok(buffer.cast())
}

/// Gives a taken buffer back. `E_BAD_HANDLE` if it is none, or no more.
pub(crate) fn release(buffer: *mut c_void) -> Result<(), Error> {
    let mut registry = registry();
    let taken = registry.get_or_insert_with(HashMap::new);
    let Entry::Occupied(entry) = taken.entry(buffer as usize) else {
        return Err(ErrorCode::BadHandle.into());
    };
    if entry.get().fork_depth != fork::depth() {
        return Err(ErrorCode::Closed.into());
    }
    let origin = entry.remove();
    drop(registry);
    // SAFETY: the registry says that `into_raw` gave this pointer out and that nobody has brought it back since.
    drop(unsafe { ReadBuffer::from_raw(buffer.cast()) });
    // A port that is gone counts no more.
    let _ = ports::with_port(origin.port, |port| {
        port.handler().taken_buffers.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    });
    Ok(())
}

/// Keeps the registry's lock over a fork: the child must not find it held by a thread that it does not have.
struct OverFork(UnsafeCell<Option<MutexGuard<'static, Registry>>>);

// SAFETY: the cell is touched by the thread that holds the registry's lock only, which is the one that forks.
unsafe impl Sync for OverFork {}

static OVER_FORK: OverFork = OverFork(UnsafeCell::new(None));

/// Called by the thread that is about to fork.
pub(crate) fn lock_for_fork() {
    let guard = registry();
    // SAFETY: this thread holds the lock now.
    unsafe { *OVER_FORK.0.get() = Some(guard) };
}

/// Called after the fork, in the parent and in the child, by the thread that forked.
pub(crate) fn unlock_after_fork() {
    // SAFETY: this thread has held the lock since `lock_for_fork`.
    let guard = unsafe { (*OVER_FORK.0.get()).take() };
    drop(guard);
}
