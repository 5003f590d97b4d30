//! The study's other half: which pixels belong to an object (sections 5, 6.2 and 6.3 of the paper; figures 5, 7 and 8).
//!
//! # What the paper says
//!
//! An auto-encoder's features at all levels, resized to the image (*hypercolumns*, Hariharan et al. 2015), are clustered
//! without labels into background and objects. A variational one blurs edges, a plain one misses very faint objects, one
//! with residual connections from each level of the encoder to that of the decoder keeps detail, "however, more noises are
//! also included", and "we may change the layers we choose to use and turn their weights as a trade-off".
//!
//! # What it leaves out
//!
//! How features are clustered; how many clusters; what a pixel's threshold is; any number. And a net with a skip at full
//! resolution can copy its input: its loss then rewards noise as much as objects, and its features are the image's.
//!
//! # What is done here
//!
//! A [`Hypercolumn`] is a net, trained on frames without labels ([`crate::learn::segment`]); a [`Segmenter`] is a row: a net
//! with k-means, a mixture of two Gaussians, or the linear head that a classical rule teaches; or a classical rule alone.
//! Skips (which levels, what weight), the levels of the hypercolumn, and blind-spot training are settings of these.
//! Each run gives the scores of pixels ([`scores`]), is judged at equal false components ([`judge`], [`Mark`]), and
//! leaves one [`SegmentRecord`]; tables and charts are made from records alone.
//!
//! # What was found
//!
//! With short trainings (400 steps of 16 tiles), at 10 false components a field, on simulations; the page has the rest.
//!
//! - *A VAE blurs*: true. Its IoU with a head is .79, the plain net's .84, and it finds less.
//! - *Clusters need a threshold*: where two k-means clusters part by themselves, nothing fainter than r 22.5 is found at all
//!   (bright cores against everything else); a mixture's parting lets hundreds of false components through.
//! - *A naive skip copies*: k-means over it finds .11 of what is at 22.5-23, over the plain net .35, a mixture nothing; trained
//!   on a blind spot the same net gives .51, the most of all clusterings.
//! - *Skips find more and let more noise in*: half true. With the linear head they find more at equal noise (.20 to .38),
//!   so that it is no trade of one for the other; and at even odds the head, which has been taught what noise looks like,
//!   does not let more of it through. Only the coarse skip alone does.
//! - *No net here detects better than a matched filter on five bands* (.71). What a net gives is extent: IoU .92 of the
//!   shipped one at its threshold against .78.
//!
//! Training sees frames, never what is true of them; neither do thresholds, extent thresholds included. Truth enters in
//! [`judge`] alone.

mod answer;
mod bank;
mod figures;
mod judge;
mod marks;
mod panels;
mod plan;
mod record;
mod table;

pub use answer::{Field, FieldScores, Ground, Scores, SegmentError, scores};
pub use bank::LearnedNet;
pub use figures::figures;
pub use judge::{ASKED, USUAL, judge, masks};
pub use marks::{Findings, Known, Mark, PixelMarks, bins};
pub use panels::{PanelError, panel_figures, panel_files};
pub use plan::{Fields, Finder, Grouping, Hypercolumn, Image, Segmenter, fingerprint};
pub use record::{SegmentEnding, SegmentMarks, SegmentRecord};
pub use table::section;

/// How the names of a sky's pictures of segmentation begin.
pub fn figure_prefix(sky: &super::Sky) -> String {
    format!("segmentation-{}", super::table::slug(&sky.name))
}
