//! The variational auto-encoder's own prior term (eq. 7 of the paper, which lacks 1/M).

use tch::{TchError, Tensor};

/// KL(N(mu, sigma^2) || N(0, 1)) = 1/2 (mu^2 + sigma^2 - 1 - ln sigma^2), each (n), in nats.
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
    use crate::loss::reference::{Row, check};

    #[test]
    fn reference() {
        let row = Row {
            value: [0.0, 0.443147180560, 1.15397280433, 0.0631435513142, 2.10167494394, 2.93258509299],
            by_mu: [0.0, 0.5, -0.9, 0.2, -2.0, 1.5],
            by_sigma: [0.0, -1.5, -3.033333333333, -0.45, -0.7285714285714, -9.9],
        };
        check("VAE KL", 0.5, &row, |mu, sigma, _| vae_kl(mu, sigma));
    }
}
