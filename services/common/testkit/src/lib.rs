//! For tests: a checker of histories for linearizability.

pub mod linear;
