//! Two Gaussians of any covariance, fitted by EM (Dempster, Laird & Rubin 1977), begun from k-means:
//!
//! > p(x) = sum over k of w_k N(x; m_k, C_k),  r_ik = w_k N(x_i; m_k, C_k) / p(x_i),
//! > w_k = mean r_ik,  m_k = sum r_ik x_i / sum r_ik,  C_k = sum r_ik (x_i - m_k)(x_i - m_k)' / sum r_ik + ridge.
//!
//! linfa's mixture is not used: it sums exp(log density) as it stands, so that an object a few widths out in 30
//! dimensions has density 0 in both components and infinite or no probabilities, and its restarts go on from the run
//! before. Here the sum is shifted by its largest term, each restart is its own, and one that ends with a
//! component of fewer objects than have a covariance is not counted: its likelihood is high for nothing.

use tch::{Device, Kind, Tensor};

use super::ManifoldError;
use super::kmeans::KMeans;
use super::points::Points;

const METHOD: &str = "the mixture";
const STEPS_MAX: usize = 2000;
/// EM ends when the mean log-likelihood rises by less than this.
const RISE_MIN: f64 = 1e-10;
/// Added to the covariances' diagonals, in units of the latents' mean variance.
const RIDGE: f64 = 1e-6;

/// How the components are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixtureSettings {
    /// Starts, of which the likeliest is kept.
    pub restarts: usize,
    /// Of the k-means before each.
    pub seed: u64,
}

impl Default for MixtureSettings {
    fn default() -> Self {
        Self { restarts: 5, seed: 20 }
    }
}

/// Two components, the one with the smaller first mean first.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Share of the objects in each component, summing to 1.
    pub weights: [f64; 2],
    /// Mean of each component (width).
    pub means: [Vec<f64>; 2],
    /// Covariance of each component (width x width), row by row.
    pub covariances: [Vec<f64>; 2],
    /// Mean log-likelihood of the fitted objects, in nats.
    pub log_likelihood: f64,
}

impl Mixture {
    /// Finds the two components of `points`.
    ///
    /// # Errors
    /// For no more than twice as many objects as latents, no spread, where no start settles in 2,000 steps, where all
    /// end with next to no objects in one component, and libtorch's.
    pub fn fit(points: &Points, settings: &MixtureSettings) -> Result<Self, ManifoldError> {
        points.fit_for(METHOD, 2 * (points.width() + 1))?;
        twinpeak_nets::device::start();
        let (mut best, mut failure): (Option<Self>, _) = (None, None);
        for restart in 0..settings.restarts.max(1) {
            match Self::once(points, settings.seed, restart as u64) {
                Ok(found) if best.as_ref().is_some_and(|b| b.log_likelihood >= found.log_likelihood) => {}
                Ok(found) => best = Some(found),
                Err(e @ ManifoldError::Torch(_)) => return Err(e),
                Err(e) => failure = Some(e),
            }
        }
        let none = || failure.unwrap_or(ManifoldError::NotConverged { method: METHOD, steps: STEPS_MAX });
        best.ok_or_else(none)
    }

    fn once(points: &Points, seed: u64, restart: u64) -> Result<Self, ManifoldError> {
        let not_converged = ManifoldError::NotConverged { method: METHOD, steps: STEPS_MAX };
        let Some(start) = KMeans::once(points, seed, restart) else { return Err(not_converged) };
        let x = table(points)?;
        let ridge = RIDGE * points.variance(&points.mean()).iter().sum::<f64>() / points.width() as f64;
        let second: Vec<f64> = start.scalar(points)?.iter().map(|&s| f64::from(s > 0.0)).collect();
        let second = Tensor::f_from_slice(&second)?;
        let mut shares = Tensor::f_stack(&[second.f_neg()?.f_add_scalar(1.0)?, second], 0)?;
        let mut before = f64::NEG_INFINITY;
        for _ in 0..STEPS_MAX {
            let components = Components::of(&x, &shares, ridge)?;
            let (log_joint, log_likelihood) = components.log_joint(&x)?;
            if log_likelihood - before < RISE_MIN {
                return components.finish(points.len(), log_likelihood);
            }
            before = log_likelihood;
            shares = log_joint.f_softmax(0, Kind::Double)?;
        }
        Err(not_converged)
    }

