//! The gateway over real sockets, on replicas in memory that judge by the real rules.

mod access;
mod buckets;
mod listener;
mod listing;
mod multipart;
mod objects;
mod support;
