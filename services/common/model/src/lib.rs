//! Typed rows, and the one encoding of rows, messages and views on wire and disk.

mod envelope;
#[cfg(test)]
mod fuzz;
pub mod keys;
pub mod rows;
pub mod view;
pub mod wire;

pub use envelope::Envelope;
