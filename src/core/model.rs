//! The port to the nets: two traits over plain batches. What implements them (libtorch, a matched filter, a
//! test's stub) is nobody's business here, and a batch always has the one padded shape the implementation
//! names, because a net's answer for a row may depend on the batch's size in its last bits.

use crate::frame::BANDS;

/// Side of a segmentation tile, px.
pub const TILE: usize = 64;
/// Values in one tile: 64 x 64 pixels x 5 bands, band fastest (NHWC).
pub const TILE_LEN: usize = TILE * TILE * BANDS;
/// Pixels of one tile.
pub const TILE_PIXELS: usize = TILE * TILE;
/// Scores of each pixel: of a centre, of an extent ([`crate::scores`]).
pub const MAPS: usize = 2;
/// Values of one tile's answer: the score of centres, row by row, then that of extent.
pub const TILE_SCORES: usize = MAPS * TILE_PIXELS;
/// Side of a classifier stamp, px; odd, so that every symmetry of the square keeps the object in the middle.
pub const STAMP: usize = 21;
/// Values in one stamp.
pub const STAMP_LEN: usize = STAMP * STAMP;
/// What is seen of an object's colour: the colours of neighbouring bands, then the reference-band magnitude.
pub const COLOUR_LEN: usize = BANDS;
/// Values in one object: its stamp, then its colours and magnitude.
pub const OBJECT_LEN: usize = STAMP_LEN + COLOUR_LEN;

/// Scores pixels: how surely each is an object's centre, and how surely it belongs to one.
pub trait Segmenter: Send {
    /// Tiles in every batch.
    fn batch(&self) -> usize;

    /// `tiles`: `batch() * TILE_LEN` values in units of each band's sky noise, NHWC; unused slots are zeros.
    /// `scores`: `batch() * TILE_SCORES` results, tile by tile: both maps, each row-major.
    ///
    /// # Errors
    /// [`ModelError`] when the device failed; the batch may be tried again elsewhere.
    fn segment(&mut self, tiles: &[f32], scores: &mut [f32]) -> Result<(), ModelError>;

    /// A real inference, its answer judged: whether the device can be trusted now.
    ///
    /// # Errors
    /// [`ModelError`] where it cannot.
    fn probe(&mut self) -> Result<(), ModelError> {
        let (tiles, mut scores) = (vec![0.0; self.batch() * TILE_LEN], vec![0.0; self.batch() * TILE_SCORES]);
        self.segment(&tiles, &mut scores)
    }
}

/// Scores objects: log-odds of star against galaxy by shape from each of its seeds, and what colour adds to them.
pub trait Classifier: Send {
    /// Objects in every batch.
    fn batch(&self) -> usize;

    /// Seeds: members of the ensemble.
    fn seeds(&self) -> usize;

    /// Values of one object's answer: log-odds, positive for a star, from each seed; then colour's log-ratio.
    fn answer_len(&self) -> usize {
        self.seeds() + 1
    }

    /// `objects`: `batch() * OBJECT_LEN` values, each object as `cutout::ClassifierInput` writes it; unused slots are
    /// zeros. `answers`: `batch() * answer_len()` results, object by object.
    ///
    /// # Errors
    /// [`ModelError`] when the device failed.
    fn classify(&mut self, objects: &[f32], answers: &mut [f32]) -> Result<(), ModelError>;

    /// A real inference, its answer judged: whether the device can be trusted now.
    ///
    /// # Errors
    /// [`ModelError`] where it cannot.
    fn probe(&mut self) -> Result<(), ModelError> {
        let n = self.batch();
        let (objects, mut answers) = (vec![0.0; n * OBJECT_LEN], vec![0.0; n * self.answer_len()]);
        self.classify(&objects, &mut answers)
    }
}

/// Why a device gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The device is gone or refuses work; nothing more can be expected of it.
    #[error("device {device} failed: {message}")]
    DeviceLost {
        /// Name of the device, such as `cuda:0`.
        device: String,
        /// The device library's message.
        message: String,
    },
    /// Memory ran out; a smaller batch may do.
    #[error("device {device} is out of memory: {message}")]
    OutOfMemory {
        /// Name of the device, such as `cuda:0`.
        device: String,
        /// The device library's message.
        message: String,
    },
}

impl ModelError {
    /// Its kind, as metrics and logs name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DeviceLost { .. } => "device_lost",
            Self::OutOfMemory { .. } => "out_of_memory",
        }
    }
}
