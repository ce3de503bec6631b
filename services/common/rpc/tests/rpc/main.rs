//! Drives real listeners on loopback, port 0.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod cost;
mod identity;
mod session;
mod support;

/// As in production: `cost` measures with it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
