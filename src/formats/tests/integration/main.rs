//! Our files, read by others.

mod fits_astropy;
mod fits_cfitsio;
mod products;
