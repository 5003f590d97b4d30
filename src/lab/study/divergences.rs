//! The figure of appendix B.1: what three distances say of two peaks that move apart.
//!
//! P1 and P2 are normals of width 1, d apart. The paper takes two deltas (this with d / width without bound) and says
//! that KL is infinite, JS ln 2, W1 = d, and that "most of the time the derivatives of KL and JS are zero". Of JS it is
//! true: it saturates at ln 2, and a net that is far away feels nothing. W1's slope is 1 everywhere. Of KL it is not, for
//! peaks of any width: KL = d^2 / 2, whose slope grows with d. What is wrong with KL is the opposite, a pull without
//! bound; and with a double-peak Q the slope does vanish, but in the middle between the peaks.

use std::f64::consts::{LN_2, PI};

use tch::{Device, Kind, TchError, Tensor};

/// Half the way, and so many widths beyond, is integrated over.
const REACH: f64 = 10.0;
/// Nodes a width. The trapezoid rule gains digits with each, for functions so smooth; 8 are enough for all of them.
const NODES_A_WIDTH: f64 = 16.0;

/// Three distances of two normals, by how far apart they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergences {
    /// Distances d of the two means, in widths.
    pub distance: Vec<f64>,
    /// Kullback-Leibler divergence KL(P1 || P2), nats.
    pub kl: Divergence,
    /// Jensen-Shannon: mean KL of each to the mean of both, nats.
    pub js: Divergence,
    /// Wasserstein-1 distance, in widths.
    pub w1: Divergence,
}

/// One divergence as a function of the distance.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// Its value at each distance.
    pub value: Vec<f64>,
    /// Its slope there, by the distance.
    pub gradient: Vec<f64>,
}

/// All three at `distance` (in widths, any sign), by quadrature; memory is for the number of distances times 16 times the
/// largest.
///
/// # Errors
/// libtorch's.
pub fn divergences(distance: &[f64]) -> Result<Divergences, TchError> {
    let furthest = distance.iter().fold(0.0, |most: f64, d| most.max(d.abs()));
    let end = furthest / 2.0 + REACH;
    let nodes = (2.0 * end * NODES_A_WIDTH).ceil();
    let x = Tensor::f_linspace(-end, end, nodes as i64 + 1, (Kind::Double, Device::Cpu))?;
    let step = 2.0 * end / nodes;
    let divergence = |integrand: fn(&Offsets) -> Result<Tensor, TchError>| -> Result<Divergence, TchError> {
        let d = Tensor::f_from_slice(distance)?.f_set_requires_grad(true)?;
        let half = d.f_unsqueeze(1)?.f_mul_scalar(0.5)?;
        let offsets = Offsets { first: half.f_add(&x)?, second: half.f_neg()?.f_add(&x)? };
        let value = integrand(&offsets)?.f_sum_dim_intlist(1, false, Kind::Double)?.f_mul_scalar(step)?;
        value.f_sum(Kind::Double)?.f_backward()?;
        Ok(Divergence { value: Vec::try_from(value.f_detach()?)?, gradient: Vec::try_from(d.f_grad()?)? })
    };
    Ok(Divergences {
        distance: distance.to_vec(),
        kl: divergence(Offsets::kl)?,
        js: divergence(Offsets::js)?,
        w1: divergence(Offsets::w1)?,
    })
}

/// Of each node from the two means, at -d/2 and d/2; (distances, nodes).
struct Offsets {
    first: Tensor,
    second: Tensor,
}

impl Offsets {
    fn kl(&self) -> Result<Tensor, TchError> {
        let (first, second) = (log_density(&self.first)?, log_density(&self.second)?);
        first.f_exp()?.f_mul(&first.f_sub(&second)?)
    }

    fn js(&self) -> Result<Tensor, TchError> {
        let (first, second) = (log_density(&self.first)?, log_density(&self.second)?);
        let mean = first.f_logaddexp(&second)?.f_sub_scalar(LN_2)?;
        let to_mean = |log: &Tensor| log.f_exp()?.f_mul(&log.f_sub(&mean)?);
        to_mean(&first)?.f_add(&to_mean(&second)?)?.f_mul_scalar(0.5)
    }

    fn w1(&self) -> Result<Tensor, TchError> {
        self.first.f_special_ndtr()?.f_sub(&self.second.f_special_ndtr()?)?.f_abs()
    }
}

/// ln of the normal density.
fn log_density(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_square()?.f_mul_scalar(-0.5)?.f_sub_scalar(0.5 * (2.0 * PI).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agreement to 1e-10; absolute where the reference is 0.
    fn near(what: &str, found: f64, reference: f64) {
        let scale = if reference == 0.0 { 1.0 } else { reference.abs() };
        assert!((found - reference).abs() <= 1e-10 * scale, "{what}: {found} is not {reference}");
    }

    #[test]
    fn kl_grows_quadratically_and_w1_evenly() {
        let Divergences { distance, kl, w1, .. } = divergences(&[0.0, 0.1, 1.0, 4.0, 20.0]).unwrap();
        for (i, d) in distance.into_iter().enumerate() {
            near("KL", kl.value[i], d * d / 2.0);
            near("KL's slope", kl.gradient[i], d);
            near("W1", w1.value[i], d);
            near("W1's slope", w1.gradient[i], if d == 0.0 { 0.0 } else { 1.0 });
        }
    }

    /// The Jensen-Shannon divergence as mpmath's quadrature gives it.
    #[test]
    fn js_reference() {
        let table = [
            (0.5, 0.03031130052084, 0.1176317530574),
            (1.0, 0.1114214821847, 0.1989864335916),
            (3.0, 0.5267773065214, 0.1479318766496),
            (6.0, 0.6892979330291, 0.006226619609855),
        ];
        let js = divergences(&table.map(|(d, ..)| d)).unwrap().js;
        for (i, (_, value, gradient)) in table.into_iter().enumerate() {
            near("JS", js.value[i], value);
            near("JS's slope", js.gradient[i], gradient);
        }
    }

    #[test]
    fn js_saturates_and_its_slope_vanishes() {
        let distance: Vec<f64> = (0..=40).map(f64::from).collect();
        let js = divergences(&distance).unwrap().js;
        assert!(js.value.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
        assert!(js.value.iter().all(|&value| value <= LN_2 + 1e-12));
        near("JS far away", js.value[40], LN_2);
        assert!(js.gradient[20].abs() < 1e-15 && js.gradient[40].abs() < 1e-15, "{:?}", js.gradient);
    }

    #[test]
    fn which_peak_is_left_of_the_other_does_not_matter() {
        let Divergences { kl, js, w1, .. } = divergences(&[-2.5, 2.5]).unwrap();
        for (name, divergence) in [("KL", kl), ("JS", js), ("W1", w1)] {
            near(name, divergence.value[0], divergence.value[1]);
            near(name, divergence.gradient[0], -divergence.gradient[1]);
        }
    }
}
