//! A stream cut into messages of one size.

/// What has come in of a message that has not come in whole.
#[derive(Debug)]
pub(crate) struct Messages<const BYTES: usize> {
    partial: [u8; BYTES],
    held: usize,
}

impl<const BYTES: usize> Default for Messages<BYTES> {
    fn default() -> Self {
        Messages { partial: [0; BYTES], held: 0 }
    }
}

impl<const BYTES: usize> Messages<BYTES> {
    /// Calls `each` with every message that these bytes complete, in their order.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8; BYTES])) {
        if self.held > 0 {
            let (first, rest) = bytes.split_at(bytes.len().min(BYTES - self.held));
            self.hold(first);
            bytes = rest;
            if self.held < BYTES {
                return;
            }
            each(&self.partial);
            self.held = 0;
        }
        let (whole, rest) = bytes.as_chunks();
        whole.iter().for_each(each);
        self.hold(rest);
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.partial[self.held..][..bytes.len()].copy_from_slice(bytes);
        self.held += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_whole_however_they_come() {
        let stream: Vec<u8> = (0..60).collect();
        for size in 1..=stream.len() {
            let (mut messages, mut taken) = (Messages::<8>::default(), Vec::new());
            for bytes in stream.chunks(size) {
                messages.take(bytes, |message| taken.extend_from_slice(message));
            }
            assert_eq!(taken, stream[..56], "in pieces of {size}");
            messages.take(&[60, 61, 62, 63], |message| taken.extend_from_slice(message));
            assert_eq!(taken, (0..64).collect::<Vec<u8>>(), "in pieces of {size}");
        }
    }
}
