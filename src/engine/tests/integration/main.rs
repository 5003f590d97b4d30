//! The engine's laws.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod pipeline;
