//! Bytes to and from core types.

pub mod avro;
pub mod fits;
pub mod parquet;
pub mod picture;
