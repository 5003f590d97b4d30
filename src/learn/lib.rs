//! Training, without labels, of what ships: the segmentation net with its self-taught head, the ensemble of
//! classification nets with its calibration, the shares of the profile fits, and the nets of colour.
//!
//! # The stages
//!
//! [`sample`] turns frames into what is learned from, by the daemon's own steps. [`segment`] trains the segmenter and
//! finds its thresholds; [`classify`] trains auto-encoders of PSF residuals and the double-peak VAEs over them;
//! [`profile_likelihood`] learns the shares of the profile fits by profile likelihood; [`posterior`] weighs nets
//! against fits by what [`colour`] says. Every net is trained by [`trainer`], with a prior from [`prior`] and a loss
//! from [`loss`], where the paper's formulas stand one a file: `VaeSettings` picks one by its name.
//!
//! # What it may know
//!
//! Frames and what was measured on them; never a label, a catalogue or the truth of a simulation. The other methods of
//! the paper, the data sets, and whatever sees labels are in `twinpeak-lab`, which builds on this crate.
//!
//! # The same bits
//!
//! Each training draws step `n`'s randomness from (seed, `n`) alone and leaves a checkpoint every so many steps, so a
//! run that was interrupted ends with the same bits as one that was not. Trainings run on the CPU, one thread a net;
//! the nets are small enough.
//!
//! libtorch's plain methods (which panic) are used in places, unlike in `twinpeak-nets`: the only failure to be
//! expected there is memory, and it ends the command, not a daemon.
//!
//! # A loss and its gradient
//!
//! Two latents of the same spread: the one at a peak costs less than the one between the peaks, and there the exact
//! divergence pulls neither way.
//!
//! ```
//! use tch::{Kind, Tensor};
//! use twinpeak_learn::loss::DoublePeak;
//! use twinpeak_learn::loss::dkl::{NODES, dkl};
//!
//! let prior = DoublePeak::for_training(1.0, 0.25)?;
//! let mu = Tensor::from_slice(&[1.0, 0.0]).set_requires_grad(true);
//! let sigma = Tensor::from_slice(&[0.25, 0.25]);
//! let nats = dkl(&mu, &sigma, prior, NODES)?;
//! assert!(nats.double_value(&[0]) < nats.double_value(&[1]));
//!
//! nats.sum(Kind::Double).backward();
//! assert!(mu.grad().double_value(&[1]).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alignment;
pub mod classify;
pub mod colour;
mod error;
pub mod loss;
mod missing_bands;
pub mod posterior;
pub mod prior;
pub mod profile_likelihood;
pub mod sample;
pub mod segment;
pub mod trainer;

pub use error::LearnError;
pub use missing_bands::MissingBands;
pub use trainer::{Curve, Progress, Run};
