//! What is to be run: `config/study.toml`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::learning_curve::LearningCurve;
use super::method::{Method, MethodKind};
use super::robustness::Robustness;
use crate::dataset::Input;
use crate::study::segmentation::{Fields, Hypercolumn, SegmenterRow};
use crate::whole;
use twinpeak_core::hex::hex;
use twinpeak_learn::loss::PriorLoss;

/// Objects of a quick study.
const QUICK_OBJECTS: usize = 1000;
/// Steps of a quick study's segmentation nets.
const QUICK_STEPS: usize = 100;

/// A study: the skies, nets and methods that are compared, and how much of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The survey of the frames.
    pub survey: PathBuf,
    /// Where latents and checkpoints are kept between runs.
    pub work: PathBuf,
    /// Folder of the bundle of shipped nets.
    #[serde(default = "shipped")]
    pub bundle: PathBuf,
    /// Cutouts that convolutional nets learn from, at most: the first of a data set's training part.
    pub cutouts_max: usize,
    /// Objects that a manifold is laid through, at most.
    pub manifold_objects_max: usize,
    /// First seed; the others follow.
    pub seed: u64,
    /// Data with a truth of its own.
    pub sky: Vec<StudyDataset>,
    /// Nets that give latents, which methods ask for by name.
    pub encoder: Vec<Encoder>,
    /// The methods that are compared.
    pub method: Vec<Method>,
    /// How much it matters how a net starts and what it is shown.
    #[serde(default)]
    pub robustness: Option<Robustness>,
    /// How much more objects to learn from help.
    #[serde(default)]
    pub learning_curve: Option<LearningCurve>,
    /// Nets whose hypercolumns find objects.
    #[serde(default)]
    pub hypercolumn: Vec<Hypercolumn>,
    /// What is compared at finding objects.
    #[serde(default)]
    pub segmenter: Vec<SegmenterRow>,
}

fn shipped() -> PathBuf {
    "config/model".into()
}

/// Data: what is learned from, what is scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyDataset {
    /// Name of the sky in tables and records.
    pub name: String,
    /// The data set whose training part is learned from.
    pub data: PathBuf,
    /// The one whose test part is scored, if it is another.
    #[serde(default)]
    pub test: Option<PathBuf>,
    /// Folder of IMAGE_stars.csv and IMAGE_gals.csv; none: the truth of the simulation, beside the data set.
    #[serde(default)]
    pub catalogs: Option<PathBuf>,
    /// So many of the training objects are learned from, the first; all unless said.
    #[serde(default)]
    pub objects: Option<usize>,
    /// Whole frames on which segmenters are compared; none: they are not.
    #[serde(default)]
    pub fields: Option<Fields>,
}

/// A net that gives latents, trained without labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Its name, by which methods ask for it.
    pub name: String,
    /// What its net is shown of an object.
    pub input: Input,
    /// A net over whole cutouts, and how it is trained; none: the shipped one over PSF residuals.
    #[serde(default)]
    pub whole: Option<whole::Settings>,
    /// An encoder of this name defines its loss (figure 4, right).
    #[serde(default)]
    pub through: Option<String>,
}

/// A plan that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file is no plan: no TOML, or a key is missing or unknown.
    #[error("study: {0}")]
    Toml(#[from] toml::de::Error),
    /// A name that stands twice, so that it tells nothing apart.
    #[error("study: two {what}s are called {name:?}")]
    Twice {
        /// A method, an encoder, a sky.
        what: &'static str,
        /// The name that stands twice.
        name: String,
    },
    /// An encoder that is not there.
    #[error("study: {by:?} asks for an encoder {name:?}, which the plan does not have")]
    NoEncoder {
        /// Name of the method or encoder that asks for it.
        by: String,
        /// Name of the encoder that is missing.
        name: String,
    },
    /// A hypercolumn that is not there.
    #[error("study: {by:?} asks for a hypercolumn {name:?}, which the plan does not have")]
    NoHypercolumn {
        /// Name of the segmenter that asks for it.
        by: String,
        /// Name of the hypercolumn that is missing.
        name: String,
    },
    /// A method or segmenter that would never be run.
    #[error("study: {method:?} has no seeds")]
    NoSeeds {
        /// Name of the method or segmenter.
        method: String,
    },
}

