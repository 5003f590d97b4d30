//! Our files, read by others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod fits_astropy;
mod fits_cfitsio;
mod fits_counts;
mod header_law;
mod planes;
mod products;
