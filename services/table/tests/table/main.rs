//! A real table: in memory, on disk and behind gRPC.

mod durability;
mod fence;
mod fixture;
mod gate;
mod range;
mod server;
