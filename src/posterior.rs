//! From log-odds to a calibrated probability of being a star.
