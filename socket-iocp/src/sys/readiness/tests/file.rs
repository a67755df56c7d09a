//! Sends from files.

use super::*;
use crate::SendFile;
use crate::buffer::FilePart;
use crate::sys::FILE_CHUNK;
use std::fs::File;
use std::io::Read;

/// This program: a file of some size whose bytes are known by reading it.
fn program() -> (SendFile, Vec<u8>) {
    let path = env::current_exe().expect("this program");
    let mut content = Vec::new();
    File::open(&path).expect("a file").take(600_001).read_to_end(&mut content).expect("its beginning");
    (File::open(&path).expect("a file").into(), content)
}

impl Rig {
    fn send_file(
        &mut self,
        connection: &mut Connection,
        file: &SendFile,
        (start, len): (usize, usize),
    ) -> Submitted<usize> {
        let part = FilePart { file, offset: start as u64, len };
        self.backend.send_file(&mut connection.io, connection.key, connection.socket.as_raw_fd(), part)
    }
}

#[test]
fn a_range_goes_part_by_part_to_a_slow_reader() {
    let (mut client, server) = UnixStream::pair().expect("a pair");
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    let (file, content) = program();
    let (mut sent, mut read, mut waits) = (1, Vec::new(), 0);
    while sent < content.len() {
        match rig.send_file(&mut connection, &file, (sent, content.len() - sent)) {
            Submitted::Done(result) => {
                let bytes = result.expect("a send");
                assert!((1..=FILE_CHUNK).contains(&bytes));
                sent += bytes;
            }
            Submitted::Pending => {
                waits += 1;
                let start = read.len();
                read.resize(sent - 1, 0);
                client.read_exact(&mut read[start..]).expect("what has gone");
                while !rig.wait_ready(&mut connection).1 {}
            }
        }
    }
    let start = read.len();
    read.resize(content.len() - 1, 0);
    client.read_exact(&mut read[start..]).expect("the rest");
    assert!(waits > 0 && read == content[1..]);
}

#[test]
fn what_a_file_cannot_give_is_no_failure_of_the_socket() {
    let (server, mut client) = tcp();
    let mut rig = Rig::new(64);
    let mut connection = rig.add(server);
    let write_only = File::options().write(true).open("/dev/null").expect("a file").into();
    let denied = done(rig.send_file(&mut connection, &write_only, (0, 1)));
    assert_eq!(denied, Err(Failure::File(libc::EBADF)));
    let (file, content) = program();
    let len = std::fs::metadata(env::current_exe().expect("this program")).expect("a file").len() as usize;
    assert_eq!(done(rig.send_file(&mut connection, &file, (len, 1))), Err(Failure::FileEnded));
    assert_eq!(done(rig.send_file(&mut connection, &file, (len - 3, 100))), Ok(3));
    assert_eq!(done(rig.send_file(&mut connection, &file, (5, 4))), Ok(4));
    let mut read = [0; 7];
    client.read_exact(&mut read).expect("what has gone");
    assert_eq!(read[3..], content[5..9]);
}
