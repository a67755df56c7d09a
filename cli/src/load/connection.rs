//! One connection of the load: which message is next, which answer is expected, and when each began. Knows no socket.

use super::pattern::Pattern;
use super::schedule::Rate;
use super::tally::Tally;
use std::collections::VecDeque;

/// What all connections of a run have in common.
#[derive(Debug)]
pub struct Work {
    /// Connections of the whole run.
    pub connections: u64,
    pub pattern: Pattern,
    /// The most messages of one connection that are sent and not answered.
    pub limit: usize,
    /// The open loop's rate; `None` is a closed loop.
    pub rate: Option<Rate>,
    /// The whole run's messages, if it ends by number.
    pub messages: Option<u64>,
    /// What begins before this is not measured.
    pub warmup_ns: u64,
    /// When sending ends, if the run ends by time.
    pub end_ns: Option<u64>,
    /// How long to wait for answers that do not come.
    pub timeout_ns: u64,
}

/// The state of one connection.
///
/// Its memory is bounded, whatever the server does: `limit` send buffers and as many times. What an open loop's
/// schedule has released and the limit holds back is a mere count, since the due time of a message follows from its
/// number.
#[derive(Debug)]
pub struct Connection {
    number: u64,
    /// Messages that it sends in all; without an end by number, not known before sending is over.
    quota: u64,
    /// Open loop: messages that have become due.
    released: u64,
    sent: u64,
    answered: u64,
    /// Bytes of the answer under way.
    partial: usize,
    partial_wrong: bool,
    lost: bool,
    buffers: Vec<Vec<u8>>,
    buffers_made: usize,
    /// Closed loop: when each message not yet answered was sent.
    sent_at: VecDeque<u64>,
}

