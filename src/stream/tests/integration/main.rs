//! The stream's parts against real servers, without the program.

mod remote;
#[path = "../../../../tests/integration/common/s3.rs"]
mod s3;
