//! Medians and widths that outliers do not move.

use serde::Serialize;
use twinpeak_core::median::median_and_scatter;

/// Median and width of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Number of values.
    pub objects: usize,
    /// Their median.
    pub median: f64,
    /// Standard error of the median, were the values normal.
    pub median_err: f64,
    /// 1.4826 times the median of the distances from the median: the standard deviation of normal values.
    pub width: f64,
}

/// Fewest values that have a spread.
const FEWEST: usize = 5;

impl Spread {
    /// Of the values that are numbers; `None` where they are fewer than five.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        if values.len() < FEWEST {
            return None;
        }
        let (middle, width) = median_and_scatter(&mut values);
        let objects = values.len();
        Some(Self { objects, median: middle, median_err: 1.2533 * width / (objects as f64).sqrt(), width })
    }
}

/// A count and what it is a part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// `count / of`; null of nothing.
    pub share: Option<f64>,
}

impl Share {
    /// So many of all.
    pub fn new(count: usize, of: usize) -> Self {
        Self { count, of, share: (of > 0).then(|| count as f64 / of as f64) }
    }

    /// How many of these are true.
    pub fn of(values: impl IntoIterator<Item = bool>) -> Self {
        let (mut count, mut of) = (0, 0);
        for value in values {
            (count, of) = (count + usize::from(value), of + 1);
        }
        Self::new(count, of)
    }

    /// Binomial standard error of the share.
    pub fn error(&self) -> Option<f64> {
        self.share.map(|p| (p * (1.0 - p) / self.of as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_agrees_with_numpy() {
        // v = (np.arange(200) * 37 % 101) ** 2 / 100; np.median(v); 1.4826 * np.median(abs(v - np.median(v)))
        let spread = Spread::of((0..200).map(|i| f64::from((i * 37) % 101).powi(2) / 100.0)).unwrap();
        assert!((spread.median - 25.0).abs() < 1e-9, "{}", spread.median);
        assert!((spread.width - 32.520_831).abs() < 1e-6, "{}", spread.width);
        assert_eq!(Spread::of([1.0, 2.0, 3.0, 4.0, f64::NAN]), None);
    }

    #[test]
    fn a_share_knows_its_error() {
        let share = Share::of([true, false, false, false]);
        assert_eq!((share.share, share.error()), (Some(0.25), Some(f64::sqrt(0.1875 / 4.0))));
        assert_eq!(Share::default().error(), None);
    }
}
