//! The receiver operating characteristic and its area: the probability that a random positive scores above a
//! random negative, ties counting half (Mann & Whitney 1947; Fawcett 2006, doi:10.1016/j.patrec.2005.10.010).

use serde::Serialize;

/// Rates of false and true positives at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RocPoint {
    /// Negatives at or above the threshold, 0..1.
    pub false_positive_rate: f64,
    /// Positives at or above the threshold, 0..1.
    pub true_positive_rate: f64,
}

/// A curve from (0, 0) to (1, 1), one point a distinct score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roc {
    /// Area under the curve, 0..1.
    pub auc: f64,
    /// Its points, by falling threshold.
    pub points: Vec<RocPoint>,
}

/// The curve of `scores` (higher: positive, none NaN); `None` unless both classes are there.
pub fn roc(scores: &[f64], positive: &[bool]) -> Option<Roc> {
    let mut ranked: Vec<_> = scores.iter().copied().zip(positive.iter().copied()).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = ranked.iter().filter(|(_, p)| *p).count();
    let negatives = ranked.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (mut tp, mut fp, mut twice_area) = (0, 0, 0);
    let mut points = vec![RocPoint { false_positive_rate: 0.0, true_positive_rate: 0.0 }];
    for tied in ranked.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, p)| *p).count();
        let misses = tied.len() - hits;
        twice_area += misses * (2 * tp + hits);
        tp += hits;
        fp += misses;
        points.push(RocPoint {
            false_positive_rate: fp as f64 / negatives as f64,
            true_positive_rate: tp as f64 / positives as f64,
        });
    }
    Some(Roc { auc: twice_area as f64 / (2 * positives * negatives) as f64, points })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same numbers as in the Python of the comments below.
    fn sample(steps: f64) -> (Vec<f64>, Vec<bool>) {
        let score = |i: usize| (((i * 37) % 101) as f64 + 0.5) / 101.0;
        let star = |i: usize| ((i * 53) % 97) as f64 / 97.0 < score(i);
        ((0..500).map(|i| (score(i) * steps).floor()).collect(), (0..500).map(star).collect())
    }

    #[test]
    fn area_is_the_share_of_ordered_pairs() {
        // i = np.arange(500); s = ((i * 37) % 101 + .5) / 101; y = (i * 53) % 97 / 97 < s
        // for k in (1e6, 10, 3): t = np.floor(s * k); d = t[y][:, None] - t[~y]; ((d > 0) + .5 * (d == 0)).mean()
        for (steps, expected) in [(1e6, 0.8153287241533833), (10.0, 0.8121279047436144), (3.0, 0.7851610012163114)] {
            let (scores, stars) = sample(steps);
            let auc = roc(&scores, &stars).unwrap().auc;
            assert!((auc - expected).abs() < 1e-12, "{steps}: {auc} is not {expected}");
        }
    }

    #[test]
    fn curve_agrees_with_numpy() {
        // the same with t = np.floor(s * 3): [((t[~y] >= c).mean(), (t[y] >= c).mean()) for c in (2, 1, 0)]
        let expected = [
            (0.0, 0.0),
            (0.10975609756097561, 0.5590551181102362),
            (0.45528455284552843, 0.8661417322834646),
            (1.0, 1.0),
        ];
        let (scores, stars) = sample(3.0);
        let curve = roc(&scores, &stars).unwrap();
        for (point, (fpr, tpr)) in curve.points.iter().zip(expected) {
            assert!((point.false_positive_rate - fpr).abs() < 1e-12 && (point.true_positive_rate - tpr).abs() < 1e-12);
        }
        assert_eq!(curve.points.len(), expected.len());
    }

    #[test]
    fn one_class_has_no_curve() {
        assert_eq!(roc(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(roc(&[], &[]), None);
    }
}