    /// Log-odds of the second component, in nats.
    ///
    /// # Errors
    /// For objects of another width, and libtorch's.
    pub fn scalar(&self, points: &Points) -> Result<Vec<f64>, ManifoldError> {
        points.of_width(self.means[0].len())?;
        twinpeak_nets::device::start();
        let width = points.width() as i64;
        let tensor = |values: [&[f64]; 2]| Tensor::f_from_slice(&values.concat());
        let [first, second] = &self.means;
        let [c1, c2] = &self.covariances;
        let components = Components {
            weights: Tensor::f_from_slice(&self.weights)?,
            means: tensor([first, second])?.f_view([2, 1, width])?,
            covariances: tensor([c1, c2])?.f_view([2, width, width])?,
        };
        let (log_joint, _) = components.log_joint(&table(points)?)?;
        Ok(Vec::try_from(log_joint.f_select(0, 1)?.f_sub(&log_joint.f_select(0, 0)?)?.f_contiguous()?)?)
    }
}

/// (1, objects, width), to be broadcast over the components.
fn table(points: &Points) -> Result<Tensor, ManifoldError> {
    Ok(Tensor::f_from_slice(points.values())?.f_view([1, points.len() as i64, points.width() as i64])?)
}

/// Both components while EM works on them.
struct Components {
    /// Share of each component, (2).
    weights: Tensor,
    /// Mean of each component, (2, 1, width).
    means: Tensor,
    /// Covariance of each component, (2, width, width).
    covariances: Tensor,
}

impl Components {
    /// The M step: components of objects `x` (1, n, width) of which each holds `shares` (2, n).
    fn of(x: &Tensor, shares: &Tensor, ridge: f64) -> Result<Self, ManifoldError> {
        let shares = shares.f_unsqueeze(1)?;
        let held = shares.f_sum_dim_intlist(2, true, Kind::Double)?;
        let means = shares.f_matmul(x)?.f_div(&held)?;
        let offsets = x.f_sub(&means)?;
        let weighted = offsets.f_mul(&shares.f_transpose(1, 2)?)?;
        let ridge = Tensor::f_eye(x.size()[2], (Kind::Double, Device::Cpu))?.f_mul_scalar(ridge)?;
        let covariances = weighted.f_transpose(1, 2)?.f_matmul(&offsets)?.f_div(&held)?.f_add(&ridge)?;
        Ok(Self { weights: held.f_view([2])?.f_div_scalar(x.size()[1] as f64)?, means, covariances })
    }

    /// ln(w_k N(x_i; m_k, C_k)) (2, n), and its logarithmic sum over the components, averaged over the objects.
    fn log_joint(&self, x: &Tensor) -> Result<(Tensor, f64), ManifoldError> {
        let root = self.covariances.f_linalg_cholesky(false)?;
        let offsets = x.f_sub(&self.means)?.f_transpose(1, 2)?;
        let whitened = root.f_linalg_solve_triangular(&offsets, false, true, false)?;
        let distance = whitened.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?;
        let log_determinant = root.f_diagonal(0, 1, 2)?.f_log()?.f_sum_dim_intlist(1, true, Kind::Double)?;
        let constant = 0.5 * x.size()[2] as f64 * (2.0 * std::f64::consts::PI).ln();
        let log_weights = self.weights.f_log()?.f_unsqueeze(1)?;
        let log_joint =
            distance.f_mul_scalar(-0.5)?.f_sub(&log_determinant)?.f_sub_scalar(constant)?.f_add(&log_weights)?;
        let log_likelihood = log_joint.f_logsumexp(0, false)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        Ok((log_joint, log_likelihood))
    }

