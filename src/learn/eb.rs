//! EB's shares of the models by magnitude: expectation maximisation (Dempster, Laird & Rubin 1977) of a mixture whose
//! components are given (chi^2 of the PSF and of 16 galaxies, see `cutout`), local in magnitude.
//!
//! ```text
//! E  r_ik = pi_k(m_i) L_ik / sum_l pi_l(m_i) L_il
//! M  pi_k(node) = sum_i K(node, m_i) r_ik / sum_i K(node, m_i)      K a Gaussian of .5 mag
//! ```
//!
//! pi(m) is linear between nodes .25 mag apart. What EM raises at each node is sum_i K ln sum_k pi_k L_ik, nearly: an
//! object's r is that of its own magnitude, not of the node's. Nothing is random.

use crate::cutout::{MODELS, SN_FLOOR};
use crate::posterior::{ProfileMixture, relative_likelihoods};

use super::LearnError;

/// Nodes: magnitude 13 to 24, .25 apart.
const NODES: usize = 45;
const NODE_FIRST_MAG: f64 = 13.0;
const NODE_STEP_MAG: f64 = 0.25;
/// Standard deviation of the kernel.
const KERNEL_MAG: f64 = 0.5;
/// Every object's weight at every node: a node without objects near takes the mean of all.
const KERNEL_FLOOR: f64 = 1e-9;
const ITERATIONS: usize = 60;
/// No share falls below this.
const SHARE_MIN: f64 = 1e-4;
/// The point source and the two galaxies of half-light radius .35 px.
const POINT_LIKE: usize = 3;
/// Fewest objects from which shares are learned.
const OBJECTS_MIN: usize = 300;

/// What is learned from: for each object its fits, S/N and magnitude. All of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// chi^2 of each model.
    pub chi2: Vec<[f32; MODELS]>,
    /// S/N over the shape bands.
    pub sn: Vec<f32>,
    /// Reference-band PSF magnitude.
    pub mag: Vec<f32>,
}

/// Shares at a node.
type Shares = [f64; MODELS];

/// Learns the mixture. Objects with a number that is not finite are left out.
///
/// # Errors
/// [`LearnError::TooFew`]
pub fn train(objects: &Objects) -> Result<ProfileMixture, LearnError> {
    let problem = Problem::new(objects);
    if problem.likelihood.len() < OBJECTS_MIN {
        let found = problem.likelihood.len();
        return Err(LearnError::TooFew { net: "EB", what: "objects", found, needed: OBJECTS_MIN });
    }
    let mut shares = vec![start(); NODES];
    for _ in 0..ITERATIONS {
        shares = problem.step(&shares);
    }
    Ok(ProfileMixture {
        mag_nodes: (0..NODES).map(|n| node_mag(n) as f32).collect(),
        shares: shares.as_flattened().iter().map(|&s| s as f32).collect(),
        point_like: POINT_LIKE,
        sn_floor: SN_FLOOR as f32,
    })
}

/// Point-like or not at equal odds.
fn start() -> Shares {
    std::array::from_fn(|k| if k < POINT_LIKE { 0.5 / POINT_LIKE as f64 } else { 0.5 / (MODELS - POINT_LIKE) as f64 })
}

fn node_mag(node: usize) -> f64 {
    NODE_FIRST_MAG + NODE_STEP_MAG * node as f64
}

/// The objects as EM sees them.
struct Problem {
    likelihood: Vec<Shares>,
    /// The node before an object and the share of the way to the next one.
    place: Vec<(usize, f64)>,
    /// Kernel, node by node.
    kernel: Vec<Vec<f64>>,
}

impl Problem {
    fn new(objects: &Objects) -> Self {
        let (mut likelihood, mut mags) = (Vec::new(), Vec::new());
        for ((chi2, &sn), &mag) in objects.chi2.iter().zip(&objects.sn).zip(&objects.mag) {
            if let Some(relative) = relative_likelihoods(chi2, sn, SN_FLOOR as f32).filter(|_| mag.is_finite()) {
                let mut row = [0.0; MODELS];
                row.iter_mut().zip(relative).for_each(|(to, l)| *to = l);
                likelihood.push(row);
                mags.push(f64::from(mag));
            }
        }
        let place = mags.iter().map(|mag| {
            let steps = ((mag - NODE_FIRST_MAG) / NODE_STEP_MAG).clamp(0.0, (NODES - 1) as f64);
            let before = (steps as usize).min(NODES - 2);
            (before, steps - before as f64)
        });
        let kernel = |node: usize| {
            mags.iter().map(|mag| (-0.5 * ((node_mag(node) - mag) / KERNEL_MAG).powi(2)).exp() + KERNEL_FLOOR).collect()
        };
        Self { place: place.collect(), kernel: (0..NODES).map(kernel).collect(), likelihood }
    }

    /// pi_k L_k of object `i`.
    fn joint(&self, shares: &[Shares], i: usize) -> Shares {
        let (before, along) = self.place[i];
        std::array::from_fn(|k| {
            let share = shares[before][k] + (shares[before + 1][k] - shares[before][k]) * along;
            share * self.likelihood[i][k]
        })
    }

