//! Memory that many sends share: named by handle, released once, when its creator and the last send have let go of it.

use crate::abi::ReleaseCallback;
use crate::handler::UserPointer;
use crate::table::{Entered, Named, Table};
use engine::{Error, ErrorCode, SendBuffer};
use std::ffi::c_void;
use std::slice;

static SHARED: Table<Shared> = Table::new();

/// Memory of the caller's. Dropped by whoever leaves it last: the creator, or the last send.
pub(crate) struct Shared {
    data: UserPointer,
    len: usize,
    release: Option<ReleaseCallback>,
    state: UserPointer,
}

impl Named for Shared {
    const INDEX_BITS: u32 = if usize::BITS >= 64 { 24 } else { 16 };
    const TAG: usize = 0b11;
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: that the function is sound is the caller's part of `share`; the header says on which threads it may run.
            unsafe { release(self.state.0) };
        }
    }
}

/// What one send has of it. While it lives, the memory is not released.
struct Piece {
    shared: Entered<'static, Shared>,
    offset: usize,
    len: usize,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        let data = self.shared.data.0.cast_const().cast::<u8>();
        // SAFETY: `send_buffer` has seen that the range is within the memory, which stays valid and unchanged until it is
        // released, by the promise of `share`'s caller.
        unsafe { slice::from_raw_parts(data.add(self.offset), self.len) }
    }
}

/// Makes a handle for the memory. Errors: `Limit`, `NoMemory`.
///
/// # Safety
/// The `len` bytes at `data` stay valid and unchanged until `release` is called, which is sound and may be called from any
/// thread.
pub(crate) unsafe fn share(
    data: *const c_void,
    len: usize,
    release: Option<ReleaseCallback>,
    state: *mut c_void,
) -> Result<usize, Error> {
    let claim = SHARED.claim()?;
    let handle = claim.handle();
    claim.publish(Shared { data: UserPointer(data.cast_mut()), len, release, state: UserPointer(state) });
    Ok(handle)
}

/// A part of the memory as the bytes of a send. Errors: `BadHandle`, `Closed` (released by its creator), `InvalidArgument` (not
/// within it), `Limit` (too many sends), `NoMemory`.
pub(crate) fn send_buffer(handle: usize, offset: usize, len: usize) -> Result<SendBuffer, Error> {
    let shared = SHARED.enter(handle)?;
    let end = offset.checked_add(len).ok_or(ErrorCode::InvalidArgument)?;
    if end > shared.len {
        return Err(ErrorCode::InvalidArgument.into());
    }
    SendBuffer::from_owner(Piece { shared, offset, len }).map_err(|_| ErrorCode::NoMemory.into())
}

/// The creator lets go of it: no further send gets it. Errors: `BadHandle`, `Closed`.
pub(crate) fn release(handle: usize) -> Result<(), Error> {
    SHARED.close(handle).map(drop)
}
