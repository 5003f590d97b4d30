//! The profile likelihood's (EB's) shares of the models by magnitude: expectation maximisation (Dempster, Laird & Rubin
//! 1977) of a mixture whose components are given (chi^2 of the PSF and of 16 galaxies, see `cutout`) and whose shares
//! follow smooth laws.
//!
//! ```text
//! stars        logit pi(m)  = a0 + a1 x + a2 x^2
//! galaxies     ln r_e       ~ N(b0 + b1 x + b2 x^2, s^2) over the profiles' radii, a share f of them spheroids
//! shares       pi_0 = pi(m),   pi_k = (1 - pi(m)) g_k(m)
//!
//! E  r_ik = pi_k(m_i) L_ik / sum_l pi_l(m_i) L_il
//! M  a: logistic regression of r_i0;   b, s: regression of ln r_e, weighted by r_ik;   f: mean
//! ```
//!
//! with x the magnitude, from -1 to 1 over nearly all objects and constant beyond.
//!
//! Why laws. Near the limit a small galaxy and a star fit alike, and then the likelihood does not care which of the two
//! a share belongs to: shares left free at each magnitude describe the objects better and call twice as many of the
//! faintest ones stars as there are. What tells the two apart is that neither the counts of stars nor the sizes of
//! galaxies jump from one magnitude to the next, so that what is plain at 20 bounds what can be at 22. Counts are
//! near log-linear (their ratio's logit, linear) and so are sizes; the squares leave room for a sky that is not. The
//! regression takes the profiles' radii as the only ones there are, which biases it towards their middle by a few per
//! cent. Nothing is random.

use tch::{Kind, TchError, Tensor};

use super::LearnError;
use twinpeak_core::cutout::{HALF_LIGHT_RADII_PX, MODELS, SN_FLOOR};
use twinpeak_core::posterior::{ProfileMixture, relative_likelihoods};
use twinpeak_core::survey::Magnitudes;

const ITERATIONS: usize = 100;
/// The laws hold between these quantiles of the objects' magnitudes.
const LAWFUL: (f64, f64) = (0.02, 0.98);
/// Powers of x in a law.
const POWERS: i64 = 3;
/// Smallest variance of ln r_e: neighbouring profiles are a factor 1.5 apart.
const VARIANCE_MIN: f64 = 0.04;
/// No share falls below this.
const SHARE_MIN: f64 = 1e-4;
/// The point source alone is a star.
const POINT_LIKE: usize = 1;
/// Fewest objects from which shares are learned.
const OBJECTS_MIN: usize = 300;

/// What is learned from: for each object its fits, S/N and magnitude. All of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingSet {
    /// chi^2 of each object under each model, as fitted.
    pub chi2: Vec<[f32; MODELS]>,
    /// S/N over the shape bands.
    pub sn: Vec<f32>,
    /// PSF magnitude in the reference band.
    pub mag: Vec<f32>,
}

/// Learns the mixture, on nodes over the survey's `magnitudes.profiles`. Objects with a number that is not finite are left
/// out.
///
/// # Errors
/// [`LearnError::TooFew`], also where all have one magnitude; libtorch's.
pub fn train(objects: &TrainingSet, profiles_mag: [f64; 2]) -> Result<ProfileMixture, LearnError> {
    let nodes = Magnitudes::nodes(profiles_mag);
    let (likelihoods, mags) = usable(objects);
    let found = mags.len();
    let too_few = |what| LearnError::TooFew { net: "EB", what, found, needed: OBJECTS_MIN };
    if found < OBJECTS_MIN {
        return Err(too_few("objects"));
    }
    let scale = Scale::of(&mags).ok_or_else(|| too_few("objects of different magnitudes"))?;
    let shares =
        learn(&likelihoods, &mags, &scale, &nodes).map_err(|source| LearnError::Torch { net: "EB".into(), source })?;
    Ok(ProfileMixture {
        mag_nodes: nodes.iter().map(|&m| m as f32).collect(),
        shares,
        point_like: POINT_LIKE,
        sn_floor: SN_FLOOR as f32,
    })
}