impl Plan {
    /// Reads a plan and checks its names.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let plan: Self = toml::from_str(text)?;
        unique("sky", plan.sky.iter().map(|s| &s.name))?;
        unique("encoder", plan.encoder.iter().map(|e| &e.name))?;
        unique("method", plan.method.iter().map(|m| &m.name))?;
        let known = |by: &str, name: &str| match plan.encoder(name) {
            Some(_) => Ok(()),
            None => Err(PlanError::NoEncoder { by: by.to_owned(), name: name.to_owned() }),
        };
        for method in &plan.method {
            method.how.encoder().map_or(Ok(()), |name| known(&method.name, name))?;
            if method.seeds == 0 {
                return Err(PlanError::NoSeeds { method: method.name.clone() });
            }
        }
        unique("hypercolumn", plan.hypercolumn.iter().map(|h| &h.name))?;
        unique("segmenter", plan.segmenter.iter().map(|s| &s.name))?;
        for segmenter in &plan.segmenter {
            if let Some(name) = segmenter.how.hypercolumn().filter(|name| plan.hypercolumn(name).is_none()) {
                return Err(PlanError::NoHypercolumn { by: segmenter.name.clone(), name: name.to_owned() });
            }
            if segmenter.seeds == 0 {
                return Err(PlanError::NoSeeds { method: segmenter.name.clone() });
            }
        }
        for encoder in &plan.encoder {
            encoder.through.as_deref().map_or(Ok(()), |name| known(&encoder.name, name))?;
        }
        Ok(plan)
    }

    /// This, and the plans of its further parts: each is run as a study of its own into the same records.
    pub fn parts(&self) -> Vec<Self> {
        let further = [
            self.robustness.as_ref().map(|part| part.plan(self)),
            self.learning_curve.as_ref().map(|part| part.plan(self)),
        ];
        std::iter::once(self.clone()).chain(further.into_iter().flatten()).collect()
    }

    /// The same with one seed, few objects and two passes: some minutes, to see that all works.
    pub fn quick(mut self) -> Self {
        self.robustness = self.robustness.map(|part| part.quick(QUICK_OBJECTS));
        self.learning_curve = self.learning_curve.map(|part| part.quick(QUICK_OBJECTS));
        self.cutouts_max = self.cutouts_max.min(QUICK_OBJECTS);
        self.manifold_objects_max = self.manifold_objects_max.min(QUICK_OBJECTS);
        self.method.iter_mut().for_each(|m| m.seeds = 1);
        self.encoder.iter_mut().filter_map(|e| e.whole.as_mut()).for_each(|w| w.epochs = w.epochs.min(2));
        self.segmenter.iter_mut().for_each(|s| s.seeds = 1);
        for net in self.hypercolumn.iter_mut().map(|h| &mut h.net) {
            (net.steps, net.head_steps) = (net.steps.min(QUICK_STEPS), net.head_steps.min(QUICK_STEPS));
        }
        self
    }

    /// The encoder of this name.
    pub fn encoder(&self, name: &str) -> Option<&Encoder> {
        self.encoder.iter().find(|e| e.name == name)
    }

    /// What pulls the first latent of an encoder, if anything does.
    pub fn pull(&self, encoder: &str) -> Option<PriorLoss> {
        self.encoder(encoder)?.whole.as_ref()?.pull
    }

    /// Whether a method is shown no colour: PSF residuals and fits of profiles are sums over bands, cutouts are not.
    pub fn sees_shapes_alone(&self, how: &MethodKind) -> bool {
        let residual = |name: &str| self.encoder(name).is_some_and(|e| e.input == Input::Residual);
        match how {
            MethodKind::Ensemble => true,
            MethodKind::Profiles { colour } => !colour,
            MethodKind::Distilled { of, colour } => !colour && residual(of),
            MethodKind::Mean | MethodKind::Shipped => false,
            other => other.encoder().is_some_and(residual),
        }
    }

    /// The net of this name whose hypercolumns find objects.
    pub fn hypercolumn(&self, name: &str) -> Option<&Hypercolumn> {
        self.hypercolumn.iter().find(|h| h.name == name)
    }

    /// Tells a method's settings, with all it builds on, from any other's: 16 hex digits.
    pub fn fingerprint(&self, method: &Method, data_sha256: &str) -> String {
        let encoder = method.how.encoder().and_then(|name| self.encoder(name));
        let through = encoder.and_then(|e| self.encoder(e.through.as_deref()?));
        let limits = (self.cutouts_max, self.manifold_objects_max, env!("CARGO_PKG_VERSION"));
        let all = format!("{data_sha256} {:?} {encoder:?} {through:?} {limits:?}", method.how);
        hex(&Sha256::digest(all)[..8])
    }
}

