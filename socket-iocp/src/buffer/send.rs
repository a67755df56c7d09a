//! Send buffers: the bytes of a send, whatever memory they are in.

use super::ReadBuffer;
use super::addressed::{Addressed, Destination};
use super::copied::Copied;
use super::file::{FilePart, FileRange, SendFile};
use super::owned::Owned;
use super::parts::Parts;
use crate::handle::NodeRef;
use crate::planted::planted;
use crate::sys::{FILE_CHUNK, MAX_GATHER, Segments};
use crate::{Error, ErrorCode};
use socket2::SockAddr;
use std::alloc::Layout;
use std::ops::RangeBounds;
use std::ptr::NonNull;
use std::sync::Arc;
use std::{fmt, slice};

/// The bytes of a send, owned by the library until its completion.
///
/// Bytes that exist already go as they are, without a copy: `Vec<u8>`, `String`, `Box<[u8]>`, `&'static [u8]`,
/// [`ReadBuffer`]. Small ones made on the spot go by [`PortHandle::send_copy`](crate::PortHandle::send_copy), several that belong
/// together by [`PortHandle::send_vectored`](crate::PortHandle::send_vectored). The same bytes for many sockets are an `Arc<[u8]>`
/// or `Arc<Vec<u8>>`: each send of a clone costs one count up, and one down when it has been reported. What is none of these, a
/// range of shared memory say, has an owner: [`from_owner`](SendBuffer::from_owner). What is in a file goes from there:
/// [`from_file`](SendBuffer::from_file).
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
    Parts(Parts),
    Owned(Owned),
    Addressed(Addressed),
    File(FileRange),
}

// SAFETY: every variant but five is Send and Sync; `Raw` promises as much (see `from_raw`), `Copied` owns its bytes, `Parts` its
// buffers, which are no thread's, the owner of `Owned` is Send and Sync, and so is the file of `File`.
unsafe impl Send for SendBuffer {}
// SAFETY: as above; through `&SendBuffer` the bytes can only be read.
unsafe impl Sync for SendBuffer {}

