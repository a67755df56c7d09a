//! What the messages consist of, so that a wrong byte in an answer is seen.

/// Starting points in the table. A prime: whatever a connection's step from one message to the next, it comes to all of
/// them before it comes to one again.
const STARTS: u64 = 4093;

/// The bytes of every message of a run, without storing any message: each is a stretch of one pseudo-random table, and
/// where it starts depends on the connection and on the message's place in it. Bytes that are lost, doubled, moved or
/// taken from another message or connection do not match.
#[derive(Debug)]
pub struct Pattern {
    table: Vec<u8>,
    size: usize,
}

impl Pattern {
    /// The pattern of messages of `size` bytes.
    pub fn new(size: usize) -> Pattern {
        let words = (STARTS + size as u64).div_ceil(8);
        Pattern { table: (0..words).flat_map(|word| mix(word).to_le_bytes()).collect(), size }
    }

    /// The bytes of message `index` of connection `connection`, both counted from 0.
    pub fn message(&self, connection: u64, index: u64) -> &[u8] {
        let first = mix(connection);
        let step = 1 + mix(first) % (STARTS - 1);
        let start = ((first % STARTS + index % STARTS * step) % STARTS) as usize;
        &self.table[start..start + self.size]
    }

    /// The length of a message in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// The finisher of SplitMix64: every bit of the number changes about half of the result's bits.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_repeatable_and_of_the_size_asked() {
        for size in [1, 7, 64, 65_536] {
            let pattern = Pattern::new(size);
            assert_eq!(pattern.message(3, 9).len(), size);
            assert_eq!(pattern.message(3, 9), Pattern::new(size).message(3, 9));
        }
    }

    #[test]
    fn neighbours_differ() {
        let pattern = Pattern::new(64);
        for (connection, index) in (0..10).flat_map(|connection| (0..10_000).map(move |index| (connection, index))) {
            let (message, next) = (pattern.message(connection, index), pattern.message(connection, index + 1));
            assert_ne!(message, next, "message {index} of connection {connection}");
        }
        let other = (0..10_000).filter(|index| pattern.message(1, *index) == pattern.message(2, *index)).count();
        assert!(other < 20, "{other} of 10,000 messages are alike on two connections");
    }

    #[test]
    fn a_lost_byte_shows_at_once() {
        let pattern = Pattern::new(64);
        let message = pattern.message(5, 5);
        assert_ne!(message[1..], message[..63]);
    }
}
