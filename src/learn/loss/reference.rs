//! The reference table: values by 30-digit quadrature, gradients by mpmath (central differences with 40 digits unless a
//! test says otherwise), 12 digits or more.

use std::fmt::Debug;

use tch::{Kind, Tensor};

use super::DoublePeak;

/// P1..P6: (mu, sigma, m, s).
pub const POINTS: [(f64, f64, f64, f64); 6] = [
    (0.0, 1.0, 1.0, 1.0),
    (0.5, 0.5, 1.0, 0.5),
    (-0.9, 0.3, 1.0, 0.3),
    (0.2, 0.8, 1.0, 0.3),
    (-2.0, 0.7, 3.0, 1.0),
    (1.5, 0.1, 1.0, 0.25),
];

/// Value and slopes of one loss at [`POINTS`].
pub struct Row {
    pub value: [f64; 6],
    pub by_mu: [f64; 6],
    pub by_sigma: [f64; 6],
}

/// Agreement to 1e-10; absolute where the reference is 0.
pub fn near(what: &str, found: f64, reference: f64) {
    let scale = if reference == 0.0 { 1.0 } else { reference.abs() };
    assert!((found - reference).abs() <= 1e-10 * scale, "{what}: {found} is not {reference}");
}

/// Holds a loss of each latent, and its gradients, to its row, with the positive peak's `weight`.
pub fn check<E: Debug>(
    what: &str,
    weight: f64,
    row: &Row,
    loss: impl Fn(&Tensor, &Tensor, DoublePeak) -> Result<Tensor, E>,
) {
    for (i, (mu, sigma, peak, width)) in POINTS.into_iter().enumerate() {
        let mu = Tensor::from_slice(&[mu]).set_requires_grad(true);
        let sigma = Tensor::from_slice(&[sigma]).set_requires_grad(true);
        let value = loss(&mu, &sigma, DoublePeak { peak, width, weight }).unwrap();
        assert_eq!(value.size(), [1], "{what} is not of each latent");
        value.sum(Kind::Double).backward();
        let gradient = |x: &Tensor| if x.grad().defined() { x.grad().double_value(&[0]) } else { 0.0 };
        let at = format!("{what}, P{}", i + 1);
        near(&at, value.double_value(&[0]), row.value[i]);
        near(&format!("{at}, by mu"), gradient(&mu), row.by_mu[i]);
        near(&format!("{at}, by sigma"), gradient(&sigma), row.by_sigma[i]);
    }
}
