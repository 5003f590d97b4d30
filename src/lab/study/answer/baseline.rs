//! Numbers that were measured and not learned, and the cut of any scalar at the prior share of stars.

use std::collections::BTreeMap;

use super::{Answer, AnswerError};
use crate::dataset::Features;
use crate::manifold::{ManifoldError, PriorThreshold, StarFraction};
use crate::study::context::StudyContext;
use twinpeak_core::cutout::{MODELS, SN_FLOOR};

/// The score of what was not measured.
const LOWEST: f64 = -1e9;

/// The prior share of stars by magnitude, from counts: stars 10^(2.9 + .17 (r - 19)), galaxies 10^(3.1 + .45 (r - 20))
/// a square degree and magnitude, of slope .38 beyond 20 and .6 below 16.
fn model_counts() -> Result<StarFraction, ManifoldError> {
    let galaxies = |r: f64| match r {
        r if r > 20.0 => 3.1 + 0.38 * (r - 20.0),
        r if r < 16.0 => 3.1 - 1.8 + 0.6 * (r - 16.0),
        r => 3.1 + 0.45 * (r - 20.0),
    };
    let share = |r: f64| {
        let (stars, galaxies) = (10f64.powf(2.9 + 0.17 * (r - 19.0)), 10f64.powf(galaxies(r)));
        stars / (stars + galaxies)
    };
    let edges: Vec<f32> = (14..=23).map(|r| r as f32).collect();
    let fraction = edges.windows(2).map(|e| share(f64::from(e[0] + e[1]) / 2.0)).collect();
    StarFraction::by_mag(edges, fraction)
}

/// A scalar of all objects, training and test, cut at the prior share of stars; and the sign that makes it larger for a
/// star.
pub(super) fn cut(context: &StudyContext, training: &[f64], test: &[f64]) -> Result<(Answer, f64), AnswerError> {
    let (known, naming_mag) = (&context.training, context.survey.magnitudes().naming);
    let (mag, concentration) = (&known.reference_mag[..training.len()], &known.concentration[..training.len()]);
    let threshold = PriorThreshold::fit(training, mag, concentration, naming_mag, model_counts()?)?;
    // The score is the scalar itself; only the calls use the cut by magnitude, so it is one cut for the table.
    let overall = {
        let margins = threshold.margin(training, mag)?;
        let share = margins.iter().filter(|m| **m > 0.0).count() as f64 / margins.len().max(1) as f64;
        PriorThreshold::fit(training, mag, concentration, naming_mag, StarFraction::overall(share)?)?
    };
    let scores = test.iter().map(|s| overall.star_sign * s).collect();
    let criteria = BTreeMap::from([("naming_correlation".to_owned(), overall.correlation.abs())]);
    let threshold = overall.at.first().copied().unwrap_or(f64::NAN);
    Ok((Answer { scores, threshold, objects: training.len(), criteria, ..Answer::default() }, overall.star_sign))
}

/// A measured column as the score.
pub(super) fn measured(
    context: &StudyContext,
    column: fn(&Features) -> &Vec<f32>,
    sign: f64,
) -> Result<Answer, AnswerError> {
    let of = |features: &Features| column(features).iter().map(|&v| finite(sign * f64::from(v))).collect::<Vec<_>>();
    let (answer, _) = cut(context, &of(&context.training), &of(&context.test))?;
    Ok(Answer { objects: 0, criteria: BTreeMap::new(), ..answer })
}

/// Minus chi^2 of the point source, damped where the PSF model's error rules it.
pub(super) fn chi_squared(context: &StudyContext) -> Result<Answer, AnswerError> {
    let of = |features: &Features| -> Vec<f64> {
        let damped =
            |(chi2, sn): (&[f32; MODELS], &f32)| f64::from(chi2[0]) / (1.0 + (f64::from(*sn) / SN_FLOOR).powi(2));
        features.chi2.iter().zip(&features.sn).map(|pair| finite(-damped(pair))).collect()
    };
    let (answer, _) = cut(context, &of(&context.training), &of(&context.test))?;
    Ok(Answer { objects: 0, ..answer })
}

/// What was not measured is no star.
fn finite(score: f64) -> f64 {
    if score.is_finite() { score } else { LOWEST }
}
