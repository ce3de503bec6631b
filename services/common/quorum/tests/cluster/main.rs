//! [`cairn_quorum::Cluster`] against replicas in memory, under the runtime's paused clock.

mod blocks;
mod gates;
mod histories;
mod lists;
mod rows;
mod support;