/// Likelihoods, a row of [`MODELS`] an object, and magnitudes.
fn usable(objects: &TrainingSet) -> (Vec<f64>, Vec<f64>) {
    let (mut likelihoods, mut mags) = (Vec::new(), Vec::new());
    for ((chi2, &sn), &mag) in objects.chi2.iter().zip(&objects.sn).zip(&objects.mag) {
        if let Some(relative) = relative_likelihoods(chi2, sn, SN_FLOOR as f32).filter(|_| mag.is_finite()) {
            likelihoods.extend(relative);
            mags.push(f64::from(mag));
        }
    }
    (likelihoods, mags)
}

/// The table of all nodes, row by row.
fn learn(likelihoods: &[f64], mags: &[f64], scale: &Scale, nodes: &[f64]) -> Result<Vec<f32>, TchError> {
    twinpeak_nets::device::start();
    let likelihood = Tensor::f_from_slice(likelihoods)?.f_view([-1, MODELS as i64])?;
    let x = scale.powers(mags)?;
    let mut laws = Laws::start()?;
    for _ in 0..ITERATIONS {
        laws = laws.next(&x, &likelihood)?;
    }
    let table = laws.shares(&scale.powers(nodes)?)?.f_clamp_min(SHARE_MIN)?.f_to_kind(Kind::Float)?;
    let mut shares = vec![0.0; nodes.len() * MODELS];
    table.f_contiguous()?.f_copy_data(&mut shares, nodes.len() * MODELS)?;
    Ok(shares)
}

/// Range of magnitudes in which the laws hold; beyond it they stay constant.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(mags: &[f64]) -> Option<Self> {
        let mut sorted = mags.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |quantile: f64| sorted.get((quantile * (sorted.len().checked_sub(1)?) as f64).round() as usize);
        let (low, high) = (*at(LAWFUL.0)?, *at(LAWFUL.1)?);
        (high > low).then_some(Self { low, high })
    }

    /// 1, x, x^2 of each magnitude: (n, 3).
    fn powers(&self, mags: &[f64]) -> Result<Tensor, TchError> {
        let x = |&mag: &f64| (2.0 * mag.clamp(self.low, self.high) - self.low - self.high) / (self.high - self.low);
        let powers: Vec<f64> = mags.iter().map(x).flat_map(|x| [1.0, x, x * x]).collect();
        Tensor::f_from_slice(&powers)?.f_view([-1, POWERS])
    }
}

/// Coefficients of the laws in magnitude: of 1, x and x^2, where there are three.
struct Laws {
    /// Of the logit of the share of stars, (3).
    stars: Tensor,
    /// Of the mean ln r_e of galaxies, px, (3).
    size: Tensor,
    /// Variance of ln r_e about its mean.
    variance: Tensor,
    /// Share of spheroids (de Vaucouleurs) among galaxies.
    spheroids: Tensor,
}

impl Laws {
    /// As many stars as galaxies, and galaxies as large as the profiles.
    fn start() -> Result<Self, TchError> {
        let radii = ln_radii()?;
        let size = Tensor::f_zeros([POWERS], (Kind::Double, tch::Device::Cpu))?;
        let _ = size.f_narrow(0, 0, 1)?.f_fill_tensor_(&radii.f_mean(Kind::Double)?)?;
        Ok(Self {
            stars: Tensor::f_zeros_like(&size)?,
            size,
            variance: radii.f_var(false)?,
            spheroids: Tensor::f_from_slice(&[0.5])?,
        })
    }

    /// Shares of all models at each x: (n, models).
    fn shares(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let star = x.f_mv(&self.stars)?.f_sigmoid()?.f_unsqueeze(1)?;
        let off = ln_radii()?.f_sub(&x.f_mv(&self.size)?.f_unsqueeze(1)?)?;
        let lognormal = off.f_square()?.f_div(&self.variance)?.f_mul_scalar(-0.5)?;
        let disc = self.spheroids.f_neg()?.f_add_scalar(1.0)?;
        let kinds =
            Tensor::f_cat(&[&disc, &self.spheroids], 0)?.f_log()?.f_repeat([HALF_LIGHT_RADII_PX.len() as i64])?;
        let galaxies = lognormal.f_add(&kinds)?.f_softmax(1, Kind::Double)?;
        let galaxies = galaxies.f_mul(&star.f_neg()?.f_add_scalar(1.0)?)?;
        Tensor::f_cat(&[&star, &galaxies], 1)
    }

    /// pi_k L_k of each object.
    fn joint(&self, x: &Tensor, likelihood: &Tensor) -> Result<Tensor, TchError> {
        self.shares(x)?.f_mul(likelihood)
    }

