//! Starts real daemons, breaks them, and speaks S3 to them.

pub mod cluster;
pub mod powerfs;
pub mod program;
