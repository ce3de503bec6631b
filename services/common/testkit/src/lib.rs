//! For tests: input for fuzz targets, and a checker of histories for linearizability.

pub mod fuzz;
pub mod linear;
