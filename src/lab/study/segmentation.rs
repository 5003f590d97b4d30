//! The study's other half: which pixels belong to an object (sections 5, 6.2 and 6.3 of the paper; figures 5, 7 and 8).
//!
//! # What the paper says
//!
//! An auto-encoder's features at all levels, resized to the image (*hypercolumns*, Hariharan et al. 2015), are
//! clustered without labels into background and objects. A variational one blurs edges, a plain one misses very faint
//! objects, one with residual connections from each level of the encoder to that of the decoder keeps detail, "however,
//! more noises are also included", and "we may change the layers we choose to use and turn their weights as a
//! trade-off".
//!
//! # What it leaves out
//!
//! How features are clustered; how many clusters; what a pixel's threshold is; any number. And a net with a skip at
//! full resolution can copy its input: its loss then rewards noise as much as objects, and its features are the
//! image's.
//!
//! # What is done here
//!
//! A [`Hypercolumn`] is a net, trained on frames without labels ([`twinpeak_learn::segment`]); a [`SegmenterRow`] is a
//! row: a net with k-means, a mixture of two Gaussians, or the linear head that a classical rule teaches; or a
//! classical rule alone. Skips (which levels, what weight), the levels of the hypercolumn, and blind-spot training are
//! settings of these. Each run gives the scores of pixels ([`scores`]), is judged at equal false components ([`judge`],
//! [`DetectionMetrics`]), and leaves one [`SegmentRecord`]; tables and charts are made from records alone.
//!
//! What was found stands in `benches/study/FINDINGS.md`.
//!
//! Training sees frames, never what is true of them; neither do thresholds, extent thresholds included. Truth enters in
//! [`judge`] alone.

mod answer;
mod figures;
mod judge;
mod metrics;
mod net_cache;
mod panels;
mod plan;
mod record;
mod table;

pub use answer::{Field, FieldScores, Scores, SegmentError, SegmentationContext, scores};
pub use figures::figures;
pub use judge::{ASKED, USUAL, judge, masks};
pub use metrics::{DetectionMetrics, Findings, Known, PixelMetrics, bins};
pub use net_cache::LearnedNet;
pub use panels::{PanelError, panel_figures, panel_files};
pub use plan::{Fields, Finder, Grouping, Hypercolumn, Image, SegmenterRow, fingerprint};
pub use record::{SegmentEnding, SegmentMetrics, SegmentRecord};
pub use table::section;

/// How the names of a sky's pictures of segmentation begin.
pub fn figure_prefix(sky: &super::StudyDataset) -> String {
    format!("segmentation-{}", super::table::slug(&sky.name))
}
