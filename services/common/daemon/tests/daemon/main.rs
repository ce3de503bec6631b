//! Drives a real [`cairn_daemon::Host`] on loopback, port 0.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod grpcurl;
mod host;
mod support;
mod watch;
