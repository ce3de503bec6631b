//! XML out ([`Writer`]) and XML in ([`read`]), both without recursion over what a client sends.

pub mod read;
mod tree;
mod write;

pub use write::Writer;
