//! The buffer of a connection whose client sends units of a fixed size, many a packet and cut anywhere.

/// Bytes read and not yet dealt with. The first of them that `space` leaves is the first of a unit.
#[derive(Debug)]
pub struct Intake {
    bytes: Vec<u8>,
    unit: usize,
    /// What has been dealt with.
    start: usize,
    /// What has been read.
    end: usize,
}

impl Intake {
    /// A buffer of this size, or of one unit if that is more.
    pub fn new(read_buffer: usize, unit: usize) -> Intake {
        Intake { bytes: vec![0; read_buffer.max(unit)], unit, start: 0, end: 0 }
    }

    /// Where the next read goes: never empty. Every whole unit must have been dealt with.
    pub fn space(&mut self) -> &mut [u8] {
        debug_assert!(self.whole().is_empty() && self.start.is_multiple_of(self.unit), "a unit would be lost");
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut self.bytes[self.end..]
    }

    /// So many bytes have come into the space.
    pub fn received(&mut self, count: usize) {
        self.end += count;
    }

    /// What is left of the first whole unit; empty if there is none.
    pub fn first(&self) -> &[u8] {
        let end = (self.start / self.unit + 1) * self.unit;
        if end <= self.end { &self.bytes[self.start..end] } else { &[] }
    }

    /// What is left of all whole units.
    pub fn whole(&self) -> &[u8] {
        let end = self.end - self.end % self.unit;
        &self.bytes[self.start.min(end)..end]
    }

    /// So many bytes of whole units have been dealt with.
    pub fn done(&mut self, count: usize) {
        self.start += count;
    }
}

#[cfg(test)]
mod tests {
    use super::Intake;

    fn feed(intake: &mut Intake, bytes: &[u8]) {
        intake.space()[..bytes.len()].copy_from_slice(bytes);
        intake.received(bytes.len());
    }

    #[test]
    fn units_cut_anywhere_come_out_whole() {
        let mut intake = Intake::new(7, 3);
        feed(&mut intake, b"ab");
        assert_eq!((intake.first(), intake.whole()), (&b""[..], &b""[..]));
        feed(&mut intake, b"cdefg");
        assert_eq!((intake.first(), intake.whole()), (&b"abc"[..], &b"abcdef"[..]));
        intake.done(1);
        assert_eq!((intake.first(), intake.whole()), (&b"bc"[..], &b"bcdef"[..]));
        intake.done(2);
        assert_eq!((intake.first(), intake.whole()), (&b"def"[..], &b"def"[..]));
        intake.done(3);
        assert_eq!((intake.first(), intake.whole()), (&b""[..], &b""[..]));
        assert_eq!(intake.space().len(), 6, "the g is kept");
        feed(&mut intake, b"hi");
        assert_eq!(intake.whole(), b"ghi");
    }

    #[test]
    fn a_buffer_takes_one_unit_at_least() {
        assert_eq!(Intake::new(1, 64).space().len(), 64);
    }
}
