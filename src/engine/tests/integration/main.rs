//! The engine's laws.

mod pipeline;