impl Connection {
    /// Connection `number` of the run, with `quota` messages to send.
    pub fn new(number: u64, quota: u64) -> Connection {
        Connection {
            number,
            quota,
            released: 0,
            sent: 0,
            answered: 0,
            partial: 0,
            partial_wrong: false,
            lost: false,
            buffers: Vec::new(),
            buffers_made: 0,
            sent_at: VecDeque::new(),
        }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// The open loop's schedule has come to the next message.
    pub fn release(&mut self) {
        self.released += 1;
    }

    /// The next message, if one may be sent now. It counts as sent.
    pub fn next_message(&mut self, work: &Work, now_ns: u64) -> Option<Vec<u8>> {
        let allowed = if work.rate.is_some() { self.released.min(self.quota) } else { self.quota };
        if self.lost || self.sent >= allowed || self.sent - self.answered >= work.limit as u64 {
            return None;
        }
        let mut buffer = self.take_buffer(work)?;
        buffer.clear();
        buffer.extend_from_slice(work.pattern.message(self.number, self.sent));
        if work.rate.is_none() {
            self.sent_at.push_back(now_ns);
        }
        self.sent += 1;
        Some(buffer)
    }

    fn take_buffer(&mut self, work: &Work) -> Option<Vec<u8>> {
        if let Some(buffer) = self.buffers.pop() {
            return Some(buffer);
        }
        if self.buffers_made == work.limit {
            // Every buffer is still with the port, though an answer came: the send callback brings one back.
            return None;
        }
        self.buffers_made += 1;
        Some(Vec::with_capacity(work.pattern.size()))
    }

    /// A send's buffer has come back.
    pub fn give_back(&mut self, buffer: Vec<u8>) {
        self.buffers.push(buffer);
    }

    /// The last message taken could not be sent: it never was.
    pub fn take_back(&mut self, buffer: Vec<u8>) {
        self.sent -= 1;
        self.sent_at.pop_back();
        self.give_back(buffer);
    }

    /// Bytes have come from the server: checks them and counts the messages that they complete.
    pub fn receive(&mut self, mut bytes: &[u8], now_ns: u64, work: &Work, tally: &mut Tally) {
        while !bytes.is_empty() {
            if self.answered == self.sent {
                tally.unexpected_bytes += bytes.len() as u64;
                tally.note_fault(|| format!("connection {}: {} bytes nobody asked for", self.number, bytes.len()));
                return;
            }
            let expected = &work.pattern.message(self.number, self.answered)[self.partial..];
            let (mine, rest) = bytes.split_at(expected.len().min(bytes.len()));
            if mine != &expected[..mine.len()] {
                self.note_wrong(mine, expected, tally);
            }
            self.partial += mine.len();
            bytes = rest;
            if self.partial == work.pattern.size() {
                self.complete_answer(now_ns, work, tally);
            }
        }
    }

    fn note_wrong(&mut self, got: &[u8], expected: &[u8], tally: &mut Tally) {
        self.partial_wrong = true;
        tally.note_fault(|| {
            let at = got.iter().zip(expected).position(|(got, expected)| got != expected).unwrap_or(0);
            format!(
                "connection {}, message {}, byte {}: {:#04x} came back as {:#04x}",
                self.number,
                self.answered,
                self.partial + at,
                expected[at],
                got[at]
            )
        });
    }

    fn complete_answer(&mut self, now_ns: u64, work: &Work, tally: &mut Tally) {
        let began_ns = self.began_ns(self.answered, work);
        self.sent_at.pop_front();
        self.answered += 1;
        self.partial = 0;
        tally.until_ns = tally.until_ns.max(now_ns);
        if std::mem::take(&mut self.partial_wrong) {
            tally.wrong += 1;
            return;
        }
        tally.answered += 1;
        if let Some(began_ns) = began_ns.filter(|began_ns| *began_ns >= work.warmup_ns) {
            tally.measured += 1;
            tally.latencies.saturating_record(now_ns.saturating_sub(began_ns));
        }
    }

    /// When a message began: when it was due (open loop) or sent (closed loop; `None` if it was not).
    fn began_ns(&self, index: u64, work: &Work) -> Option<u64> {
        match work.rate {
            Some(rate) => Some(rate.due_ns(index * work.connections + self.number)),
            None => self.sent_at.get((index - self.answered) as usize).copied(),
        }
    }

    /// The connection has ended.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Sending ends: nothing more becomes due or is begun, but what is due already is still sent.
    pub fn stop_sending(&mut self, work: &Work) {
        let begun = if work.rate.is_some() { self.released } else { self.sent };
        self.quota = self.quota.min(begun);
    }

    /// Whether it has nothing left to do.
    pub fn is_finished(&self) -> bool {
        self.lost || self.answered >= self.quota
    }

    /// Whether messages are sent, or due, and not answered.
    pub fn is_waiting(&self) -> bool {
        !self.lost && self.answered < self.sent.max(self.released)
    }

    /// At the end: counts what has not been answered. What had begun counts with its delay until now, the least that
    /// it can have been: leaving it out would hide the worst latencies.
    pub fn count_unanswered(&self, now_ns: u64, work: &Work, tally: &mut Tally) {
        for index in self.answered..self.quota {
            tally.unanswered += 1;
            let began_ns = self.began_ns(index, work).filter(|began_ns| (work.warmup_ns..=now_ns).contains(began_ns));
            if let Some(began_ns) = began_ns {
                tally.latencies.saturating_record(now_ns - began_ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    const SIZE: usize = 16;

    fn work(limit: usize, rate: Option<u64>) -> Work {
        let rate = rate.map(|rate| Rate(NonZeroU64::new(rate).expect("not zero")));
        let pattern = Pattern::new(SIZE);
        Work { connections: 2, pattern, limit, rate, messages: None, warmup_ns: 0, end_ns: None, timeout_ns: 1 }
    }

    #[test]
    fn a_closed_loop_measures_from_the_send_and_keeps_its_limit() {
        let (work, mut tally) = (work(2, None), Tally::new());
        let mut connection = Connection::new(1, u64::MAX);
        let first = connection.next_message(&work, 100).expect("first");
        let second = connection.next_message(&work, 200).expect("second");
        assert_ne!(first, second);
        assert!(connection.next_message(&work, 300).is_none(), "the limit is two");
        connection.receive(&first, 1_100, &work, &mut tally);
        assert_eq!((tally.answered, tally.latencies.max()), (1, 1_000));
        assert!(connection.next_message(&work, 1_100).is_none(), "both buffers are with the port");
        connection.give_back(first);
        assert!(connection.next_message(&work, 1_100).is_some());
        connection.receive(&second, 1_200, &work, &mut tally);
        assert_eq!((tally.answered, tally.latencies.len(), tally.until_ns), (2, 2, 1_200));
        assert_eq!(tally.first_fault, None);
    }

    #[test]
    fn an_open_loop_measures_from_the_schedule_even_when_sent_late() {
        let (work, mut tally) = (work(1, Some(1_000)), Tally::new());
        let mut connection = Connection::new(1, u64::MAX);
        assert!(connection.next_message(&work, 0).is_none(), "nothing is due");
        connection.release();
        connection.release();
        let first = connection.next_message(&work, 5_000_000).expect("due");
        assert!(connection.next_message(&work, 5_000_000).is_none(), "the limit is one");
        // Of two connections at 1,000 a second, connection 1 is due at 1 ms, 3 ms, …
        connection.receive(&first, 6_000_000, &work, &mut tally);
        assert!((4_990_000..=5_010_000).contains(&tally.latencies.max()), "{}", tally.latencies.max());
        connection.stop_sending(&work);
        connection.count_unanswered(13_000_000, &work, &mut tally);
        assert_eq!((tally.measured, tally.unanswered, tally.latencies.len()), (1, 1, 2));
        assert!((9_990_000..=10_010_000).contains(&tally.latencies.max()), "{}", tally.latencies.max());
    }

    #[test]
    fn answers_may_come_in_any_pieces() {
        let (work, mut tally) = (work(3, None), Tally::new());
        let mut connection = Connection::new(0, 3);
        let mut stream = Vec::new();
        while let Some(message) = connection.next_message(&work, 0) {
            stream.extend(message);
        }
        for piece in stream.chunks(7) {
            assert!(!connection.is_finished());
            connection.receive(piece, 1, &work, &mut tally);
        }
        assert!(connection.is_finished());
        assert_eq!((tally.answered, tally.wrong), (3, 0));
    }

    #[test]
    fn a_wrong_byte_is_a_wrong_message_and_named() {
        let (work, mut tally) = (work(2, None), Tally::new());
        let mut connection = Connection::new(1, u64::MAX);
        let mut first = connection.next_message(&work, 0).expect("first");
        let second = connection.next_message(&work, 0).expect("second");
        first[5] ^= 1;
        connection.receive(&first, 1, &work, &mut tally);
        connection.receive(&second, 1, &work, &mut tally);
        assert_eq!((tally.wrong, tally.answered, tally.latencies.len()), (1, 1, 1));
        let fault = tally.first_fault.expect("described");
        assert!(fault.starts_with("connection 1, message 0, byte 5: "), "{fault}");
    }

    #[test]
    fn bytes_that_nobody_asked_for_are_counted() {
        let (work, mut tally) = (work(1, None), Tally::new());
        let mut connection = Connection::new(0, u64::MAX);
        connection.receive(b"hello", 1, &work, &mut tally);
        assert_eq!((tally.unexpected_bytes, tally.answered), (5, 0));
    }

    #[test]
    fn the_warm_up_is_checked_but_not_measured() {
        let (mut work, mut tally) = (work(1, None), Tally::new());
        work.warmup_ns = 1_000;
        let mut connection = Connection::new(0, u64::MAX);
        for (sent_ns, measured) in [(999, 0), (1_000, 1)] {
            let message = connection.next_message(&work, sent_ns).expect("one at a time");
            connection.receive(&message, sent_ns + 10, &work, &mut tally);
            connection.give_back(message);
            assert_eq!(tally.measured, measured);
        }
        assert_eq!(tally.answered, 2);
    }

    #[test]
    fn a_message_that_was_refused_is_sent_again() {
        let work = work(1, None);
        let mut connection = Connection::new(0, u64::MAX);
        let message = connection.next_message(&work, 0).expect("first");
        let copy = message.clone();
        connection.take_back(message);
        assert!(!connection.is_waiting());
        assert_eq!(connection.next_message(&work, 1), Some(copy));
    }

    #[test]
    fn a_lost_connection_counts_what_it_owes() {
        let (work, mut tally) = (work(2, None), Tally::new());
        let mut connection = Connection::new(0, 10);
        connection.next_message(&work, 0).expect("first");
        connection.lose();
        assert!(connection.is_finished());
        assert!(connection.next_message(&work, 0).is_none());
        connection.count_unanswered(1_000, &work, &mut tally);
        assert_eq!((tally.unanswered, tally.latencies.len()), (10, 1), "one of ten had begun");
    }
}