    /// One step of expectation maximisation.
    fn next(&self, x: &Tensor, likelihood: &Tensor) -> Result<Self, TchError> {
        let joint = self.joint(x, likelihood)?;
        let responsibility = joint.f_div(&joint.f_sum_dim_intlist(&[1i64][..], true, Kind::Double)?)?;
        let galaxies = MODELS as i64 - 1;
        let (star, galaxy) = (responsibility.f_select(1, 0)?, responsibility.f_narrow(1, 1, galaxies)?);
        let weight = galaxy.f_sum_dim_intlist(&[1i64][..], false, Kind::Double)?;
        let radii = ln_radii()?;
        let size = solve(x, &weight, &galaxy.f_mv(&radii)?)?;
        let off = radii.f_sub(&x.f_mv(&size)?.f_unsqueeze(1)?)?;
        let mean = |values: &Tensor| values.f_sum(Kind::Double)?.f_div(&weight.f_sum(Kind::Double)?);
        let of_spheroids = galaxy.f_slice(1, 1, galaxies, 2)?;
        let spheroids = mean(&of_spheroids)?.f_clamp(SHARE_MIN, 1.0 - SHARE_MIN)?.f_unsqueeze(0)?;
        Ok(Self {
            stars: self.regression(x, &star)?,
            variance: mean(&off.f_square()?.f_mul(&galaxy)?)?.f_clamp_min(VARIANCE_MIN)?,
            size,
            spheroids,
        })
    }

    /// Newton's step of the logistic regression of `star` on x.
    fn regression(&self, x: &Tensor, star: &Tensor) -> Result<Tensor, TchError> {
        let now = x.f_mv(&self.stars)?.f_sigmoid()?;
        let weight = now.f_mul(&now.f_neg()?.f_add_scalar(1.0)?)?;
        self.stars.f_add(&solve(x, &weight, &star.f_sub(&now)?)?)
    }
}

/// ln r_e of each galaxy, px.
fn ln_radii() -> Result<Tensor, TchError> {
    let radii: Vec<f64> = HALF_LIGHT_RADII_PX.iter().flat_map(|r| [r.ln(), r.ln()]).collect();
    Tensor::f_from_slice(&radii)
}

