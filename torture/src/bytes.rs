//! What goes over a connection: each byte follows from where it stands, so that a byte lost, doubled or out of place shows.

/// One direction of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stream {
    /// Tells it from every other.
    pub(crate) id: u64,
}

impl Stream {
    fn at(self, offset: u64) -> u8 {
        let mixed = (offset ^ self.id.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 56) as u8
    }

    /// The bytes from an offset.
    pub(crate) fn bytes(self, offset: u64, len: usize) -> Vec<u8> {
        (offset..).take(len).map(|offset| self.at(offset)).collect()
    }

    /// Whether these are the bytes from an offset.
    pub(crate) fn is_at(self, offset: u64, bytes: &[u8]) -> bool {
        (offset..).zip(bytes).all(|(offset, byte)| self.at(offset) == *byte)
    }
}
