//! What an image HDU declares of its pixels, and how a pixel is written.

/// What an image HDU declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub width: usize,
    pub height: usize,
    /// Whether pixels have 8 bytes instead of 4.
    pub double: bool,
}

/// Big-endian floating-point numbers, of 8 bytes each or 4.
pub(super) fn reals(bytes: &[u8], double: bool) -> Vec<f32> {
    if double {
        bytes.as_chunks().0.iter().map(|b| f64::from_be_bytes(*b) as f32).collect()
    } else {
        bytes.as_chunks().0.iter().map(|b| f32::from_be_bytes(*b)).collect()
    }
}
