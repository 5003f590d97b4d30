//! Bands that an image may lack, as a training draws them. Nets that never met a missing band have only their scale
//! corrected when one is missing (see `twinpeak-nets`, `infer`); those that did have learned to do without.
//!
//! Where a survey requires all of its bands no image that is served lacks one, so none is left out: the share is 0, and
//! the training ends with the same bits as one that knows nothing of missing bands.

use rand::Rng;

use twinpeak_core::survey::Survey;

/// How often an image that is learned from lacks a band, and which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MissingBands {
    share: f64,
    bands: Vec<usize>,
}

impl MissingBands {
    /// Share of tiles and of objects that lack a band, unless said otherwise: so that each of four bands that may be
    /// missing is missing in one of twenty.
    pub const SHARE: f64 = 0.2;

    /// No band is ever missing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Each of the survey's bands but the reference band, which is always there. `share` is from 0 to 1; where `None`,
    /// [`Self::SHARE`] if the survey allows an image to lack a band, and 0 if it does not.
    pub fn of(survey: &Survey, share: Option<f64>) -> Self {
        let bands: Vec<usize> = survey.planes().filter(|&b| b != survey.reference()).collect();
        let may_lack = survey.required() < survey.planes().count();
        let share = share.unwrap_or(if may_lack { Self::SHARE } else { 0.0 });
        if bands.is_empty() { Self::none() } else { Self { share: share.clamp(0.0, 1.0), bands } }
    }

    /// Share of tiles and of objects that lack a band.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// The band that the next one lacks, each as often as any other; where none ever does, nothing random is used up.
    pub fn draw(&self, rng: &mut impl Rng) -> Option<usize> {
        let lacks = self.share > 0.0 && rng.random_bool(self.share);
        lacks.then(|| self.bands[rng.random_range(0..self.bands.len())])
    }

    /// In words, for a checkpoint's fingerprint; empty where none is ever missing.
    pub(crate) fn told(&self) -> String {
        if self.share > 0.0 { format!(" without one of {:?} at {}", self.bands, self.share) } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn survey(bands: &str) -> Survey {
        let text = include_str!("../../config/surveys/sdss.toml");
        Survey::parse(&text.replacen(r#"bands = ["u", "g", "r", "i", "z"]"#, bands, 1)).unwrap()
    }

    #[test]
    fn each_band_but_the_reference_is_missing_as_often_as_any_other() {
        let missing = MissingBands::of(&survey(r#"bands = { planes = ["", "g", "r", "i", "z"], required = 3 }"#), None);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0; 5];
        for band in (0..60_000).filter_map(|_| missing.draw(&mut rng)) {
            counts[band] += 1;
        }
        // 4000 expected of each: a scatter of 61.
        assert_eq!((counts[0], counts[2]), (0, 0));
        assert!([1, 3, 4].iter().all(|&b| (3700..4300).contains(&counts[b])), "{counts:?}");
    }

    #[test]
    fn a_survey_that_requires_all_bands_learns_as_if_none_could_be_missing() {
        let all = survey(r#"bands = ["u", "g", "r", "i", "z"]"#);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let before = rng.clone();
        assert_eq!(MissingBands::of(&all, None).draw(&mut rng), None);
        assert!(rng == before && MissingBands::of(&all, None).told().is_empty());
        assert_eq!(MissingBands::of(&all, Some(0.5)).share(), 0.5);
    }
}