    fn finish(&self, objects: usize, log_likelihood: f64) -> Result<Mixture, ManifoldError> {
        let width = self.means.size()[2] as usize;
        let values = |of: &Tensor, k: i64| -> Result<Vec<f64>, tch::TchError> {
            Vec::try_from(of.f_select(0, k)?.f_reshape([-1])?.f_contiguous()?)
        };
        let component = |k| -> Result<_, tch::TchError> {
            Ok((self.weights.f_double_value(&[k])?, values(&self.means, k)?, values(&self.covariances, k)?))
        };
        let mut found = [component(0)?, component(1)?];
        let fewest = objects as f64 * found[0].0.min(found[1].0);
        if fewest < (width + 1) as f64 {
            return Err(ManifoldError::Collapsed { objects: fewest, needed: width + 1 });
        }
        found.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]));
        let [(w1, m1, c1), (w2, m2, c2)] = found;
        Ok(Mixture { weights: [w1, w2], means: [m1, m2], covariances: [c1, c2], log_likelihood })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifold::samples;

    fn close(found: &[f64], expected: &[f64], within: f64) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < within), "{found:?} is not {expected:?}");
    }

    /// sklearn.mixture.GaussianMixture(2, tol=1e-10, n_init=10) on the same points, with the same ridge.
    #[test]
    fn the_components_are_scikit_learns() {
        let found = Mixture::fit(&samples::gaussians(), &MixtureSettings::default()).unwrap();
        close(&found.weights, &[0.654_345_358_811_630_7, 0.345_654_641_188_369_3], 1e-3);
        close(&found.means[0], &[-0.026_264_590_076_191_68, 0.021_892_531_814_281_774], 1e-3);
        close(&found.means[1], &[2.447_805_615_401_745_3, 0.913_416_220_658_074_8], 1e-3);
        close(&found.covariances[0], &[0.953_375_092_764, 0.000_371_630, 0.000_371_630, 0.922_889_749_494], 1e-3);
        close(&found.covariances[1], &[0.277_658_585_408, -0.039_640_320, -0.039_640_320, 2.346_139_797_725], 1e-3);
        close(&[found.log_likelihood], &[-3.253_529_736_577_501], 1e-6);
        let new = Points::new(2, vec![1.2, 0.5, 3.0, 3.0]).unwrap();
        close(&found.scalar(&new).unwrap(), &[-2.453_056_368_919_964, 7.566_857_371_768_449], 1e-2);
    }

    /// Between two components of the same covariance the log-odds are linear: those of Fisher's discriminant.
    #[test]
    fn log_odds_of_one_covariance_are_fishers() {
        let covariance = vec![2.0, 0.5, 0.5, 1.0];
        let model = Mixture {
            weights: [0.75, 0.25],
            means: [vec![0.0, 0.0], vec![1.0, -1.0]],
            covariances: [covariance.clone(), covariance],
            log_likelihood: 0.0,
        };
        // C^-1 (m2 - m1) = (6/7, -10/7); the midpoint (.5, -.5) has projection 8/7.
        let fisher = |x: f64, y: f64| (6.0 * x - 10.0 * y) / 7.0 - 8.0 / 7.0 + (0.25f64 / 0.75).ln();
        let new = Points::new(2, vec![0.3, 0.2, -4.0, 1.0, 1e4, 1e4]).unwrap();
        let expected = [fisher(0.3, 0.2), fisher(-4.0, 1.0), fisher(1e4, 1e4)];
        close(&model.scalar(&new).unwrap(), &expected, 1e-6);
    }

    #[test]
    fn two_gaussians_in_30_dimensions_are_told_apart_and_far_objects_have_odds() {
        let (points, second) = samples::two_gaussians(900, 30, 2);
        let settings = MixtureSettings { restarts: 2, seed: 1 };
        let found = Mixture::fit(&points, &settings).unwrap();
        assert_eq!(found, Mixture::fit(&points, &settings).unwrap());
        let truth = second.iter().filter(|&&s| s).count() as f64 / 900.0;
        close(&found.weights, &[1.0 - truth, truth], 1e-6);
        assert!(found.scalar(&points).unwrap().iter().zip(second).all(|(s, second)| (*s > 0.0) == second));
        let far = Points::new(30, [vec![1e3; 30], vec![-1e3; 30]].concat()).unwrap();
        assert!(found.scalar(&far).unwrap().iter().all(|s| s.is_finite()));
    }

    #[test]
    fn unsound_input_is_refused() {
        let fit = |values: Vec<f64>| Mixture::fit(&Points::new(2, values).unwrap(), &MixtureSettings::default());
        assert!(matches!(fit(vec![1.0, 2.0, 3.0, 4.0]), Err(ManifoldError::TooFew { found: 2, needed: 6, .. })));
        assert!(matches!(fit(vec![1.0; 20]), Err(ManifoldError::NoSpread { objects: 10 })));
        let outlier: Vec<f64> = (0..40).map(|i| if i < 2 { 1e6 } else { f64::from(i * i % 7) }).collect();
        let error = fit(outlier).unwrap_err();
        assert!(matches!(error, ManifoldError::Collapsed { needed: 3, .. }), "{error}");
    }
}
