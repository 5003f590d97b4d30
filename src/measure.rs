//! What is measured of each object: centroid, moments, photometry, flags.
