//! Why a training ends without a net.

use std::io;
use std::path::PathBuf;

use crate::loss::{LossError, PriorError};
use twinpeak_core::model::ModelError;
use twinpeak_nets::device::DeviceError;
use twinpeak_nets::parameters::ParameterError;

/// Why a training ends without a net.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// A call of libtorch failed.
    #[error("training {net}: {source}")]
    Torch {
        /// Name of the net that was being trained.
        net: String,
        /// What libtorch said.
        source: tch::TchError,
    },
    /// A trained net does not run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is no processor to run it on.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A loss has no value.
    #[error(transparent)]
    Loss(LossError),
    /// The prior has no two peaks.
    #[error(transparent)]
    Prior(#[from] PriorError),
    /// Too little to learn from.
    #[error("training {net}: {found} {what}, at least {needed} are needed; give more frames")]
    TooFew {
        /// Name of the net that was to be trained.
        net: &'static str,
        /// Things of which there are too few.
        what: &'static str,
        /// Number of them that there are.
        found: usize,
        /// Fewest that the training takes.
        needed: usize,
    },
    /// What teaches says that nearly all objects are of one kind.
    #[error("training {net}: {objects} objects nearly all of one kind ({stars:.0} stars); give frames that show both")]
    OneClass {
        /// Name of the net that was to be trained.
        net: &'static str,
        /// Sum of their probabilities of being stars.
        stars: f64,
        /// How many objects there are.
        objects: usize,
    },
    /// The loss is no number any more.
    #[error("training {net}: the loss is not finite at step {step}; try another seed or a lower rate")]
    Diverged {
        /// Name of the net that was being trained.
        net: String,
        /// Step at which it was noticed.
        step: usize,
    },
    /// Concentration does not tell the peaks apart.
    #[error(
        "cannot name the star peak of auto-encoder {autoencoder}, VAE {vae}: rank correlation with concentration \
         is {correlation:.2} over {objects} objects, {significance:.1} sigma (asked for are .3 and 5); more frames or \
         another seed may do"
    )]
    Unnamed {
        /// Index of the auto-encoder, from 0.
        autoencoder: usize,
        /// Which of its VAEs, from 0.
        vae: usize,
        /// Spearman's rank correlation with concentration.
        correlation: f64,
        /// Number of objects that it was taken over.
        objects: usize,
        /// In standard deviations of no correlation.
        significance: f64,
    },
    /// A checkpoint cannot be read or written.
    #[error("checkpoint {path:?}: {source}")]
    Checkpoint {
        /// File that could not be read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A checkpoint that is no checkpoint.
    #[error("checkpoint {path:?} is damaged ({problem}): delete it to start anew")]
    Damaged {
        /// Checkpoint that is damaged.
        path: PathBuf,
        /// What is wrong with its numbers.
        problem: ParameterError,
    },
    /// A checkpoint of other data, settings or seed.
    #[error("checkpoint {path:?} is of another training (data, settings or seed): delete it or use another folder")]
    OfAnother {
        /// Checkpoint of the other training.
        path: PathBuf,
    },
}

impl LearnError {
    /// [`Self::TooFew`], unless at least `needed` things called `what` were found for `net`: the one place that tells it.
    ///
    /// # Errors
    /// [`Self::TooFew`]
    pub fn unless_enough(net: &'static str, what: &'static str, found: usize, needed: usize) -> Result<(), Self> {
        if found < needed { Err(Self::TooFew { net, what, found, needed }) } else { Ok(()) }
    }

    /// Whether a file, a disk or a device is at fault: it says nothing of what was to be learned, and may pass.
    pub fn is_external(&self) -> bool {
        match self {
            Self::Model(_) | Self::Device(_) => true,
            Self::Checkpoint { .. } | Self::Damaged { .. } | Self::OfAnother { .. } => true,
            Self::Torch { .. } | Self::Loss(_) | Self::Prior(_) => false,
            Self::TooFew { .. } | Self::OneClass { .. } | Self::Diverged { .. } | Self::Unnamed { .. } => false,
        }
    }
}
