//! [`cairn_quorum::Cluster`] against replicas in memory, under the runtime's paused clock.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod blocks;
mod gates;
mod histories;
mod lists;
mod rows;
mod simulated;
mod support;
