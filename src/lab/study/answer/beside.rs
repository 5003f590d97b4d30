//! Baselines that want the frames again: what other programs' own measures say of the test objects. Nothing is learned,
//! and each is cut where its makers cut it.

use super::{Answer, AnswerError};
use crate::study::context::StudyContext;

/// SExtractor calls it a star above this, and says it of what it cannot tell.
const UNDECIDED: f64 = 0.5;
/// SDSS's rule: a galaxy is brighter by this as a galaxy than as a point source, mag.
const GALAXY_ABOVE_MAG: f64 = 0.145;

/// CLASS_STAR, a neural net's that was trained on simulations in 1996; an object that SExtractor does not find is
/// undecided.
pub(super) fn class_star(context: &StudyContext) -> Result<Answer, AnswerError> {
    let missing = AnswerError::NotMeasured { what: "CLASS_STAR", needs: ", where source-extractor is installed" };
    let measured = context.beside.as_ref().and_then(|b| b.class_star.as_ref()).ok_or(missing)?;
    Ok(answer(measured, UNDECIDED, UNDECIDED))
}

/// psf - model magnitude, larger for a galaxy; what has no fit is as likely either.
pub(super) fn psf_minus_model(context: &StudyContext) -> Result<Answer, AnswerError> {
    let missing = AnswerError::NotMeasured { what: "psf - model", needs: "" };
    let measured = &context.beside.as_ref().ok_or(missing)?.psf_minus_model;
    let scores: Vec<f64> = measured.iter().map(|mag| -mag).collect();
    Ok(answer(&scores, -GALAXY_ABOVE_MAG, -GALAXY_ABOVE_MAG))
}

fn answer(scores: &[f64], threshold: f64, otherwise: f64) -> Answer {
    let there = scores.iter().filter(|s| s.is_finite()).count();
    let scores: Vec<f64> = scores.iter().map(|&s| if s.is_finite() { s } else { otherwise }).collect();
    let share = there as f64 / scores.len().max(1) as f64;
    Answer { scores, threshold, criteria: [("share_measured".to_owned(), share)].into(), ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_measured_is_undecided_and_counted() {
        let answer = answer(&[0.9, f64::NAN, 0.1, 0.2], UNDECIDED, UNDECIDED);
        assert_eq!(answer.scores, [0.9, 0.5, 0.1, 0.2]);
        assert_eq!((answer.threshold, answer.criteria["share_measured"]), (0.5, 0.75));
    }
}
