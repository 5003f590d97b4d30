//! What the trainer sees is what the engine sees.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod deep;
mod parity;
