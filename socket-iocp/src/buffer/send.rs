//! Send buffers: the bytes of a send, whatever memory they are in.

use super::ReadBuffer;
use super::copied::Copied;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::{fmt, slice};

/// The bytes of a send, owned by the library until its completion.
///
/// Bytes that exist already go as they are, without a copy: `Vec<u8>`, `String`, `Box<[u8]>`, `&'static [u8]`,
/// [`ReadBuffer`]. Small ones made on the spot go by [`PortHandle::send_copy`](crate::PortHandle::send_copy). The same bytes
/// for many sockets are an `Arc<[u8]>` or `Arc<Vec<u8>>`: each send of a clone costs one count up, and one down when it has
/// been reported.
pub struct SendBuffer(Repr);

enum Repr {
    Vec(Vec<u8>),
    Boxed(Box<[u8]>),
    Shared(Arc<[u8]>),
    SharedVec(Arc<Vec<u8>>),
    Static(&'static [u8]),
    Read(ReadBuffer),
    Raw(*const u8, usize),
    Copied(Copied),
}

// SAFETY: every variant but two is Send and Sync; `Raw` promises as much (see `from_raw`), and `Copied` owns its bytes, which
// are no thread's.
unsafe impl Send for SendBuffer {}
// SAFETY: as above; through `&SendBuffer` the bytes can only be read.
unsafe impl Sync for SendBuffer {}

impl SendBuffer {
    /// The caller's memory, as the C interface takes it.
    ///
    /// # Safety
    /// The `len` bytes at `data` stay valid and unchanged, for any thread to read, until this value is dropped.
    pub const unsafe fn from_raw(data: *const u8, len: usize) -> SendBuffer {
        SendBuffer(Repr::Raw(data, len))
    }

    /// A copy of these bytes, in a block that has room for a node of this layout. `None` when memory is refused.
    pub(crate) fn copied(bytes: &[u8], room: Layout) -> Option<SendBuffer> {
        Copied::new(bytes, room).map(|copied| SendBuffer(Repr::Copied(copied)))
    }

    /// Memory of this layout that goes with the buffer and lasts as long as it, wherever it is moved; nobody else uses it.
    pub(crate) fn room_for(&self, wanted: Layout) -> Option<NonNull<u8>> {
        match &self.0 {
            // SAFETY: the block is the buffer's, which lives.
            Repr::Copied(copied) => unsafe { copied.carrier().room_for(wanted) },
            _ => None,
        }
    }

    /// The bytes. They do not move while the value does: no variant keeps them inline.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Vec(bytes) => bytes,
            Repr::Boxed(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
            Repr::SharedVec(bytes) => bytes,
            Repr::Static(bytes) => bytes,
            Repr::Read(bytes) => bytes,
            Repr::Raw(_, 0) => &[],
            // SAFETY: `from_raw`'s caller promised it.
            Repr::Raw(data, len) => unsafe { slice::from_raw_parts(*data, *len) },
            Repr::Copied(copied) => copied.bytes(),
        }
    }

    /// The vector given to the send, if it was one.
    pub fn into_vec(self) -> Result<Vec<u8>, SendBuffer> {
        match self.0 {
            Repr::Vec(bytes) => Ok(bytes),
            _ => Err(self),
        }
    }

    /// The read buffer given to the send, if it was one.
    pub fn into_read_buffer(self) -> Result<ReadBuffer, SendBuffer> {
        match self.0 {
            Repr::Read(buffer) => Ok(buffer),
            _ => Err(self),
        }
    }
}

impl AsRef<[u8]> for SendBuffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for SendBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendBuffer({} bytes)", self.as_slice().len())
    }
}

macro_rules! from_bytes {
    ($($given:ty => $variant:ident, $convert:expr;)+) => {
        $(impl From<$given> for SendBuffer {
            fn from(given: $given) -> SendBuffer {
                let convert: fn($given) -> _ = $convert;
                SendBuffer(Repr::$variant(convert(given)))
            }
        })+
    };
}

from_bytes! {
    Vec<u8> => Vec, |bytes| bytes;
    String => Vec, String::into_bytes;
    Box<[u8]> => Boxed, |bytes| bytes;
    Arc<[u8]> => Shared, |bytes| bytes;
    Arc<Vec<u8>> => SharedVec, |bytes| bytes;
    &'static [u8] => Static, |bytes| bytes;
    &'static str => Static, str::as_bytes;
    ReadBuffer => Read, |buffer| buffer;
}

impl<const N: usize> From<&'static [u8; N]> for SendBuffer {
    fn from(bytes: &'static [u8; N]) -> SendBuffer {
        SendBuffer(Repr::Static(bytes))
    }
}
