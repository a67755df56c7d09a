//! Files that are sent from, and a range of one in a carrier.

use super::carrier::Carrier;
use crate::planted::planted;
use crate::{Error, ErrorCode};
use std::alloc::Layout;
use std::fs::File;
#[cfg(any(unix, feature = "sim"))]
use std::io;
use std::mem::ManuallyDrop;
use std::ops::{Bound, RangeBounds};
#[cfg(unix)]
use std::os::fd::{FromRawFd, OwnedFd as OwnedFile, RawFd};
#[cfg(windows)]
use std::os::windows::io::{FromRawHandle, OwnedHandle as OwnedFile, RawHandle};
use std::sync::Arc;

/// The number of a file: a descriptor on POSIX, a `HANDLE` on Windows.
#[cfg(unix)]
pub type RawFile = RawFd;
/// The number of a file: a descriptor on POSIX, a `HANDLE` on Windows.
#[cfg(windows)]
pub type RawFile = RawHandle;

/// A file that is sent from: a `File`, which is closed with the last owner of this value, or an `Arc<File>`, for one of which
/// there are many sends. Its own position is neither used nor changed on POSIX.
#[derive(Debug)]
pub struct SendFile(Repr);

#[derive(Debug)]
enum Repr {
    Owned(File),
    Shared(Arc<File>),
    /// Closed by whoever has opened it.
    Borrowed(ManuallyDrop<File>),
    #[cfg(feature = "sim")]
    Simulated(Vec<u8>),
}

impl SendFile {
    /// The caller's file, as the C interface takes it.
    ///
    /// # Safety
    /// The file is open, and stays so until this value is dropped. It is not -1, nor `INVALID_HANDLE_VALUE`.
    pub unsafe fn from_raw(file: RawFile) -> SendFile {
        // SAFETY: the caller's promise; this value does not close it.
        #[cfg(unix)]
        let file = unsafe { File::from_raw_fd(file) };
        // SAFETY: as above.
        #[cfg(windows)]
        let file = unsafe { File::from_raw_handle(file) };
        SendFile(Repr::Borrowed(ManuallyDrop::new(file)))
    }

    /// A file of these bytes, for the simulated network.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn simulated(bytes: Vec<u8>) -> SendFile {
        SendFile(Repr::Simulated(bytes))
    }

    /// The file given to the send, if it was one of its own.
    pub fn into_file(self) -> Result<File, SendFile> {
        match self.0 {
            Repr::Owned(file) => Ok(file),
            _ => Err(self),
        }
    }

    /// The shared file given to the send, if it was one.
    pub fn into_shared(self) -> Result<Arc<File>, SendFile> {
        match self.0 {
            Repr::Shared(file) => Ok(file),
            _ => Err(self),
        }
    }

    /// The system's file; `None` of a simulated one.
    pub(crate) fn os(&self) -> Option<&File> {
        match &self.0 {
            Repr::Owned(file) => Some(file),
            Repr::Shared(file) => Some(file),
            Repr::Borrowed(file) => Some(file),
            #[cfg(feature = "sim")]
            Repr::Simulated(_) => None,
        }
    }

    /// Reads from this place on, as much as there is and fits; 0 at the end of the file.
    #[cfg(any(unix, feature = "sim"))]
    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "sim")]
        if let Repr::Simulated(content) = &self.0 {
            let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
            let len = rest.len().min(bytes.len());
            bytes[..len].copy_from_slice(&rest[..len]);
            return Ok(len);
        }
        let Some(file) = self.os() else { return Err(io::ErrorKind::Unsupported.into()) };
        loop {
            match read_file_at(file, offset, bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// How long it is now. Errors: `InvalidArgument` (no regular file), or the system's.
    fn size(&self) -> Result<u64, Error> {
        #[cfg(feature = "sim")]
        if let Repr::Simulated(content) = &self.0 {
            return Ok(content.len() as u64);
        }
        let Some(file) = self.os() else { return Err(ErrorCode::InvalidArgument.into()) };
        let metadata = file.metadata().map_err(|error| Error::from_os(error.raw_os_error().unwrap_or(0)))?;
        if metadata.is_file() { Ok(metadata.len()) } else { Err(ErrorCode::InvalidArgument.into()) }
    }

    /// Where a range of it begins, and how long it is; one without an end goes to the present end of the file. Errors:
    /// `InvalidArgument` (no regular file; a range that no file or no `usize` has), or the system's.
    pub(super) fn locate(&self, range: &impl RangeBounds<u64>) -> Result<(u64, usize), Error> {
        let size = self.size()?;
        let behind = |place: u64| place.checked_add(1).ok_or(ErrorCode::InvalidArgument);
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => behind(*before)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => behind(*last)?,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => size.max(start),
        };
        let len = end.checked_sub(start).filter(|_| i64::try_from(end).is_ok());
        let len = len.and_then(|len| usize::try_from(len).ok()).ok_or(ErrorCode::InvalidArgument)?;
        Ok((start, len))
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(all(windows, feature = "sim"))]
fn read_file_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

impl From<File> for SendFile {
    fn from(file: File) -> SendFile {
        SendFile(Repr::Owned(file))
    }
}

impl From<OwnedFile> for SendFile {
    fn from(file: OwnedFile) -> SendFile {
        File::from(file).into()
    }
}

impl From<Arc<File>> for SendFile {
    fn from(file: Arc<File>) -> SendFile {
        SendFile(Repr::Shared(file))
    }
}

/// What is to be sent of a file now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilePart<'q> {
    pub(crate) file: &'q SendFile,
    pub(crate) offset: u64,
    /// At least 1.
    pub(crate) len: usize,
}

