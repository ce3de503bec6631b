//! The gateway over real sockets, on replicas in memory that judge by the real rules.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod aliases;
mod buckets;
mod copies;
mod cors;
mod encryption;
mod forms;
mod keys;
mod lifecycle;
mod listener;
mod listing;
mod multipart;
mod objects;
mod quotas;
mod settings;
mod sites;
mod support;
mod tls;
