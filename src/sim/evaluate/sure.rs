//! Whether what is called certain is: among objects at p < .05 or p > .95, those that are wrong against as many as p says.

use serde::Serialize;

/// Objects of which the probability is sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sure {
    /// Number of objects at p < .05 or p > .95.
    pub objects: usize,
    /// Of these, those that are what p says they are not.
    pub wrong: usize,
    /// As many wrong ones as the probabilities say.
    pub expected: f64,
    /// (wrong - expected) over the binomial standard deviation; null where p leaves no doubt.
    pub sigma: Option<f64>,
}

impl Sure {
    /// Beyond it p is sure, at either end.
    pub const BELOW: f64 = 0.05;

    /// Counts them among (probability of being a star, whether it is one).
    pub fn measure(objects: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let mut sure = Self::default();
        let mut variance = 0.0;
        for (p, is_star) in objects.into_iter().filter(|(p, _)| *p < Self::BELOW || *p > 1.0 - Self::BELOW) {
            sure.objects += 1;
            sure.wrong += usize::from(is_star != (p > 0.5));
            sure.expected += p.min(1.0 - p);
            variance += p * (1.0 - p);
        }
        sure.sigma = (variance > 0.0).then(|| (sure.wrong as f64 - sure.expected) / variance.sqrt());
        sure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_ones_are_held_against_what_p_says() {
        let objects = (0..1000).map(|i| (if i % 2 == 0 { 0.02 } else { 0.96 }, i % 2 == 1 || i < 50));
        let sure = Sure::measure(objects.chain([(0.5, true), (0.06, true)]));
        assert_eq!((sure.objects, sure.wrong), (1000, 25));
        assert!((sure.expected - 30.0).abs() < 1e-9);
        let deviation = f64::sqrt(500.0 * (0.02 * 0.98 + 0.04 * 0.96));
        assert!((sure.sigma.unwrap() - -5.0 / deviation).abs() < 1e-9);
        assert_eq!(Sure::measure([(0.0, false)]).sigma, None);
    }
}
