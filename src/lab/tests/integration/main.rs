//! `twinpeak-lab` as a process, from the outside.

mod common;
mod dataset;
mod study;
