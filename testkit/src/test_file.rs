//! Files to send from, and what a client must read of them.

use crate::Client;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, process};

/// A file of a test's own, each of whose bytes tells where it stands. It is removed when this is dropped, and lasts as long as it is
/// open.
#[derive(Debug)]
pub struct TestFile {
    path: PathBuf,
}

/// The bytes of a file come round after so many, which is a prime.
const ROUND: usize = 251;
/// A client reads no more than this at once.
const READ_BYTES: usize = 100_003;

/// The bytes from any place of the first round on, as many as a client reads at once.
static ROUNDS: LazyLock<Vec<u8>> = LazyLock::new(|| (0..ROUND + READ_BYTES).map(TestFile::byte_at).collect());

impl TestFile {
    /// A file of so many bytes.
    pub fn new(len: usize) -> TestFile {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("socket-iocp-test-{}-{number}", process::id()));
        // One of a process before, with its number, may have been left.
        let mut file = File::create(&path).expect("a new file");
        file.write_all(&TestFile::bytes(0, len)).expect("room for it");
        TestFile { path }
    }

    /// Opens it for reading.
    pub fn open(&self) -> File {
        File::open(&self.path).expect("a file")
    }

    /// Opens it for writing alone.
    pub fn open_for_writing(&self) -> File {
        File::options().write(true).open(&self.path).expect("a file")
    }

    /// The byte at this place of every such file.
    pub fn byte_at(at: usize) -> u8 {
        (at % ROUND) as u8
    }

    /// The bytes from this place on.
    pub fn bytes(start: usize, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let rest = &ROUNDS[(start + bytes.len()) % ROUND..];
            bytes.extend_from_slice(&rest[..rest.len().min(len - bytes.len())]);
        }
        bytes
    }

    /// Has a client read so many bytes, which must be those of such a file from this place on.
    ///
    /// # Panics
    /// When they are others, or do not come.
    #[track_caller]
    pub fn read_by(client: &mut Client, start: usize, len: usize) {
        let (mut at, end) = (start, start + len);
        while at < end {
            let bytes = client.read_exact((end - at).min(READ_BYTES)).expect("the bytes of the file");
            assert!(ROUNDS[at % ROUND..].starts_with(&bytes), "wrong bytes from {at} on");
            at += bytes.len();
        }
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // Whoever has it open keeps it, on Windows as on POSIX.
        let _ = fs::remove_file(&self.path);
    }
}
