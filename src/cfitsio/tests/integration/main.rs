//! The child from outside: what it decodes against astropy, what it may not do, how it dies; and our tables.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod codings;
mod confined;
mod tables;
