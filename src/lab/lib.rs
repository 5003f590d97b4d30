//! The laboratory: the paper's other methods, the data sets that all of them learn from, baselines, what saw labels for
//! comparison, and the study that runs everything and makes the tables. `twinpeak-lab dataset` makes a data set,
//! `twinpeak-lab study` runs the study; nothing here is part of what ships.
//!
//! # The parts
//!
//! - [`dataset`]: objects of many frames, cut and measured once.
//! - [`whole`], [`residual`], [`hypercolumn`]: nets that give latents, over whole cutouts, PSF residuals, and tiles.
//! - [`hierarchy`], [`manifold`], [`clusters`], [`student`]: what is made of latents.
//! - [`supervised`]: what saw labels. Nothing learned there may enter a model.
//! - [`study`]: methods, records, tables and figures; truth enters at one place, [`study::score`].
//! - [`commands`] and [`cli`]: the program.
//!
//! # What it may know
//!
//! Everything that the product is made of (`twinpeak-core`, `-formats`, `-nets`, `-engine`, `-learn`, `-config`), and the
//! simulator. None of those knows the laboratory: what both need, such as the VAE's training, is in `twinpeak-learn`.
//!
//! # From latents to two classes
//!
//! Two blobs, k-means, and a scalar that is positive for one of them:
//!
//! ```
//! use twinpeak_lab::manifold::{KMeans, KMeansSettings, Points};
//!
//! let latents = vec![0.1, 0.0, -0.2, 0.1, 0.0, -0.1, 4.0, 4.2, 3.9, 4.1, 4.1, 3.8];
//! let points = Points::new(2, latents)?;
//! let scalar = KMeans::fit(&points, &KMeansSettings::default())?.scalar(&points)?;
//!
//! // Which blob comes first is anybody's: the magnitudes and concentrations say which one is the stars'.
//! let second: Vec<bool> = scalar.iter().map(|s| *s > 0.0).collect();
//! assert!(second[..3].iter().all(|s| *s == second[0]) && second[3..].iter().all(|s| *s != second[0]));
//! # Ok::<(), twinpeak_lab::manifold::ManifoldError>(())
//! ```

pub mod cli;
pub mod clusters;
pub mod commands;
pub mod dataset;
mod error;
pub mod hierarchy;
pub mod hypercolumn;
pub mod manifold;
pub mod residual;
pub mod student;
pub mod study;
pub mod supervised;
pub mod whole;

pub use error::LabError;