impl SendBuffer {
    /// The bytes of any value, which is asked for them once, at once, and dropped with the buffer: a range of shared memory, a
    /// mapped file, another library's buffer. Owner and async send share one heap block, if [`Handler::Write`](crate::Handler::Write)
    /// has no more than 8 bytes. When memory is refused, the owner comes back.
    ///
    /// ```
    /// # use socket_iocp::SendBuffer;
    /// # use std::{ops::Range, sync::Arc};
    /// /// A part of bytes that many sends share.
    /// struct Part(Arc<[u8]>, Range<usize>);
    ///
    /// impl AsRef<[u8]> for Part {
    ///     fn as_ref(&self) -> &[u8] {
    ///         &self.0[self.1.clone()]
    ///     }
    /// }
    ///
    /// let shared: Arc<[u8]> = Arc::from(&b"one two three"[..]);
    /// let Ok(buffer) = SendBuffer::from_owner(Part(shared.clone(), 4..7)) else { panic!("no memory") };
    /// assert_eq!(buffer.as_slice(), Some(&b"two"[..]));
    /// ```
    pub fn from_owner<O: AsRef<[u8]> + Send + Sync + 'static>(owner: O) -> Result<SendBuffer, O> {
        Owned::new(owner, NodeRef::<usize>::LAYOUT).map(|owned| SendBuffer(Repr::Owned(owned)))
    }

    /// A range of a file, as [`PortHandle::send_file`](crate::PortHandle::send_file) sends it, for a send with a time limit: see
    /// there. When it is refused, the file comes back.
    ///
    /// Errors: `InvalidArgument` (no regular file; a range that ends before it begins, or beyond what a file can be, or with more
    /// bytes than a `usize` counts), `NoMemory`, or the system's.
    pub fn from_file(file: impl Into<SendFile>, range: impl RangeBounds<u64>) -> Result<SendBuffer, (Error, SendFile)> {
        SendBuffer::of_file(file.into(), &range, NodeRef::<usize>::LAYOUT)
    }

    /// A range of a file, in a block that has room for a node of this layout.
    pub(crate) fn of_file(
        file: SendFile,
        range: &impl RangeBounds<u64>,
        room: Layout,
    ) -> Result<SendBuffer, (Error, SendFile)> {
        match file.locate(range) {
            Ok(located) => match FileRange::new(file, located, room) {
                Ok(range) => Ok(SendBuffer(Repr::File(range))),
                Err(file) => Err((ErrorCode::NoMemory.into(), file)),
            },
            Err(error) => Err((error, file)),
        }
    }

    /// The caller's memory, as the C interface takes it.
    ///
    /// # Safety
    /// The `len` bytes at `data` stay valid and unchanged, for any thread to read, until this value is dropped.
    pub const unsafe fn from_raw(data: *const u8, len: usize) -> SendBuffer {
        SendBuffer(Repr::Raw(data, len))
    }

    /// The most buffers that one send is made of.
    pub const MAX_PARTS: usize = MAX_GATHER;

    /// These buffers as one, in a block that has room for a node of this layout; they are left empty. A failure leaves them as
    /// they were. Errors: `InvalidArgument` (too many of them, more bytes than a `usize` counts, or one that is of parts
    /// itself, or a file), `NoMemory`.
    pub(crate) fn gathered(parts: &mut [SendBuffer], room: Layout) -> Result<SendBuffer, Error> {
        let in_pieces = parts.iter().all(|part| !matches!(part.0, Repr::Parts(_) | Repr::File(_)));
        let countable = parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(part.len())).is_some();
        if parts.len() > SendBuffer::MAX_PARTS || !in_pieces || !countable {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let parts = Parts::take(parts, room).ok_or(ErrorCode::NoMemory)?;
        Ok(SendBuffer(Repr::Parts(parts)))
    }

    /// A copy of these bytes, in a block that has room for a node of this layout. `None` when memory is refused.
    pub(crate) fn copied(bytes: &[u8], room: Layout) -> Option<SendBuffer> {
        Copied::new(bytes, room).map(|copied| SendBuffer(Repr::Copied(copied)))
    }

    /// This buffer with the address that it goes to, in one datagram or in segments, in a block that has room for a
    /// node of this layout. When memory is refused it comes back.
    pub(crate) fn addressed(
        self,
        address: &SockAddr,
        segments: Option<Segments>,
        room: Layout,
    ) -> Result<SendBuffer, SendBuffer> {
        let Some(mut block) = Addressed::new(room) else { return Err(self) };
        block.put(Some(address), segments, self);
        Ok(SendBuffer(Repr::Addressed(block)))
    }

    /// This buffer with the address that it goes to, if it has one, in a block that was made for it before.
    pub(crate) fn in_block(mut block: Addressed, address: Option<&SockAddr>, buffer: SendBuffer) -> SendBuffer {
        block.put(address, None, buffer);
        SendBuffer(Repr::Addressed(block))
    }

    /// Where it goes as a datagram.
    pub(crate) fn destination(&self) -> Destination<'_> {
        match &self.0 {
            Repr::Addressed(block) => block.destination(),
            _ => Destination::default(),
        }
    }

    /// Takes the block with the address off, if there is one: this is then the buffer that was put into it.
    pub(crate) fn take_address(&mut self) -> Option<Addressed> {
        if !matches!(self.0, Repr::Addressed(_)) {
            return None;
        }
        let Repr::Addressed(mut block) = std::mem::take(self).0 else { return None };
        *self = block.take();
        Some(block)
    }

    /// Memory of this layout that goes with the buffer and lasts as long as it, wherever it is moved; nobody else uses it.
    pub(crate) fn room_for(&self, wanted: Layout) -> Option<NonNull<u8>> {
        match &self.0 {
            // SAFETY: the block is the buffer's, which lives.
            Repr::Copied(copied) => unsafe { copied.carrier().room_for(wanted) },
            // SAFETY: as above.
            Repr::Parts(parts) => unsafe { parts.carrier().room_for(wanted) },
            // SAFETY: as above.
            Repr::Owned(owned) => unsafe { owned.carrier().room_for(wanted) },
            // SAFETY: as above.
            Repr::Addressed(block) => unsafe { block.carrier().room_for(wanted) },
            // SAFETY: as above.
            Repr::File(range) => unsafe { range.carrier().room_for(wanted) },
            _ => None,
        }
    }

    /// The bytes of a buffer that is in one piece; of several parts, and of a file, none. They do not move while the value does: no
    /// variant keeps them inline.
    fn piece(&self) -> &[u8] {
        match &self.0 {
            Repr::Vec(bytes) => bytes,
            Repr::Boxed(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
            Repr::SharedVec(bytes) => bytes,
            Repr::Static(bytes) => bytes,
            Repr::Read(bytes) => bytes,
            Repr::Raw(_, 0) | Repr::Parts(_) | Repr::File(_) => &[],
            // SAFETY: `from_raw`'s caller promised it.
            Repr::Raw(data, len) => unsafe { slice::from_raw_parts(*data, *len) },
            Repr::Copied(copied) => copied.bytes(),
            Repr::Owned(owned) => owned.bytes(),
            Repr::Addressed(block) => block.buffer().piece(),
        }
    }

    /// The number of bytes, in all parts; of a file, those of the range.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Parts(parts) => parts.all().iter().map(|part| part.piece().len()).sum(),
            Repr::Addressed(block) => block.buffer().len(),
            Repr::File(range) => range.len(),
            _ => self.piece().len(),
        }
    }

    /// How many of them count as queued: of a file no more than may be in memory, so that a limit of what a slow peer may cost in
    /// memory does not refuse a file for its length.
    pub(crate) fn queued_bytes(&self) -> usize {
        match &self.0 {
            Repr::File(range) => range.len().min(FILE_CHUNK),
            _ => self.len(),
        }
    }

    /// Whether it is a range of a file.
    pub fn is_file(&self) -> bool {
        matches!(self.0, Repr::File(_))
    }

    /// Of a file, the range but for so many bytes at its beginning, if there are more.
    pub(crate) fn rest_of_file(&self, sent: usize) -> Option<FilePart<'_>> {
        match &self.0 {
            Repr::File(range) => range.rest(sent),
            _ => None,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are in one piece; `None` for those of [`send_vectored`](crate::PortHandle::send_vectored) and of a
    /// file.
    pub fn as_slice(&self) -> Option<&[u8]> {
        if matches!(self.0, Repr::Parts(_) | Repr::File(_)) { None } else { Some(self.piece()) }
    }

    /// The bytes, piece by piece in their order; some may be empty. Those of a file are not here.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.slices_from(0)
    }

    /// The bytes but for so many at the beginning, piece by piece.
    pub(crate) fn slices_from(&self, start: usize) -> impl Iterator<Item = &[u8]> {
        let mut slices = Slices::none();
        slices.start(self, start).into_iter().chain(slices)
    }

    /// The buffers that were given to [`send_vectored`](crate::PortHandle::send_vectored), taken out one by one, which leaves
    /// empty ones; of any other buffer none.
    pub fn take_parts(&mut self) -> impl Iterator<Item = SendBuffer> {
        let parts = match &mut self.0 {
            Repr::Parts(parts) => parts.all_mut(),
            _ => &mut [],
        };
        parts.iter_mut().map(std::mem::take)
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

    /// The file given to the send, if it was one.
    pub fn into_file(self) -> Result<SendFile, SendBuffer> {
        match self.0 {
            Repr::File(range) => Ok(range.into_file()),
            _ => Err(self),
        }
    }
}

