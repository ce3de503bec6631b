//! Membership daemons on loopback: real servers, TLS, files; storage nodes that only report.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod applies;
mod guarded;
mod restarts;
mod support;
mod tokens;
