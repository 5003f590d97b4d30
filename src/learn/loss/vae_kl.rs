//! The variational auto-encoder's own prior term (eq. 7 of the paper, which lacks 1/M).

use tch::{TchError, Tensor};

/// KL(N(mu, sigma^2) || N(0, 1)) = 1/2 (mu^2 + sigma^2 - 1 - ln sigma^2), each.
///
/// # Errors
/// libtorch's.
pub fn vae_kl(mu: &Tensor, sigma: &Tensor) -> Result<Tensor, TchError> {
    let variance = sigma.f_square()?;
    mu.f_square()?.f_add(&variance)?.f_sub(&variance.f_log()?)?.f_sub_scalar(1.0)?.f_mul_scalar(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::loss::{POINTS, assert_reference};

    #[test]
    fn reference_values() {
        let table = [0.0, 0.443147180560, 1.15397280433, 0.0631435513142, 2.10167494394, 2.93258509299];
        for ((mu, sigma, ..), reference) in POINTS.into_iter().zip(table) {
            let found = vae_kl(&Tensor::from_slice(&[mu]), &Tensor::from_slice(&[sigma])).unwrap();
            assert_reference(found.double_value(&[0]), reference, "VAE KL");
        }
    }
}
