//! A row of the study: a method, what it does, and what it has seen.

use serde::{Deserialize, Serialize};

use twinpeak_learn::classify::VaeSettings;

/// A row of the tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Name of the method in tables and records.
    pub name: String,
    /// Section or figure of the paper, or what else it comes from.
    pub source: String,
    /// How often it is repeated.
    pub seeds: usize,
    /// What the method does, with its settings.
    pub how: MethodKind,
}

impl Method {
    /// Its name as people see it: what saw labels says so.
    pub fn shown(&self) -> String {
        let supervised = self.how.supervision() == Supervision::Supervised;
        if supervised { format!("{}, supervised", self.name) } else { self.name.clone() }
    }
}

/// From latents to one scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The longest coordinate along the manifold.
    Isomap,
    /// The coordinate on a one-dimensional t-SNE map.
    Tsne,
    /// How much nearer one of two centres is.
    KMeans,
    /// Log-odds of one of two Gaussians.
    Mixture,
}

/// What a method does. Runs are told apart by its `Debug` text, and so by that of [`VaeSettings`]: no variant and no
/// field may change its name while records of it are to count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MethodKind {
    /// The frame's half-light radius over the object's.
    Concentration,
    /// Minus the half-light radius: needs no training.
    HalfLightRadius,
    /// Minus the chi^2 of the point source.
    ChiSquared,
    /// SExtractor's, where it was run on the test frames.
    ClassStar,
    /// Minus what a galaxy is brighter by as a galaxy than as a point source.
    PsfMinusModel,
    /// A manifold or clusters of latents (V+M, Vr+M).
    Manifold {
        /// Name of the encoder whose latents it takes.
        of: String,
        /// The step from latents to a scalar.
        step: Step,
    },
    /// A variational auto-encoder of latents (A+Vr, figure 4, left).
    Hierarchy {
        /// Name of the encoder whose latents it takes.
        of: String,
        /// How the variational auto-encoder is trained.
        vae: VaeSettings,
    },
    /// The first latent of a variational encoder is the answer (Vr alone; A+Vr, figure 4, right).
    Direct {
        /// Name of the encoder whose first latent it is.
        of: String,
    },
    /// The shipped ensemble of A+Vr with its calibration.
    Ensemble,
    /// The profile likelihood with learned shares (EB).
    Profiles {
        /// Whether the co-trained nets of colour take part.
        colour: bool,
    },
    /// The ensemble and EB with equal weights, and colour.
    Mean,
    /// All that ships: the same with the weights that the frames ask for.
    Shipped,
    /// A net of latents that learned EB's posteriors.
    Distilled {
        /// Name of the encoder whose latents the net sees.
        of: String,
        /// Whether the co-trained nets of colour take part in teaching.
        colour: bool,
    },
    /// The same, fitted on the training objects that are alone in their cutouts; the encoder learned from all.
    Alone {
        /// The method that is fitted on these objects.
        then: Box<Self>,
    },
    /// Saw labels: a net of PSF residuals, to say what there is to learn.
    SupervisedNet,
    /// Saw labels: a net on latents, to say how much they hold.
    SupervisedProbe {
        /// Name of the encoder whose latents the net sees.
        of: String,
        /// With a hidden layer, else logistic.
        hidden: bool,
    },
}

/// What a method has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// Frames alone, without labels.
    LabelFree,
    /// Nothing: it is a measured number.
    Baseline,
    /// Labels of the training objects.
    Supervised,
}

impl MethodKind {
    /// Whether the method has seen frames, labels or nothing.
    pub fn supervision(&self) -> Supervision {
        match self {
            Self::Concentration | Self::HalfLightRadius | Self::ChiSquared | Self::ClassStar | Self::PsfMinusModel => {
                Supervision::Baseline
            }
            Self::SupervisedProbe { .. } | Self::SupervisedNet => Supervision::Supervised,
            _ => Supervision::LabelFree,
        }
    }

    /// The encoder it builds on.
    pub fn encoder(&self) -> Option<&str> {
        match self {
            Self::Manifold { of, .. }
            | Self::Hierarchy { of, .. }
            | Self::Direct { of }
            | Self::Distilled { of, .. }
            | Self::SupervisedProbe { of, .. } => Some(of),
            Self::Alone { then } => then.encoder(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that kept runs were told apart by.
    #[test]
    fn methods_are_told_as_they_always_were() {
        let then = MethodKind::Hierarchy { of: "AE 30".to_owned(), vae: VaeSettings::default() };
        let words = "Alone { then: Hierarchy { of: \"AE 30\", vae: VaeSettings { pull: Dkl, hidden: 1, batch_norm: true, \
                     epochs: 50, batch: 256, prior_weight: 0.3, warm_up_epochs: 10, balance_weight: 5.0, start: Uniform } } }";
        assert_eq!(format!("{:?}", MethodKind::Alone { then: Box::new(then) }), words);
    }
}
