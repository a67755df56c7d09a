//! What a member of `fan-out` is sent and its socket does not take at once.

use std::collections::VecDeque;
use std::io;

/// Bytes that wait for room in a socket. It has no bound: nobody waits for a member that reads slowly.
#[derive(Default, Debug)]
pub struct Backlog {
    bytes: VecDeque<u8>,
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes by `write`, which does not block, unless something waits already; keeps what is not taken.
    pub fn send(&mut self, bytes: &[u8], write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let taken = if self.is_empty() { tried(write(bytes))?.unwrap_or(0) } else { 0 };
        self.bytes.extend(&bytes[taken..]);
        Ok(())
    }

    /// Writes what waits, until nothing does or nothing more is taken.
    pub fn flush(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while !self.is_empty() {
            let Some(taken) = tried(write(self.bytes.as_slices().0))? else { break };
            self.bytes.drain(..taken);
        }
        Ok(())
    }
}

/// What a call that does not block has done; nothing if it would have blocked.
pub fn tried(outcome: io::Result<usize>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;
    use std::io;

    #[test]
    fn what_is_not_taken_goes_later_and_in_order() {
        let mut backlog = Backlog::default();
        let mut out = Vec::new();
        backlog.send(b"abc", |bytes| Ok(bytes.len() - 1)).unwrap();
        backlog.send(b"de", |_| panic!("c is before it")).unwrap();
        let mut room = [2, 0].into_iter();
        let mut write = |bytes: &[u8]| match room.next() {
            Some(count) if count > 0 => {
                out.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            _ => Err(io::ErrorKind::WouldBlock.into()),
        };
        backlog.flush(&mut write).unwrap();
        assert!(!backlog.is_empty());
        backlog.flush(|bytes| Ok(bytes.len())).unwrap();
        assert!(backlog.is_empty());
        assert_eq!(out, b"cd");
    }
}
