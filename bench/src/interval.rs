//! Medians, and how far they can be trusted.

use std::fmt;

/// A median and where the true one lies with this confidence, whatever the distribution: between two of the values
/// (the interval of the sign test).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// The middle of the values.
    pub median: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// 0 to 1: 0.95 or more from six values on.
    pub confidence: f64,
}

/// The narrowest interval with a confidence of 95%; that of all values if they are too few.
pub(crate) fn interval(sorted: &[f64]) -> Option<Interval> {
    let count = sorted.len();
    // Whether the k-th value from below is above the median is count tosses of a coin.
    let mut outside = 0.5_f64.powi(count as i32);
    let (mut left_out, mut tail) = (0, 2.0 * outside);
    for next in 1..count / 2 {
        outside *= (count - next + 1) as f64 / next as f64;
        if tail + 2.0 * outside > 0.05 {
            break;
        }
        tail += 2.0 * outside;
        left_out = next;
    }
    Some(Interval {
        median: middle(sorted)?,
        low: sorted[left_out],
        high: sorted[count - 1 - left_out],
        confidence: (1.0 - tail).max(0.0),
    })
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ({:.3} to {:.3})", self.median, self.low, self.high)
    }
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// `None` if there is no value.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    middle(&sorted(values))
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_those_of_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn intervals_have_the_confidence_of_the_sign_test() {
        // From any table of the binomial distribution.
        for (count, left_out, confidence) in
            [(5, 0, 0.9375), (6, 0, 0.96875), (8, 0, 0.9921875), (9, 1, 0.9609375), (12, 2, 0.9614257)]
        {
            let values: Vec<f64> = (0..count).map(f64::from).collect();
            let found = interval(&values).expect("values");
            assert_eq!((found.low, found.high), (f64::from(left_out), f64::from(count - 1 - left_out)), "{count}");
            assert!((found.confidence - confidence).abs() < 1e-6, "{count}: {found:?}");
        }
        assert_eq!(interval(&[2.0]), Some(Interval { median: 2.0, low: 2.0, high: 2.0, confidence: 0.0 }));
        assert_eq!(interval(&[]), None);
    }
}
