//! How two models agree on the same frames: one that is in service and a candidate for its place. Neither is the truth; what
//! is told is where they differ, by magnitude, and how the candidate's probabilities stand against the other's.

use serde::{Deserialize, Serialize};

use super::matching::one_to_one;
use super::{Bin, Object};

/// Bins of the candidate's probability.
const PROBABILITY_BINS: usize = 10;
/// Above it an object is called a star.
const STAR: f64 = 0.5;

/// Objects of one range of magnitudes that both models found and classified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AtMagnitude {
    /// Brightest magnitude, as the model in service measures it.
    pub low: f64,
    /// Faintest magnitude, not included.
    pub high: f64,
    /// Number of objects that both models found.
    pub objects: u64,
    /// Number of those to which both give the same class.
    pub same_class: u64,
    /// Sum of |candidate's probability - service's|.
    pub apart: f64,
    /// Of them found by the one in service and not by the candidate, in addition.
    pub service_alone: u64,
    /// Objects found by the candidate alone, in addition.
    pub candidate_alone: u64,
}

/// Objects to which the candidate gives probabilities of one tenth of 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AtProbability {
    /// Number of objects.
    pub objects: u64,
    /// Sum of the candidate's probabilities.
    pub candidate: f64,
    /// Sum of those of the one in service.
    pub service: f64,
}

/// What was seen so far of frames that both models worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Number of frames that both models worked on.
    pub frames: u64,
    /// Stage seconds of the one in service.
    pub service_s: f64,
    /// Stage seconds of the candidate.
    pub candidate_s: f64,
    /// Agreement by half magnitude, from bright to faint.
    pub by_magnitude: Vec<AtMagnitude>,
    /// By tenths of the candidate's probability.
    pub by_probability: Vec<AtProbability>,
}

impl Default for Agreement {
    fn default() -> Self {
        let of_bin = |Bin { low, high }| AtMagnitude { low, high, ..AtMagnitude::default() };
        Self {
            frames: 0,
            service_s: 0.0,
            candidate_s: 0.0,
            by_magnitude: Bin::halves().map(of_bin).collect(),
            by_probability: vec![AtProbability::default(); PROBABILITY_BINS],
        }
    }
}

/// What one model made of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Worked {
    /// Objects that it found.
    pub objects: Vec<Object>,
    /// Time of its stages, s.
    pub seconds: f64,
}

impl Agreement {
    /// Adds a frame; objects within `radius_px` are one.
    pub fn add(&mut self, service: &Worked, candidate: &Worked, radius_px: f64) {
        self.frames += 1;
        self.service_s += service.seconds;
        self.candidate_s += candidate.seconds;
        let places = |worked: &Worked| worked.objects.iter().map(|o| (o.x, o.y)).collect::<Vec<_>>();
        let partners = one_to_one(&places(service), &places(candidate), radius_px);
        let mut met = vec![false; candidate.objects.len()];
        for (one, partner) in service.objects.iter().zip(partners) {
            let Some(at) = self.at(one.mag) else { continue };
            let Some(partner) = partner else {
                at.service_alone += 1;
                continue;
            };
            met[partner] = true;
            let Some((p, q)) = one.star_prob.zip(candidate.objects[partner].star_prob) else { continue };
            at.objects += 1;
            at.same_class += u64::from((p >= STAR) == (q >= STAR));
            at.apart += (p - q).abs();
            let bin = &mut self.by_probability[((q * PROBABILITY_BINS as f64) as usize).min(PROBABILITY_BINS - 1)];
            bin.objects += 1;
            bin.candidate += q;
            bin.service += p;
        }
        for (other, _) in candidate.objects.iter().zip(met).filter(|(_, met)| !met) {
            if let Some(at) = self.at(other.mag) {
                at.candidate_alone += 1;
            }
        }
    }

    fn at(&mut self, mag: f64) -> Option<&mut AtMagnitude> {
        self.by_magnitude.iter_mut().find(|at| mag >= at.low && mag < at.high)
    }

    /// Share of the objects, of all magnitudes, that both call the same; `None` before there is one.
    pub fn same_class(&self) -> Option<f64> {
        let (same, all) = self.by_magnitude.iter().fold((0, 0), |(s, n), at| (s + at.same_class, n + at.objects));
        (all > 0).then(|| same as f64 / all as f64)
    }

    /// The mean over objects of how far the candidate's probability is off what the one in service says of the objects that
    /// get it: a calibration error with the one in service as the truth.
    pub fn calibration(&self) -> Option<f64> {
        let all: u64 = self.by_probability.iter().map(|bin| bin.objects).sum();
        let off: f64 = self.by_probability.iter().map(|bin| (bin.candidate - bin.service).abs()).sum();
        (all > 0).then(|| off / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worked(objects: &[(f64, f64, Option<f64>)], seconds: f64) -> Worked {
        let object = |&(x, mag, star_prob): &(f64, f64, Option<f64>)| Object { x, mag, star_prob, ..Object::default() };
        Worked { objects: objects.iter().map(object).collect(), seconds }
    }

    #[test]
    fn a_model_agrees_with_itself() {
        let all = worked(&[(1.0, 20.1, Some(0.9)), (50.0, 21.2, Some(0.2)), (99.0, 21.3, None)], 2.0);
        let mut agreement = Agreement::default();
        agreement.add(&all, &all, 2.0);
        agreement.add(&all, &all, 2.0);
        assert_eq!((agreement.frames, agreement.same_class(), agreement.calibration()), (2, Some(1.0), Some(0.0)));
        assert!(agreement.by_magnitude.iter().all(|at| at.service_alone + at.candidate_alone == 0));
    }

    #[test]
    fn differences_stand_at_their_magnitude() {
        let service = worked(&[(1.0, 20.1, Some(0.9)), (50.0, 21.2, Some(0.2)), (99.0, 22.6, Some(0.2))], 1.0);
        let candidate = worked(&[(1.5, 20.3, Some(0.8)), (50.0, 21.2, Some(0.7)), (70.0, 23.1, Some(0.2))], 3.0);
        let mut agreement = Agreement::default();
        assert_eq!((agreement.same_class(), agreement.calibration()), (None, None));
        agreement.add(&service, &candidate, 2.0);
        let at = |low: f64| *agreement.by_magnitude.iter().find(|at| at.low == low).unwrap();
        assert_eq!((at(20.0).objects, at(20.0).same_class), (1, 1));
        assert_eq!((at(21.0).objects, at(21.0).same_class), (1, 0));
        assert_eq!((at(22.5).service_alone, at(23.0).candidate_alone), (1, 1));
        assert_eq!(agreement.same_class(), Some(0.5));
        assert!((agreement.calibration().unwrap() - 0.3).abs() < 1e-12); // (.1 + .5) / 2
        assert_eq!((agreement.service_s, agreement.candidate_s), (1.0, 3.0));
    }
}
