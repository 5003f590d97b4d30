//! `twinpeak-lab` as a process, from the outside.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod common;
mod dataset;
mod study;