    fn step(&self, shares: &[Shares]) -> Vec<Shares> {
        let responsibility = |i: usize| {
            let joint = self.joint(shares, i);
            let sum: f64 = joint.iter().sum();
            joint.map(|j| j / sum)
        };
        let responsibilities: Vec<Shares> = (0..self.likelihood.len()).map(responsibility).collect();
        let node = |kernel: &Vec<f64>| {
            let mut sums = [0.0; MODELS];
            for (weight, r) in kernel.iter().zip(&responsibilities) {
                sums.iter_mut().zip(r).for_each(|(s, r)| *s += weight * r);
            }
            let total: f64 = sums.iter().sum();
            sums.map(|s| (s / total).max(SHARE_MIN))
        };
        self.kernel.iter().map(node).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Each object is a number that scatters by 1 about its model's own: chi^2_k = (x - 6 k)^2. Models 0, 5 and 9 have
    /// shares. At S/N 0 nothing is damped.
    fn mixture(n: usize, mag: impl Fn(&mut ChaCha8Rng) -> f32, shares_at: impl Fn(f32) -> [f32; 3]) -> Objects {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut objects = Objects::default();
        for _ in 0..n {
            let mag = mag(&mut rng);
            let [first, second, _] = shares_at(mag);
            let u: f32 = rng.random();
            let model = if u < first {
                0.0
            } else if u < first + second {
                5.0
            } else {
                9.0
            };
            let x = 6.0 * model + rng.sample::<f32, _>(StandardNormal);
            objects.chi2.push(std::array::from_fn(|k| (x - 6.0 * k as f32).powi(2)));
            objects.sn.push(0.0);
            objects.mag.push(mag);
        }
        objects
    }

    #[test]
    fn shares_of_a_mixture_come_back() {
        let shares = |mag: f32| [0.9 - 0.1 * (mag - 16.0), 0.1, 0.1 * (mag - 16.0)];
        let learned = train(&mixture(8000, |rng| rng.random_range(16.0..22.0), shares)).unwrap();
        // Within the kernel's width of the ends there is only one side.
        for mag in [17.0f32, 18.0, 19.5, 21.0] {
            let node = learned.mag_nodes.iter().position(|&m| m == mag).unwrap();
            let row = &learned.shares[node * MODELS..(node + 1) * MODELS];
            for (found, expected) in [row[0], row[5], row[9]].into_iter().zip(shares(mag)) {
                assert!((found - expected).abs() < 0.035, "{mag}: {found} is not {expected}");
            }
        }
    }

    /// At one magnitude, on a node, this is EM proper: the likelihood never falls.
    #[test]
    fn every_step_raises_the_likelihood() {
        let mut objects = mixture(500, |_| 20.0, |_| [0.3, 0.3, 0.4]);
        // Models that overlap, or one step were enough.
        objects.chi2.iter_mut().flatten().for_each(|c| *c /= 40.0);
        let problem = Problem::new(&objects);
        let likelihood = |shares: &[Shares]| -> f64 {
            (0..objects.mag.len()).map(|i| problem.joint(shares, i).iter().sum::<f64>().ln()).sum()
        };
        let mut shares = vec![start(); NODES];
        let mut before = likelihood(&shares);
        for _ in 0..ITERATIONS {
            shares = problem.step(&shares);
            let now = likelihood(&shares);
            // The floor on shares takes away its 1e-4.
            assert!(now > before - 0.01, "{now} {before}");
            before = now;
        }
    }

    /// likelihood.profile_mixture of the reference, started at .5 / 3 for three point-like models, with
    /// i = arange(600), k = arange(17): mag = 17 + 5 (i % 97) / 97, sn = 5 + (37 i) % 101,
    /// chi2 = 900 + 6 (1 + sin(.7 i (k + 1))) (1 + k % 4).
    #[test]
    fn the_table_is_the_references() {
        let mut objects = Objects::default();
        for i in 0..600 {
            objects.mag.push((17.0 + 5.0 * f64::from(i % 97) / 97.0) as f32);
            objects.sn.push((5 + (37 * i) % 101) as f32);
            let chi2 = |k: usize| {
                let phase = 0.7 * f64::from(i) * (k as f64 + 1.0);
                900.0 + 6.0 * (1.0 + phase.sin()) * (1.0 + (k % 4) as f64)
            };
            objects.chi2.push(std::array::from_fn(|k| chi2(k) as f32));
        }
        let learned = train(&objects).unwrap();
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
        [(0, 0, 0.250_236), (16, 0, 0.250_741), (24, 6, 0.000_1), (30, 12, 0.236_557), (44, 16, 0.269_787)];
    const REFERENCE_ODDS: [(usize, f32); 4] = [(0, -1.035_46), (1, -2.032_23), (250, -0.417_86), (599, -0.498_87)];

    #[test]
    fn too_few_objects_are_refused_and_nonsense_is_left_out() {
        let mut objects = mixture(300, |_| 20.0, |_| [0.3, 0.3, 0.4]);
        let sound = train(&objects).unwrap();
        objects.chi2.push([f32::NAN; MODELS]);
        objects.sn.push(1.0);
        objects.mag.push(20.0);
        assert_eq!(train(&objects).unwrap(), sound);
        objects.mag[7] = f32::NAN;
        assert!(train(&objects).unwrap_err().to_string().contains("299 objects"));
    }
}
