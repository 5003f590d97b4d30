//! From latents to one scalar, and from the scalar to a class: the manifold step of the paper's "V+M" and "Vr+M"
//! (sections 4.1.1 and 4.1.2), with clusterings of the latents beside it.
//!
//! A net gives each object `d` latents; a class needs one number. Each method here is fitted on at most a few
//! thousand objects and then gives any object its scalar:
//!
//! | method | scalar | an object it was not fitted on |
//! |---|---|---|
//! | [`Isomap`] | the longest coordinate along the manifold | its geodesics to the landmarks |
//! | [`Tsne`] | the one-dimensional map | its neighbours' mean |
//! | [`KMeans`] | how much nearer the second centre is than the first | the same formula |
//! | [`Mixture`] | log-odds of the second component | the same formula |
//!
//! None of them knows which end is the stars' or where to cut: [`PriorThreshold`] says so from the prior star
//! fraction and the concentration, never from labels.
//!
//! The paper gives no neighbours, perplexity, fraction or treatment of new objects; all are settings here. Section 6.1
//! blames the spread between runs on outliers in this step, so [`Isomap::components`] counts what they tear off.
//!
//! Everything is in f64, and the same seed gives the same bits whatever the number of threads.

mod error;
mod graph;
mod isomap;
mod kmeans;
mod mixture;
mod neighbours;
mod pca;
mod points;
mod threshold;
mod tsne;

pub use error::ManifoldError;
pub use isomap::{Isomap, IsomapSettings};
pub use kmeans::{KMeans, KMeansSettings};
pub use mixture::{Mixture, MixtureSettings};
pub use pca::Pca;
pub use points::{Points, Scaling};
pub use threshold::{PriorThreshold, StarFraction};
pub use tsne::{Tsne, TsneSettings};

#[cfg(test)]
pub(super) mod samples;
