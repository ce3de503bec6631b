//! Drives a real [`cairn_daemon::Host`] on loopback, port 0.

mod grpcurl;
mod host;
mod support;
mod watch;
