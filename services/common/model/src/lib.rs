//! Typed rows, and the one encoding of rows, messages and views on wire and disk.

mod envelope;

pub use envelope::Envelope;
