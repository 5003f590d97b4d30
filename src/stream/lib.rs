//! Messages in, records out, exactly once.

pub mod intake;
pub mod kafka;
pub mod message;
pub mod object_store;
pub mod outflow;
pub mod registry;