/// c of the normal equations (x^T w x) c = x^T y; y is weighted already.
fn solve(x: &Tensor, weight: &Tensor, y: &Tensor) -> Result<Tensor, TchError> {
    // Where one class has no objects its law is anybody's: nothing moves.
    let ridge = Tensor::f_eye(POWERS, (Kind::Double, tch::Device::Cpu))?.f_mul_scalar(1e-9)?;
    let left = x.f_mul(&weight.f_unsqueeze(1)?)?.f_transpose(0, 1)?.f_matmul(x)?.f_add(&ridge)?;
    let right = x.f_transpose(0, 1)?.f_mv(y)?;
    Tensor::f_linalg_solve(&left, &right, true)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Each object is a number that scatters by 1 about its model's own, chi^2_k = (x - 6 k)^2; at S/N 0 nothing is
    /// damped. Stars' share has the logit 2 - (m - 18), ln r_e of galaxies the mean 1 - .3 (m - 18) and deviation .5,
    /// and three of ten are spheroids.
    fn lawful(n: usize, mags: std::ops::Range<f32>, seed: u64) -> TrainingSet {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut objects = TrainingSet::default();
        for _ in 0..n {
            let mag = rng.random_range(mags.clone());
            let shares = shares(mag);
            let u: f64 = rng.random();
            let below = shares.iter().scan(0.0, |sum, s| {
                *sum += s;
                Some(*sum)
            });
            let model = below.take_while(|sum| u > *sum).count();
            let x = 6.0 * model as f32 + rng.sample::<f32, _>(StandardNormal);
            objects.chi2.push(std::array::from_fn(|k| (x - 6.0 * k as f32).powi(2)));
            objects.sn.push(0.0);
            objects.mag.push(mag);
        }
        objects
    }

    fn shares(mag: f32) -> [f64; MODELS] {
        let star = 1.0 / (1.0 + (f64::from(mag) - 20.0).exp());
        let galaxy = |k: usize| {
            let off = (HALF_LIGHT_RADII_PX[k / 2].ln() - 1.0 + 0.3 * (f64::from(mag) - 18.0)) / 0.5;
            [0.7, 0.3][k % 2] * (-0.5 * off * off).exp()
        };
        let sum: f64 = (0..MODELS - 1).map(galaxy).sum();
        std::array::from_fn(|k| if k == 0 { star } else { (1.0 - star) * galaxy(k - 1) / sum })
    }

    fn at(learned: &ProfileMixture, mag: f32) -> &[f32] {
        let node = learned.mag_nodes.iter().position(|&m| m == mag).unwrap();
        &learned.shares[node * MODELS..(node + 1) * MODELS]
    }

    #[test]
    fn laws_come_back() {
        let learned = train(&lawful(8000, 17.0..22.5, 3), [13.0, 24.0]).unwrap();
        for mag in [17.5, 19.0, 20.0, 21.0, 22.0] {
            for (k, (found, expected)) in at(&learned, mag).iter().zip(shares(mag)).enumerate() {
                assert!((f64::from(*found) - expected).abs() < 0.035, "{mag} {k}: {found} is not {expected}");
            }
        }
    }

    /// Objects that fit no model better than another say nothing, and where there are only such ones the laws of the
    /// others go on: 22.25 has a tenth of stars, as if they could be told there.
    #[test]
    fn what_is_plain_bounds_what_is_not() {
        let mut objects = lawful(8000, 17.0..22.5, 4);
        for (chi2, _) in objects.chi2.iter_mut().zip(&objects.mag).filter(|(_, mag)| **mag > 21.0) {
            chi2.fill(900.0);
        }
        let learned = train(&objects, [13.0, 24.0]).unwrap();
        for mag in [21.5, 22.25] {
            let (found, expected) = (f64::from(at(&learned, mag)[0]), shares(mag)[0]);
            assert!((found - expected).abs() < 0.06, "{mag}: {found} is not {expected}");
        }
    }

    /// The same in numpy, with i = arange(600), k = arange(17): mag = 17 + 5 (i % 97) / 97, sn = 5 + (37 i) % 101,
    /// chi2 = 900 + (1.3 (k - (7 i) % 17) + 2 sin(.7 i))^2.
    #[test]
    fn the_table_is_the_references() {
        let mut objects = TrainingSet::default();
        for i in 0..600 {
            objects.mag.push((17.0 + 5.0 * f64::from(i % 97) / 97.0) as f32);
            objects.sn.push((5 + (37 * i) % 101) as f32);
            let chi2 = |k: usize| {
                let off = k as f64 - f64::from((7 * i) % 17);
                900.0 + (1.3 * off + 2.0 * (0.7 * f64::from(i)).sin()).powi(2)
            };
            objects.chi2.push(std::array::from_fn(|k| chi2(k) as f32));
        }
        let learned = train(&objects, [13.0, 24.0]).unwrap();
        for (node, model, expected) in REFERENCE_SHARES {
            let found = learned.shares[node * MODELS + model];
            assert!((found - expected).abs() < 2e-4, "({node}, {model}): {found} is not {expected}");
        }
        for (i, expected) in REFERENCE_ODDS {
            let found = learned.log_odds(&objects.chi2[i], objects.sn[i], objects.mag[i]).unwrap();
            assert!((found - expected).abs() < 2e-3, "{i}: {found} is not {expected}");
        }
    }
    const REFERENCE_SHARES: [(usize, usize, f32); 5] =
        [(0, 0, 0.147559), (16, 0, 0.147559), (24, 6, 0.075429), (30, 12, 0.087634), (44, 16, 0.024484)];
    const REFERENCE_ODDS: [(usize, f32); 4] = [(0, 3.75078), (1, -10.68499), (250, -26.86038), (599, -28.21959)];

    #[test]
    fn too_few_objects_are_refused_and_nonsense_is_left_out() {
        let mut objects = lawful(300, 17.0..22.0, 5);
        let sound = train(&objects, [13.0, 24.0]).unwrap();
        objects.chi2.push([f32::NAN; MODELS]);
        objects.sn.push(1.0);
        objects.mag.push(20.0);
        assert_eq!(train(&objects, [13.0, 24.0]).unwrap(), sound);
        objects.mag[7] = f32::NAN;
        assert!(train(&objects, [13.0, 24.0]).unwrap_err().to_string().contains("299 objects"));
        let mut alike = lawful(300, 17.0..22.0, 6);
        alike.mag.fill(20.0);
        assert!(train(&alike, [13.0, 24.0]).unwrap_err().to_string().contains("different magnitudes"));
    }
}
