//! Laws that hold for all losses, or all the sound ones.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::*;
use crate::loss::aw::aw;
use crate::loss::dkl::dkl;
use crate::loss::lse::lse;
use crate::loss::pw::l2;
use crate::loss::sc::sc;
use crate::loss::vae_kl::vae_kl;
use crate::loss::w1_each::w1_each;

const PEAKS: DoublePeak = DoublePeak { peak: 1.0, width: 0.25, weight: 0.5 };

/// Latents of a half-trained net: around either peak, and between. pw-paper has its root in all of them.
fn latents(n: usize, seed: u64) -> [Vec<f64>; 3] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mu: Vec<f64> = (0..n).map(|_| rng.random_range(-1.8..1.8)).collect();
    let sigma: Vec<f64> = (0..n).map(|_| rng.random_range(0.08..0.3)).collect();
    let z = mu.iter().zip(&sigma).map(|(mu, sigma)| mu + sigma * rng.random_range(-1.5..1.5)).collect();
    [mu, sigma, z]
}

fn batch(parts: &[Vec<f64>; 3]) -> Latents {
    let [mu, sigma, z] = parts.each_ref().map(|part| Tensor::from_slice(part));
    Latents { mu, sigma, z }
}

fn of(pull: PriorLoss, parts: &[Vec<f64>; 3], peaks: DoublePeak) -> f64 {
    let prior = Prior::new(peaks, parts[0].len() as i64, Kind::Double, Device::Cpu).unwrap();
    pull.of(&batch(parts), &prior).unwrap().double_value(&[])
}

#[test]
fn a_prior_without_two_peaks_is_refused() {
    assert!(DoublePeak::for_training(1.0, 1.0 / 3.5).is_ok());
    assert!(DoublePeak::for_training(1.0, 0.25).is_ok());
    for (peak, width) in [(1.0, 0.3), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (-1.0, -0.1), (f64::NAN, 0.1)] {
        let error = DoublePeak::for_training(peak, width).unwrap_err().to_string();
        assert!(error.contains("peak / width is"), "{error}");
    }
}

