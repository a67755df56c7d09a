//! When the messages of an open loop are due. The schedule is fixed before the run and never waits for an answer.

use std::num::NonZeroU64;

const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// Messages a second over the whole run, all connections together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub NonZeroU64);

impl Rate {
    /// When message `message` of the whole run is due, in nanoseconds from the start. Computed from the number alone,
    /// so that no rounding error adds up.
    pub fn due_ns(self, message: u64) -> u64 {
        let due = u128::from(message) * NANOSECONDS_PER_SECOND / u128::from(self.0.get());
        u64::try_from(due).unwrap_or(u64::MAX)
    }
}

/// How a run's connections are dealt to its lanes: connection `c` belongs to lane `c % lanes`. The messages of the
/// whole run go round the connections, so message `m` of the run belongs to connection `m % connections`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    pub lane: u64,
    pub lanes: u64,
    pub connections: u64,
}

impl Share {
    /// The number, in the run, of the lane's connection `local`.
    pub fn connection(self, local: u64) -> u64 {
        self.lane + local * self.lanes
    }

    /// How many connections the lane has.
    pub fn len(self) -> u64 {
        self.connections.saturating_sub(self.lane).div_ceil(self.lanes)
    }
}

/// Walks through the messages of one lane in the order in which they are due.
#[derive(Clone, Debug)]
pub struct Cursor {
    share: Share,
    round: u64,
    local: u64,
}

impl Cursor {
    /// The lane's first message. The lane has at least one connection.
    pub fn new(share: Share) -> Cursor {
        assert!(share.len() > 0, "a lane without connections has no schedule");
        Cursor { share, round: 0, local: 0 }
    }

    /// The number, in the run, of the message the cursor is at.
    pub fn message(&self) -> u64 {
        self.round * self.share.connections + self.share.connection(self.local)
    }

    /// The lane's connection that sends this message.
    pub fn local(&self) -> usize {
        self.local as usize
    }

    /// Goes to the lane's next message.
    pub fn advance(&mut self) {
        self.local += 1;
        if self.local == self.share.len() {
            self.local = 0;
            self.round += 1;
        }
    }
}

/// How many of `messages` messages connection `connection` sends when they go round `connections` connections.
pub fn quota(messages: u64, connections: u64, connection: u64) -> u64 {
    messages / connections + u64::from(connection < messages % connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: u64) -> Rate {
        Rate(NonZeroU64::new(rate).expect("not zero"))
    }

    #[test]
    fn due_times_do_not_drift() {
        assert_eq!(rate(1000).due_ns(0), 0);
        assert_eq!(rate(1000).due_ns(1), 1_000_000);
        assert_eq!(rate(3).due_ns(1), 333_333_333);
        assert_eq!(rate(3).due_ns(3), 1_000_000_000);
        assert_eq!(rate(7).due_ns(7 * 86_400), 86_400 * 1_000_000_000);
        assert_eq!(rate(1).due_ns(u64::MAX), u64::MAX);
    }

    #[test]
    fn lanes_share_every_connection_once() {
        for (connections, lanes) in [(1, 1), (10, 3), (9, 3), (3, 3), (101, 4)] {
            let mut seen = Vec::new();
            for lane in 0..lanes {
                let share = Share { lane, lanes, connections };
                seen.extend((0..share.len()).map(|local| share.connection(local)));
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..connections).collect::<Vec<_>>(), "{connections} on {lanes}");
        }
    }

    #[test]
    fn cursors_together_walk_the_whole_schedule_in_order() {
        let (connections, lanes, rounds) = (10, 3, 5);
        let mut seen = Vec::new();
        for lane in 0..lanes {
            let share = Share { lane, lanes, connections };
            let mut cursor = Cursor::new(share);
            let mut before = None;
            for _ in 0..share.len() * rounds {
                assert!(before < Some(cursor.message()), "out of order");
                assert_eq!(cursor.message() % connections, share.connection(cursor.local() as u64));
                before = Some(cursor.message());
                seen.push(cursor.message());
                cursor.advance();
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..connections * rounds).collect::<Vec<_>>());
    }

    #[test]
    fn quotas_add_up() {
        for (messages, connections) in [(0, 3), (1, 3), (10, 3), (9, 3), (1000, 7)] {
            let sum: u64 = (0..connections).map(|connection| quota(messages, connections, connection)).sum();
            assert_eq!(sum, messages);
        }
    }
}
