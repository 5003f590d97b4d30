//! Where truth comes in: a method's answers, given before, against labels.

use twinpeak_sim::evaluate::{Metrics, Scored};

/// What is truly known of a test object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// A star or quasar, else a galaxy.
    pub star: bool,
    /// True magnitude in the reference band; the measured one where nobody knows it.
    pub mag: f64,
}

/// A method's answers on the test objects, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers<'a> {
    /// Score of each test object, higher for a star.
    pub scores: &'a [f64],
    /// Above it an object is called a star.
    pub threshold: f64,
    /// Probabilities, where the method gives them.
    pub probabilities: Option<&'a [f64]>,
}

/// Metrics on the objects that have a label.
pub fn score(answers: &Answers, labels: &[Option<Label>]) -> Metrics {
    let scored = |(i, label): (usize, &Option<Label>)| {
        let (label, score) = ((*label)?, *answers.scores.get(i)?);
        let probability = answers.probabilities.and_then(|p| p.get(i).copied());
        Some(Scored { mag: label.mag, star: label.star, score, called_star: score > answers.threshold, probability })
    };
    Metrics::measure(&labels.iter().enumerate().filter_map(scored).collect::<Vec<_>>())
}
