//! The program, from outside: files, folders, messages, signals and damaged bytes in; what comes out is read by others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod avro_fastavro;
mod bad_input;
mod common;
mod daemon;
mod damaged;
mod frames;
mod house;
mod kafka;
#[path = "../fuzz/laws.rs"]
mod laws;
mod message;
mod missing_band;
mod models;
mod process;
#[path = "../../src/formats/tests/integration/products.rs"]
mod products;
mod replay;
mod stream;
mod stream_security;
