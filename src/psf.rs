//! The point-spread function of each band, by position, measured from the frame itself without labels.
