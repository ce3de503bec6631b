//! The block store as its callers know it, on real directories.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod collection;
mod damage;
mod directories;
mod fence;
mod recovery;
mod references;
mod round_trip;
mod server;
mod support;
