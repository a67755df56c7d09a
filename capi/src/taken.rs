//! Read buffers that C has taken: a registry by address, so that whatever is given to `socket_iocp_release_buffer` can
//! be judged without looking at it. A taken buffer may outlive its port.

use crate::handler::CHandler;
use crate::ports;
use engine::{Error, ErrorCode, PortHandle, ReadBuffer, SocketHandle};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By address, the handle of the port that each came from; the port may be gone.
type Registry = Option<HashMap<usize, usize>>;

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
    let buffer = port.take_lent(socket).map_err(no_buffer)?.into_raw();
    taken.insert(buffer.addr(), handler.port);
    handler.taken_buffers.fetch_add(1, Ordering::Relaxed);
    Ok(buffer.cast())
}

/// For C a NULL pointer is one that C gave: a socket without a buffer is something else.
fn no_buffer(error: Error) -> Error {
    match error.code() {
        ErrorCode::NullPointer => ErrorCode::InvalidArgument.into(),
        _ => error,
    }
}

/// Gives a taken buffer back. `E_BAD_HANDLE` if it is none, or no more.
pub(crate) fn release(buffer: *mut c_void) -> Result<(), Error> {
    let mut registry = registry();
    let taken = registry.get_or_insert_with(HashMap::new);
    let origin = taken.remove(&buffer.addr()).ok_or(ErrorCode::BadHandle)?;
    drop(registry);
    // SAFETY: the registry says that `into_raw` gave this pointer out and that nobody has brought it back since.
    drop(unsafe { ReadBuffer::from_raw(buffer.cast()) });
    // A port that is gone counts no more.
    let _ = ports::with_port(origin, |port| {
        port.handler().taken_buffers.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    });
    Ok(())
}
