//! The control socket's file, and the words spoken over a connection to it.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A word of the protocol, as the head of main.rs has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    Ready = b'r' as isize,
    Yours = b'y' as isize,
    Serving = b's' as isize,
}

/// Says a word.
pub fn say(mut stream: &UnixStream, word: Word) -> io::Result<()> {
    stream.write_all(&[word as u8])
}

/// Waits for a word. The other process's end is an error, as is any other word.
pub fn hear(mut stream: &UnixStream, word: Word) -> io::Result<()> {
    let mut heard = [0];
    stream.read_exact(&mut heard)?;
    if heard == [word as u8] { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

/// A control socket that listens already, beside its later place.
pub struct Waiting {
    listener: UnixListener,
    /// Where it is until then; removed when it is given up.
    aside: PathBuf,
}

impl Waiting {
    /// Makes one, so that nothing but a rename is left to be done when the predecessor has stopped.
    pub fn open(place: &Path) -> io::Result<Waiting> {
        let mut aside = place.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        // A file of this name is that of a process which had this number before and was killed.
        let _ = fs::remove_file(&aside);
        Ok(Waiting { listener: UnixListener::bind(&aside)?, aside })
    }

    /// Takes the place: of nobody, of a predecessor, or of one that has gone.
    pub fn take_place(&self, place: &Path) -> io::Result<UnixListener> {
        let listener = self.listener.try_clone()?;
        fs::rename(&self.aside, place)?;
        Ok(listener)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has mostly been renamed.
        let _ = fs::remove_file(&self.aside);
    }
}
