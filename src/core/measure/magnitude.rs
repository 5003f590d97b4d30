//! Magnitudes of fluxes in nanomaggies.

/// Asinh magnitude (Lupton, Gunn & Szalay 1999) of `flux` nMgy with softening `b` maggies: finite at any flux, and
/// the ordinary magnitude where the flux is well above `b`. NaN for NaN.
///
/// ```
/// use twinpeak_core::measure::asinh_magnitude;
/// assert!((asinh_magnitude(0.0, 1.2e-10) - 24.80).abs() < 5e-3);
/// assert!((asinh_magnitude(1000.0, 1.2e-10) - 15.0).abs() < 1e-6);
/// ```
pub fn asinh_magnitude(flux: f64, softening_maggies: f64) -> f64 {
    let maggies = flux * 1e-9;
    -2.5 / std::f64::consts::LN_10 * ((maggies / (2.0 * softening_maggies)).asinh() + softening_maggies.ln())
}

/// Ordinary magnitude of `flux` nMgy, that of `faintest_nmgy` where it has less or none: what the classifier's calibration
/// goes by.
///
/// ```
/// use twinpeak_core::measure::magnitude;
/// assert_eq!([magnitude(1.0, 0.01), magnitude(-3.0, 0.01), magnitude(f64::NAN, 0.01)], [22.5, 27.5, 27.5]);
/// ```
pub fn magnitude(flux: f64, faintest_nmgy: f64) -> f64 {
    22.5 - 2.5 * flux.max(faintest_nmgy).log10()
}
