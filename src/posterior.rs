//! From the ensemble's log-odds to a calibrated probability of being a star.

use serde::{Deserialize, Serialize};

/// Log-odds of star by magnitude and ensemble score, learned without labels (see `learn`): a table on a grid,
/// read by bilinear interpolation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Reference-band PSF magnitudes of the rows.
    pub mag_nodes: Vec<f32>,
    /// Ensemble scores of the columns.
    pub score_nodes: Vec<f32>,
    /// Log-odds, row by row.
    pub log_odds: Vec<f32>,
}
