//! A real table: in memory, on disk and behind gRPC.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod durability;
mod fence;
mod fixture;
mod gate;
mod range;
mod recount;
mod server;