fn unique<'a>(what: &'static str, names: impl Iterator<Item = &'a String>) -> Result<(), PlanError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(PlanError::Twice { what, name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::method::Supervision;
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/study.toml");

    #[test]
    fn the_shipped_plan_can_be_followed() {
        let plan = Plan::parse(SHIPPED).unwrap();
        assert!(plan.method.iter().filter(|m| m.how.supervision() == Supervision::Supervised).all(|m| m.seeds >= 3));
        // Each loss of the paper is there, printed and sound, alone and behind an auto-encoder.
        for pull in twinpeak_learn::loss::PriorLoss::ALL.into_iter().filter(|p| p.name() != "vae-kl") {
            let named = |start: &str| plan.method.iter().any(|m| m.name.starts_with(&format!("{start} {pull}")));
            assert!(named("Vr") && named("A+Vr"), "{pull}");
        }
    }

    #[test]
    fn a_plan_that_cannot_be_followed_says_why() {
        let with = |from: &str, to: &str| Plan::parse(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(with("name = \"AE 2\"", "name = \"AE 30\"").contains("two encoders are called \"AE 30\""));
        assert!(with("of = \"VAE 30\"", "of = \"VAE 31\"").contains("asks for an encoder \"VAE 31\""));
        assert!(with("seeds = 1", "seeds = 0").contains("has no seeds"));
        assert!(with("step = \"isomap\"", "step = \"lle\"").contains("unknown variant `lle`"));
    }

    #[test]
    fn settings_make_the_fingerprint_and_names_do_not() {
        let mut plan = Plan::parse(SHIPPED).unwrap();
        let method = plan.method.iter().find(|m| m.how.encoder() == Some("AE 30")).unwrap().clone();
        let before = plan.fingerprint(&method, "data");
        assert_eq!(plan.fingerprint(&Method { name: "other".to_owned(), ..method.clone() }, "data"), before);
        assert_ne!(plan.fingerprint(&method, "other data"), before);
        plan.encoder.iter_mut().find(|e| e.name == "AE 30").unwrap().whole.as_mut().unwrap().epochs += 1;
        assert_ne!(plan.fingerprint(&method, "data"), before);
    }

    #[test]
    fn parts_run_beside_the_study_and_a_quick_one_is_small() {
        let plan = Plan::parse(SHIPPED).unwrap();
        let parts = plan.parts();
        assert_eq!((parts.len(), &parts[0]), (3, &plan));
        assert!(parts[1..].iter().all(|part| part.parts().len() == 1));
        let quick = plan.quick();
        assert!(quick.parts().iter().flat_map(|p| &p.method).all(|m| m.seeds == 1));
        assert!(quick.learning_curve.unwrap().objects.iter().all(|n| *n <= QUICK_OBJECTS));
    }

    #[test]
    fn who_sees_no_colour() {
        let plan = Plan::parse(SHIPPED).unwrap();
        let sees = |name: &str| plan.sees_shapes_alone(&plan.method.iter().find(|m| m.name == name).unwrap().how);
        for name in ["EB", "A+Vr dkl, residual", "A+Vr ensemble of 6, calibrated", "A+Vr distilled on EB"] {
            assert!(sees(name), "{name}");
        }
        for name in ["EB + colour", "A+Vr dkl", "A+Vr and EB, weighted, + colour", "A+Vr distilled on EB + colour"] {
            assert!(!sees(name), "{name}");
        }
    }
}
