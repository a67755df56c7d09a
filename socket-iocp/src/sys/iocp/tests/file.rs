//! Sends from files.

use super::*;
use crate::SendFile;
use crate::buffer::FilePart;
use std::fs::File;

impl Rig {
    /// Sends from a file, and waits for what comes of it.
    #[track_caller]
    fn send_file(
        &mut self,
        connection: &mut Connection,
        file: &SendFile,
        (start, len): (usize, usize),
    ) -> Result<usize, Failure> {
        let (key, raw) = (connection.key, connection.raw());
        let part = FilePart { file, offset: start as u64, len };
        match self.backend.send_file(&mut connection.io, connection.memory, key, raw, part) {
            Submitted::Done(result) => result,
            Submitted::Pending => match self.wait() {
                Completion::Send { key: of, result } if of == key => result,
                other => panic!("{other:?}"),
            },
        }
    }
}

/// This program: a file whose bytes are known by reading it.
fn program() -> (SendFile, Vec<u8>) {
    let path = std::env::current_exe().expect("this program");
    (File::open(&path).expect("a file").into(), std::fs::read(&path).expect("its bytes"))
}

#[test]
fn a_range_goes_whatever_the_file_stands_at() {
    for skips in [false, true] {
        let mut rig = Rig::new(options().skip_on_success(skips));
        let (mut connection, mut client) = rig.pair();
        let (file, content) = program();
        for (start, len) in [(100, 3000), (0, 10), (70_000, 100_000)] {
            assert_eq!(rig.send_file(&mut connection, &file, (start, len)), Ok(len));
            let mut read = vec![0; len];
            client.read_exact(&mut read).expect("what has gone");
            assert!(read == content[start..start + len]);
        }
    }
}

#[test]
fn a_file_that_ends_says_so() {
    for skips in [false, true] {
        let mut rig = Rig::new(options().skip_on_success(skips));
        let (mut connection, mut client) = rig.pair();
        let (file, content) = program();
        assert_eq!(rig.send_file(&mut connection, &file, (content.len() - 7, 100)), Ok(7));
        assert_eq!(rig.send_file(&mut connection, &file, (content.len(), 1)), Err(Failure::FileEnded));
        assert_eq!(rig.send_file(&mut connection, &file, (content.len() + 10, 1)), Err(Failure::FileEnded));
        let mut read = [0; 7];
        client.read_exact(&mut read).expect("what has gone");
        assert_eq!(read, content[content.len() - 7..]);
    }
}
