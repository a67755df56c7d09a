//! The files that are served, and nothing beside them.

use crate::response::Status;
use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// A directory out of which no path leads, whatever names and symbolic links it is made of: `cap-std` sees to it.
pub struct Root(Dir);

/// An open file, from the next byte to send to the end that it had when it was opened.
pub struct Body {
    file: File,
    left: u64,
}

impl Root {
    pub fn open_directory(path: &Path) -> io::Result<Root> {
        Dir::open_ambient_dir(path, ambient_authority()).map(Root)
    }

    /// Opens a regular file. What leads out of the directory is not found.
    pub fn open(&self, path: &Path) -> Result<Body, Status> {
        let mut options = OpenOptions::new();
        // Non-blocking for the sake of a FIFO, which otherwise waits for its writer; it means nothing to a regular file.
        options.read(true).nonblock(true);
        let file = self.0.open_with(path, &options).map_err(|error| status_of(&error))?;
        let metadata = file.metadata().map_err(|error| status_of(&error))?;
        if metadata.is_file() { Ok(Body { file, left: metadata.len() }) } else { Err(Status::NotFound) }
    }
}

impl Body {
    /// Bytes not read yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    pub fn is_at_end(&self) -> bool {
        self.left == 0
    }

    /// Reads until `out` has `limit` bytes, or to the end. A file that got shorter is an error: its length is promised.
    pub fn read_piece(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        let start = out.len();
        let room = limit.saturating_sub(start);
        let count = usize::try_from(self.left).map_or(room, |left| left.min(room));
        out.resize(start + count, 0);
        self.file.read_exact(&mut out[start..])?;
        self.left -= count as u64;
        Ok(())
    }
}

fn status_of(error: &io::Error) -> Status {
    match error.kind() {
        // Permission denied is what a way out of the directory gives, too.
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::PermissionDenied
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput => Status::NotFound,
        _ => Status::Internal,
    }
}