/// A range of a file that is to be sent.
pub(super) struct FileRange {
    /// Its content is a [`Content`].
    carrier: Carrier,
}

struct Content {
    file: SendFile,
    offset: u64,
    len: usize,
}

impl FileRange {
    /// Keeps a file and a range of it behind so much room; the file comes back when memory is refused.
    pub(super) fn new(file: SendFile, (offset, len): (u64, usize), room: Layout) -> Result<FileRange, SendFile> {
        let Some(carrier) = Carrier::allocate(room, Layout::new::<Content>()) else { return Err(file) };
        // SAFETY: the content is new, and has this layout.
        unsafe { carrier.content().cast::<Content>().write(Content { file, offset, len }) };
        Ok(FileRange { carrier })
    }

    fn content(&self) -> &Content {
        // SAFETY: `new` has written it, and this value owns it.
        unsafe { self.carrier.content().cast().as_ref() }
    }

    pub(super) fn len(&self) -> usize {
        self.content().len
    }

    /// The range but for so many bytes at its beginning; `None` if that is all of it.
    pub(super) fn rest(&self, sent: usize) -> Option<FilePart<'_>> {
        let Content { file, offset, len } = self.content();
        let gone = if planted!(FileFromTheBeginning) { 0 } else { sent as u64 };
        let len = len.checked_sub(sent).filter(|len| *len != 0)?;
        Some(FilePart { file, offset: offset + gone, len })
    }

    pub(super) fn into_file(self) -> SendFile {
        let range = ManuallyDrop::new(self);
        // SAFETY: the value is not used again.
        unsafe { take(range.carrier) }.file
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }
}

/// Takes the content out of its block, which is freed.
///
/// # Safety
/// The block is a [`FileRange`]'s, which is not used again. A node in its room is gone: its content was that value.
unsafe fn take(carrier: Carrier) -> Content {
    // SAFETY: the caller's promise; `new` has written the content.
    unsafe {
        let content = carrier.content().cast::<Content>().read();
        carrier.free(Layout::new::<Content>());
        content
    }
}

impl Drop for FileRange {
    fn drop(&mut self) {
        // SAFETY: the value is being dropped, and with it goes its block.
        drop(unsafe { take(self.carrier) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A file of these bytes, which has no name any more.
    fn file(bytes: &[u8]) -> File {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("socket-iocp-{}-{number}.file", std::process::id()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        file.write_all(bytes).expect("room");
        std::fs::remove_file(path).expect("its name");
        file
    }

    #[test]
    fn a_range_is_located() {
        let file = SendFile::from(file(b"0123456789"));
        let far = i64::MAX as u64;
        assert_eq!(file.locate(&(..)), Ok((0, 10)));
        assert_eq!(file.locate(&(4..)), Ok((4, 6)));
        assert_eq!(file.locate(&(2..=5)), Ok((2, 4)));
        assert_eq!(file.locate(&(..3)), Ok((0, 3)));
        assert_eq!(file.locate(&(Bound::Excluded(2), Bound::Excluded(4))), Ok((3, 1)));
        // Behind the end there is nothing, unless more is asked for.
        assert_eq!(file.locate(&(11..)), Ok((11, 0)));
        assert_eq!(file.locate(&(8..20)), Ok((8, 12)));
        assert_eq!(file.locate(&(far..far)), Ok((far, 0)));
        let refused = Err(ErrorCode::InvalidArgument.into());
        #[allow(clippy::reversed_empty_ranges, reason = "it is to be refused")]
        let reversed = 5..4;
        assert_eq!(file.locate(&reversed), refused);
        assert_eq!(file.locate(&(0..far + 1)), refused);
        assert_eq!(file.locate(&(far + 1..)), refused);
        assert_eq!(file.locate(&(..=u64::MAX)), refused);
        assert_eq!(file.locate(&(Bound::Excluded(u64::MAX), Bound::Unbounded)), refused);
    }

    #[test]
    fn the_rest_of_a_range_begins_where_it_stopped() {
        let range = FileRange::new(file(b"0123456789").into(), (2, 7), Layout::new::<u64>());
        let range = range.unwrap_or_else(|_| panic!("no memory"));
        let rest = |sent| range.rest(sent).map(|part| (part.offset, part.len));
        assert_eq!((rest(0), rest(3), rest(7)), (Some((2, 7)), Some((5, 4)), None));
        assert!(range.into_file().into_file().is_ok());
    }

    #[test]
    #[cfg(any(unix, feature = "sim"))]
    fn a_file_is_read_from_any_place() {
        let file = SendFile::from(file(b"0123456789"));
        let mut bytes = [0; 8];
        assert_eq!(file.read_at(6, &mut bytes).expect("a file"), 4);
        assert_eq!(&bytes[..4], b"6789");
        assert_eq!(file.read_at(10, &mut bytes).expect("its end"), 0);
    }

    #[test]
    fn a_shared_file_is_let_go_of() {
        let shared = Arc::new(file(b"abc"));
        for _ in 0..2 {
            let range = FileRange::new(shared.clone().into(), (0, 3), Layout::new::<u64>());
            assert_eq!((Arc::strong_count(&shared), range.is_ok()), (2, true));
        }
        let back = SendFile::from(shared.clone()).into_file().expect_err("it is not alone").into_shared();
        assert!(back.is_ok_and(|back| Arc::ptr_eq(&back, &shared)));
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_regular_file_is_refused() {
        let directory = SendFile::from(File::open(std::env::temp_dir()).expect("a directory"));
        assert_eq!(directory.locate(&(..)), Err(ErrorCode::InvalidArgument.into()));
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let socket = SendFile::from(OwnedFile::from(socket));
        assert_eq!(socket.locate(&(0..1)), Err(ErrorCode::InvalidArgument.into()));
    }
}