#[test]
fn a_pull_is_written_as_it_is_named() {
    for pull in PriorLoss::ALL {
        assert_eq!(serde_json::to_value(pull).unwrap(), pull.name());
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let parts = latents(7, 1);
    let step = 1e-5;
    for weight in [0.5, 0.7] {
        let peaks = DoublePeak { weight, ..PEAKS };
        let prior = Prior::new(peaks, 7, Kind::Double, Device::Cpu).unwrap();
        for pull in PriorLoss::ALL {
            let batch = batch(&parts);
            let leaves = [&batch.mu, &batch.sigma, &batch.z].map(|x| x.set_requires_grad(true));
            pull.of(&batch, &prior).unwrap().backward();
            for (part, leaf) in leaves.iter().enumerate() {
                for i in 0..7 {
                    let moved = |by: f64| {
                        let mut parts = parts.clone();
                        parts[part][i] += by;
                        of(pull, &parts, peaks)
                    };
                    let slope = (moved(step) - moved(-step)) / (2.0 * step);
                    let gradient = leaf.grad();
                    let found = if gradient.defined() { gradient.double_value(&[i as i64]) } else { 0.0 };
                    assert!((found - slope).abs() < 1e-7 * slope.abs().max(1.0), "{pull} {part} {i}: {found} {slope}");
                }
            }
        }
    }
}

#[test]
fn f32_agrees_with_f64() {
    let parts = latents(256, 2);
    let single = |x: Tensor| x.to_kind(Kind::Float).set_requires_grad(true);
    let double = |x: &Tensor| x.detach().to_kind(Kind::Double).set_requires_grad(true);
    let prior = |kind| Prior::new(PEAKS, 256, kind, Device::Cpu).unwrap();
    for pull in PriorLoss::ALL {
        let Latents { mu, sigma, z } = batch(&parts);
        let low = Latents { mu: single(mu), sigma: single(sigma), z: single(z) };
        // The same numbers: f32's rounding of the input is not the loss's.
        let high = Latents { mu: double(&low.mu), sigma: double(&low.sigma), z: double(&low.z) };
        let (found, exact) =
            (pull.of(&low, &prior(Kind::Float)).unwrap(), pull.of(&high, &prior(Kind::Double)).unwrap());
        assert_eq!((found.kind(), exact.kind()), (Kind::Float, Kind::Double));
        let (value, reference) = (found.double_value(&[]), exact.double_value(&[]));
        assert!((value - reference).abs() < 1e-5 * reference.abs().max(0.1), "{pull}: {value} {reference}");
        found.backward();
        exact.backward();
        for (low, high) in [(&low.mu, &high.mu), (&low.sigma, &high.sigma), (&low.z, &high.z)] {
            assert_eq!(low.grad().defined(), high.grad().defined(), "{pull}");
            if low.grad().defined() {
                let (found, exact) = (low.grad().to_kind(Kind::Double), high.grad());
                let most = |x: Tensor| x.abs().max().double_value(&[]);
                let (off, scale) = (most(found - &exact), most(exact));
                assert!(off < 1e-4 * scale, "{pull}: {off} of {scale}");
            }
        }
    }
}

/// Turning the latent's axis round changes nothing but which peak is which.
#[test]
fn losses_are_even_save_one_as_printed() {
    let parts = latents(50, 3);
    let turned = [parts[0].iter().map(|x| -x).collect(), parts[1].clone(), parts[2].iter().map(|x| -x).collect()];
    for pull in PriorLoss::ALL.into_iter().filter(|&pull| pull != PriorLoss::DklPaper) {
        let (one, other) = (of(pull, &parts, PEAKS), of(pull, &turned, PEAKS));
        assert!((one - other).abs() < 1e-12 * one.abs(), "{pull}: {one} {other}");
        let (one, other) =
            [(0.3, &parts), (0.7, &turned)].map(|(weight, p)| of(pull, p, DoublePeak { weight, ..PEAKS })).into();
        assert!((one - other).abs() < 1e-12 * one.abs(), "{pull}, unequal: {one} {other}");
    }
    let (one, other) = (of(PriorLoss::DklPaper, &parts, PEAKS), of(PriorLoss::DklPaper, &turned, PEAKS));
    assert!((one - other).abs() > 1.0, "as printed it is not even: {one} {other}");
}

/// mu from -3 to 3, sigma from .02 to 3, and peaks that stand apart by 0.5 to 8 widths.
fn grid(mut at: impl FnMut(&Tensor, &Tensor, DoublePeak)) {
    let side = |low: f64, high: f64| Tensor::linspace(low, high, 21, (Kind::Double, Device::Cpu));
    let mu = side(-3.0, 3.0).repeat_interleave_self_int(21, None, None);
    let sigma = side(0.02f64.ln(), 3f64.ln()).exp().repeat([21]);
    for width in [2.0, 1.0, 0.5, 0.25, 0.125] {
        for weight in [0.5, 0.7, 0.05] {
            at(&mu, &sigma, DoublePeak { peak: 1.0, width, weight });
        }
    }
}

#[test]
fn sound_losses_are_not_negative() {
    grid(|mu, sigma, peaks| {
        let all = [
            ("VAE KL", vae_kl(mu, sigma).unwrap()),
            ("DKL", dkl(mu, sigma, peaks, 1025).unwrap()),
            ("AW", aw(mu, sigma, peaks).unwrap()),
            ("W1", w1_each(mu, sigma, peaks, 64).unwrap()),
            ("L2", l2(mu, sigma, peaks).unwrap()),
        ];
        for (name, each) in all {
            let least = each.min().double_value(&[]);
            assert!(least >= -1e-12, "{name}: {least} for {peaks:?}");
        }
    });
}

#[test]
fn the_bounds_are_in_order() {
    grid(|mu, sigma, peaks| {
        let exact = dkl(mu, sigma, peaks, 1025).unwrap();
        let tight = lse(mu, sigma, peaks).unwrap();
        let scaling = sc(mu, sigma, peaks).unwrap();
        for (name, slack) in [("LSE - DKL", &tight - exact), ("SC - LSE", scaling - tight)] {
            let least = slack.min().double_value(&[]);
            assert!(least >= -1e-9, "{name}: {least} for {peaks:?}");
        }
    });
}

#[test]
fn a_batch_of_unequal_parts_is_refused() {
    let [mu, sigma, mut z] = latents(4, 4);
    z.pop();
    let prior = Prior::new(PEAKS, 4, Kind::Double, Device::Cpu).unwrap();
    for pull in PriorLoss::ALL {
        let error = pull.of(&batch(&[mu.clone(), sigma.clone(), z.clone()]), &prior).unwrap_err();
        assert!(error.to_string().ends_with("got [[4], [4], [3], [4]]"), "{error}");
    }
}

/// The bounds that forgot the double peak prefer latents between the peaks; only the losses of a batch see that all went
/// to one.
#[test]
fn what_each_pull_asks_for() {
    let n = 40;
    let parted: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let batch = |mu: Vec<f64>| [mu.clone(), vec![0.25; n], mu];
    let (parted, one_sided, between) = (batch(parted), batch(vec![1.0; n]), batch(vec![0.0; n]));
    for pull in [PriorLoss::Lse, PriorLoss::Dkl, PriorLoss::Aw, PriorLoss::W1, PriorLoss::Pw] {
        assert!(of(pull, &parted, PEAKS) < of(pull, &between, PEAKS), "{pull}");
    }
    for pull in [PriorLoss::Sc, PriorLoss::ScPaper, PriorLoss::VaeKl] {
        assert!(of(pull, &parted, PEAKS) > of(pull, &between, PEAKS), "{pull}");
    }
    for pull in [PriorLoss::W1, PriorLoss::Pw] {
        assert!(of(pull, &parted, PEAKS) < 0.5 * of(pull, &one_sided, PEAKS), "{pull}");
    }
    for pull in [PriorLoss::Lse, PriorLoss::Dkl, PriorLoss::Aw] {
        assert!((of(pull, &parted, PEAKS) - of(pull, &one_sided, PEAKS)).abs() < 1e-12, "{pull}");
    }
}
