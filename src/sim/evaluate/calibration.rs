//! Whether a probability means what it says: the share of stars among objects with probability p should be p.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Number of bins, of equal counts.
const BINS: usize = 10;

/// One bin of the reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Number of objects in the bin.
    pub objects: usize,
    /// Mean probability of being a star.
    pub mean_prob: f64,
    /// Share of them that are stars, 0..1.
    pub star_fraction: f64,
}

/// The expected calibration error: the mean over ten equal-count bins, weighted by their objects, of
/// |mean probability - share of stars|.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReliabilityDiagram {
    /// Expected calibration error, 0..1.
    pub error: f64,
    /// 2.5th and 97.5th percentiles over bootstrap samples. An error is never negative, so its noise adds up and
    /// the interval lies a little high.
    pub interval: [f64; 2],
    /// Number of objects in all bins.
    pub objects: usize,
    /// Its bins, by rising probability.
    pub bins: Vec<ReliabilityBin>,
}

impl ReliabilityDiagram {
    /// Measures `prob` (0..1, none NaN) against the truth; `None` with fewer objects than bins.
    pub fn measure(prob: &[f64], star: &[bool], resamplings: usize, seed: u64) -> Option<Self> {
        let n = prob.len();
        if n < BINS {
            return None;
        }
        let mut sorted: Vec<_> = prob.iter().copied().zip(star.iter().copied()).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let bins = reliability(&sorted);

        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut times = vec![0_u32; n];
        let mut drawn = Vec::with_capacity(n);
        let mut errors: Vec<f64> = (0..resamplings)
            .map(|_| {
                times.fill(0);
                (0..n).for_each(|_| times[rng.random_range(0..n)] += 1);
                // Drawn objects in the order of their probability, without sorting again.
                drawn.clear();
                for (&object, &times) in sorted.iter().zip(&times) {
                    drawn.extend(std::iter::repeat_n(object, times as usize));
                }
                error(&reliability(&drawn))
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        let interval = [percentile(&errors, 0.025), percentile(&errors, 0.975)];
        Some(Self { error: error(&bins), interval, objects: n, bins })
    }
}

/// `sorted` in bins whose counts differ by at most one, the larger first.
fn reliability(sorted: &[(f64, bool)]) -> Vec<ReliabilityBin> {
    let (size, larger) = (sorted.len() / BINS, sorted.len() % BINS);
    let edge = |b: usize| b * size + b.min(larger);
    (0..BINS)
        .map(|b| {
            let bin = &sorted[edge(b)..edge(b + 1)];
            let objects = bin.len();
            let mean_prob = bin.iter().map(|o| o.0).sum::<f64>() / objects as f64;
            let star_fraction = bin.iter().filter(|o| o.1).count() as f64 / objects as f64;
            ReliabilityBin { objects, mean_prob, star_fraction }
        })
        .collect()
}

fn error(bins: &[ReliabilityBin]) -> f64 {
    let total: usize = bins.iter().map(|b| b.objects).sum();
    bins.iter().map(|b| (b.mean_prob - b.star_fraction).abs() * b.objects as f64).sum::<f64>() / total as f64
}

/// Linear between the ranks; NaN of nothing.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let rank = share * last as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (rank - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: usize) -> (Vec<f64>, Vec<bool>) {
        let prob = |i: usize| (((i * 37) % 101) as f64 + 0.5) / 101.0;
        let star = |i: usize| ((i * 53) % 97) as f64 / 97.0 < prob(i).powi(2);
        ((0..n).map(prob).collect(), (0..n).map(star).collect())
    }

    #[test]
    fn error_agrees_with_numpy() {
        // i = np.arange(n); p = ((i * 37) % 101 + .5) / 101; y = (i * 53) % 97 / 97 < p**2; k = np.argsort(p,
        // kind="stable") sum(abs(p[b].mean() - y[b].mean()) * len(b) for b in np.array_split(k, 10)) / n, for n = 500,
        // 503
        for (n, expected) in [(500, 0.14994059405940596), (503, 0.15027655847095647)] {
            let (prob, star) = sample(n);
            let c = ReliabilityDiagram::measure(&prob, &star, 10, 0).unwrap();
            assert!((c.error - expected).abs() < 1e-12, "{n}: {} is not {expected}", c.error);
        }
    }

    #[test]
    fn interval_agrees_with_a_bootstrap_in_numpy() {
        // the same p and y, n = 500; rng = np.random.default_rng(0); e(j) the error of the resampling
        // j = rng.integers(n, size=n); np.percentile([e(j) for _ in range(4000)], [2.5, 97.5])
        let (prob, star) = sample(500);
        let [low, high] = ReliabilityDiagram::measure(&prob, &star, 4000, 0).unwrap().interval;
        assert!((low - 0.1183896).abs() < 0.004 && (high - 0.18582178).abs() < 0.004, "{low} {high}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let (prob, star) = sample(200);
        let interval = |seed| ReliabilityDiagram::measure(&prob, &star, 100, seed).unwrap().interval;
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
    }

    #[test]
    fn few_objects_have_no_calibration() {
        let (prob, star) = sample(9);
        assert_eq!(ReliabilityDiagram::measure(&prob, &star, 10, 0), None);
    }
}