/// What is left of a buffer's pieces.
#[derive(Debug)]
pub(crate) struct Slices<'q> {
    parts: slice::Iter<'q, SendBuffer>,
    /// So many bytes of them have gone.
    skip: usize,
    /// By a planted bug they come in another order.
    turned: bool,
}

impl<'q> Slices<'q> {
    pub(crate) fn none() -> Slices<'q> {
        Slices { parts: [].iter(), skip: 0, turned: false }
    }

    /// Begins with a buffer of which so many bytes have gone: its bytes if they are in one piece, which nearly all are; else its
    /// pieces follow.
    pub(crate) fn start(&mut self, buffer: &'q SendBuffer, sent: usize) -> Option<&'q [u8]> {
        match &buffer.0 {
            Repr::Parts(parts) => {
                let turned = planted!(PartsTurnedRound) && sent != 0;
                *self = Slices { parts: parts.all().iter(), skip: sent, turned };
                None
            }
            Repr::Addressed(block) => self.start(block.buffer(), sent),
            Repr::File(_) => {
                *self = Slices::none();
                None
            }
            _ => Some(&buffer.piece()[sent..]),
        }
    }
}

impl<'q> Iterator for Slices<'q> {
    type Item = &'q [u8];

    fn next(&mut self) -> Option<&'q [u8]> {
        let part = if self.turned { self.parts.next_back()? } else { self.parts.next()? };
        let piece = part.piece();
        let from = self.skip.min(piece.len());
        self.skip -= from;
        Some(&piece[from..])
    }
}

impl Default for SendBuffer {
    /// No bytes.
    fn default() -> SendBuffer {
        SendBuffer(Repr::Static(&[]))
    }
}

impl fmt::Debug for SendBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendBuffer({} bytes)", self.len())
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
