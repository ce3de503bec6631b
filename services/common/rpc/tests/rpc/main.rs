//! Drives real listeners on loopback, port 0.

mod cost;
mod identity;
mod session;
mod support;
