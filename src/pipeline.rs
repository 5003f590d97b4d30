//! The engine (to come).
pub mod flow;
pub mod ports;
