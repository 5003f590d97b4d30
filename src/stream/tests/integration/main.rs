//! The stream's parts against real servers, without the program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod masks;
mod remote;
#[path = "../../../../tests/integration/common/s3.rs"]
mod s3;
